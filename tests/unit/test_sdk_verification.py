"""Verifying in Python: each reason has an error of its own, and none says a secret."""

import hmac
import json
import time
from base64 import b64encode
from typing import Any

import pytest
from standardwebhooks import Webhook

from dispatcher.sdk import (
    InvalidHeader,
    MissingHeader,
    SignatureMismatch,
    TimestampTooNew,
    TimestampTooOld,
    VerificationFailed,
    verify,
)
from tests.support.cases import each

OLD, NEW, OTHER = (f"whsec_{b64encode(bytes([number]) * 32).decode()}" for number in (1, 2, 3))
NOW_S = 1_800_000_000
BODY = b'{"type": "order.shipped", "data": {"name": "\xc5\xbdofie"}}'


def signed(*secrets: str, **changed: str) -> dict[str, str]:
    """Headers, by somebody else's library."""
    signatures = [Webhook(secret).sign("msg_1", a_time(), BODY.decode()) for secret in secrets]
    return {"Webhook-Id": "msg_1", "webhook-timestamp": str(NOW_S), "webhook-signature": " ".join(signatures)} | changed


def a_time() -> Any:
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime.fromtimestamp(NOW_S, UTC)


@each("secrets", [OLD, NEW, [NEW], [OTHER, OLD], (NEW, OLD)])
def test_a_request_in_a_rotation_is_verified_with_either_secret_or_both(secrets: Any) -> None:
    assert verify(BODY, signed(OLD, NEW), secrets, now_s=NOW_S) == json.loads(BODY)
    assert verify(BODY.decode(), signed(OLD, NEW), secrets, now_s=NOW_S) == json.loads(BODY)


def test_a_signature_of_another_scheme_beside_it_is_passed_over() -> None:
    beside = signed(OLD)["webhook-signature"]

    assert verify(BODY, signed(**{"webhook-signature": f"v1a,AAAA constructor,AAAA {beside} v9"}), OLD, now_s=NOW_S)
    with pytest.raises(SignatureMismatch):
        verify(BODY, signed(**{"webhook-signature": beside.replace("v1,", "v1a,")}), OLD, now_s=NOW_S)


@each(
    ("error", "headers", "now_s"),
    [
        (MissingHeader, {"Webhook-Id": "msg_1"}, NOW_S),
        (MissingHeader, signed(OLD, **{"webhook-signature": ""}), NOW_S),
        (InvalidHeader, signed(OLD, **{"webhook-timestamp": "soon"}), NOW_S),
        (InvalidHeader, signed(OLD, **{"webhook-timestamp": "9" * 5_000}), NOW_S),
        (TimestampTooOld, signed(OLD), NOW_S + 301),
        (TimestampTooNew, signed(OLD), NOW_S - 301),
        (SignatureMismatch, signed(OTHER), NOW_S),
        (SignatureMismatch, signed(OLD, **{"Webhook-Id": "msg_2"}), NOW_S),
        (SignatureMismatch, signed(OLD, **{"webhook-timestamp": str(NOW_S + 1)}), NOW_S),
        (SignatureMismatch, signed(OLD, **{"webhook-signature": "v1,ž nothing"}), NOW_S),
    ],
)
def test_each_reason_has_an_error_of_its_own(error: type[Exception], headers: dict[str, str], now_s: int) -> None:
    with pytest.raises(VerificationFailed) as raised:
        verify(BODY, headers, [OLD, NEW], now_s=now_s)

    assert type(raised.value) is error
    assert OLD not in repr(raised.value)


def test_a_tolerance_is_in_seconds_and_the_clock_is_the_default() -> None:
    assert verify(BODY, signed(OLD), OLD, now_s=NOW_S + 301, tolerance_s=301)
    with pytest.raises((TimestampTooOld, TimestampTooNew)):
        verify(BODY, signed(OLD), OLD, tolerance_s=abs(time.time() - NOW_S) - 60)


@each("nothing", ["", "whsec_"])
def test_an_empty_secret_verifies_nothing(nothing: str) -> None:
    signature = b64encode(hmac.digest(b"", f"msg_1.{NOW_S}.".encode() + BODY, "sha256")).decode()

    with pytest.raises(ValueError, match="a signing secret is whsec_ and Base64"):
        verify(BODY, signed(**{"webhook-signature": f"v1,{signature}"}), nothing, now_s=NOW_S)


def test_what_is_no_secret_is_said_without_it() -> None:
    with pytest.raises(ValueError, match="a signing secret is whsec_ and Base64") as raised:
        verify(BODY, signed(OLD), "whsec_not/base64!", now_s=NOW_S)

    assert raised.value.__cause__ is None
    assert "not/base64" not in str(raised.value)
