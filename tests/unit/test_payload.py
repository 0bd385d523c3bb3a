import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from dispatcher.model.options import Options
from dispatcher.model.webhook import PayloadVersion, Signing, SigningKeys
from dispatcher.payload import headers, render
from dispatcher.schemas.errors import DowngradeFailed
from dispatcher.signatures import is_signed, sign
from tests.support.builders import KEY, SIGNING_KEY, SIGNING_KEYS, SIGNING_SECRET, a_claimed, a_target
from tests.support.cases import each

NEW_KEYS = SigningKeys(secret="whsec_", hmac=b"x" * 32)


def made(body: bytes = b"{}", **target: Any) -> dict[str, str]:
    """Of this moment: the verifier compares the timestamp with the real time."""
    return dict(headers(a_claimed(), a_target(**target), body, int(time.time()), "Tests/1"))


def verify(body: bytes, said: dict[str, str], secret: str = SIGNING_SECRET) -> Any:
    return Webhook(secret).verify(body, {name.lower(): value for name, value in said.items()})


def test_the_envelope_is_around_the_bodys_very_bytes() -> None:
    body = '{"b": 1.10,  "a":"\\u00e9é"}'

    sent = render(a_claimed(body_json=body), a_target())

    assert (
        sent
        == (
            f'{{"webhook_id":5,"event_name":"invoice_paid","created_at":"2026-06-13T14:00:00.000+02:00","body":{body}}}'
        ).encode()
    )


def test_the_time_is_written_in_the_accounts_zone() -> None:
    sent = render(a_claimed(time_zone="America/New_York"), a_target())

    assert json.loads(sent)["created_at"] == "2026-06-13T08:00:00.000-04:00"


def test_every_try_sends_the_same_bytes() -> None:
    first, second = (render(a_claimed(attempt_number=number), a_target()) for number in (1, 2))

    assert first == second


def test_fields_are_chosen_within_the_envelope_and_of_the_flat_object() -> None:
    claimed = a_claimed(body_json='{"invoice": {"id": 93, "number": "7", "total": "1.0"}}')
    chosen = Options(only_fields=("invoice.number",))

    assert json.loads(render(claimed, a_target(options=chosen)))["body"] == {"invoice": {"id": 93, "number": "7"}}
    flat = json.loads(render(claimed, a_target(options=chosen, payload_version=PayloadVersion.LEGACY)))
    assert (flat["invoice_id"], flat["number"], flat["total"]) == (93, "7", None)


def test_a_legacy_webhook_gets_the_flat_object() -> None:
    invoice = {"id": 93, "number": "2024-0056", "status": "paid", "total": "1.0", "paid_on": "2024-06-13"}
    body = json.dumps({"invoice": invoice})

    sent = render(a_claimed(body_json=body), a_target(payload_version=PayloadVersion.LEGACY))

    assert json.loads(sent) == {
        "invoice_id": 93,
        "number": "2024-0056",
        "status": "paid",
        "total": "1.0",
        "paid_at": "2024-06-13",
        "event_name": "invoice_paid",
        "invoice_custom_id": None,
    }


def test_every_post_says_what_it_is() -> None:
    before = int(time.time())
    said = made()

    assert said["Content-Type"] == "application/json"
    assert said["User-Agent"] == "Tests/1"
    assert said["Idempotency-Key"] == said["webhook-id"] == str(KEY)
    assert before <= int(said["webhook-timestamp"]) <= time.time()


def test_a_version_that_nobody_here_knows_is_not_sent_as_it_is() -> None:
    delivery = a_claimed(event_name="order.shipped", event_version=3)

    with pytest.raises(DowngradeFailed, match="cannot be made version 2: the catalogue here does not"):
        render(delivery, a_target(options=Options(event_versions={"order.shipped": 2})))


def test_a_webhooks_own_headers_are_sent_beside_ours() -> None:
    said = made(options=Options(headers={"X-Env": "prod"}, secret_headers={"X-Key": "s3cret"}))

    assert (said["X-Env"], said["X-Key"]) == ("prod", "s3cret")
    assert said.keys() - made().keys() == {"X-Env", "X-Key"}


@each("auth_header", [None, ""])
def test_no_authorization_is_sent_unless_it_is_set(auth_header: str | None) -> None:
    assert "Authorization" not in made(auth_header=auth_header)


def test_authorization_is_sent_as_it_is() -> None:
    assert made(auth_header="Token  abc=")["Authorization"] == "Token  abc="


@given(st.binary(max_size=200))
def test_the_signature_holds_for_the_standards_own_verifier(data: bytes) -> None:
    body = json.dumps(data.hex()).encode()

    assert verify(body, made(body)) == data.hex()


def test_during_a_rotation_both_secrets_verify() -> None:
    body = b'{"a":1}'
    said = made(body, signing_keys=(NEW_KEYS, SIGNING_KEYS))

    assert len(said["webhook-signature"].split(" ")) == 2
    assert verify(body, said) == {"a": 1}


@each("change", ["body", "webhook-id", "webhook-timestamp", "webhook-signature"])
def test_the_signature_covers_id_time_and_body(change: str) -> None:
    body, said = b'{"a":1}', made(b'{"a":1}')
    if change == "body":
        body = b'{"a":2}'
    elif change == "webhook-timestamp":
        said[change] = str(int(said[change]) - 5)
    elif change == "webhook-id":
        said[change] = "0190163d-8694-739b-aea5-966c26f8ad92"
    else:
        said[change] = sign([b"another key"], str(KEY), said["webhook-timestamp"], body)

    with pytest.raises(WebhookVerificationError):
        verify(body, said)


def test_no_header_of_ours_breaks_its_line() -> None:
    assert all(value.isprintable() and value.isascii() for value in made(auth_header="Bearer abc").values())


@given(st.binary(max_size=50))
def test_our_own_receivers_know_a_signature_from_a_forgery(body: bytes) -> None:
    signature = sign([b"old", SIGNING_KEY], "id", "1", body)

    assert is_signed([SIGNING_KEY], "id", "1", signature, body)
    assert is_signed([b"new", b"old"], "id", "1", signature, body)
    assert not is_signed([b"new"], "id", "1", signature, body)
    assert not is_signed([SIGNING_KEY], "id", "2", signature, body)


@each("signature", ["", "v1,", "rubbish", "v1,é"])
def test_rubbish_is_no_signature(signature: str) -> None:
    assert not is_signed([SIGNING_KEY], "id", "1", signature, b"{}")


def test_a_webhook_that_wants_no_signature_gets_none_of_its_headers() -> None:
    assert made(signing=Signing.NONE).keys() == {"Content-Type", "User-Agent", "Idempotency-Key"}
