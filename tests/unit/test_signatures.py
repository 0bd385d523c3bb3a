"""Signatures, by vectors of the reference implementations of each scheme."""

import base64
import hmac
import json
from typing import Any

import pytest
from marshmallow import ValidationError

from dispatcher.model.options import NO_OPTIONS, Options
from dispatcher.model.webhook import SigningKeys
from dispatcher.schemas.api.webhook import WebhookWithExtrasSchema
from dispatcher.schemas.errors import texts_by_field
from dispatcher.sdk import SignatureMismatch, verify
from dispatcher.signatures import signature_headers
from dispatcher.storage.secrets import SecretBox, foreign_text, new_signing_secret, with_key_pair
from tests.support.builders import SECRET_KEY, SIGNING_KEYS
from tests.support.cases import each
from tests.support.vectors import (
    BODY,
    CONVOY_BODY,
    CONVOY_SECRET,
    CONVOY_SIGNATURES,
    ID,
    PRIVATE_KEY,
    PUBLIC_KEY,
    SECRET,
    SENT_S,
    V1A,
)

BOX = SecretBox([SECRET_KEY])
KEYS = BOX.signing_keys(BOX.close(f"{SECRET}\n{PRIVATE_KEY}"))


def made(*schemes: str, keys: tuple[SigningKeys, ...] = (KEYS,), body: bytes = BODY, **options: Any) -> dict[str, str]:
    chosen = Options(signature_schemes=schemes, **options)
    return dict(signature_headers(keys, chosen, ID, str(SENT_S), body))


def test_v1a_is_as_svix_signs_with_the_same_key_pair() -> None:
    assert KEYS.public_key == PUBLIC_KEY
    assert made("v1a") == {"webhook-id": ID, "webhook-timestamp": str(SENT_S), "webhook-signature": V1A}


def test_without_options_the_bytes_are_what_they_were() -> None:
    assert signature_headers((SIGNING_KEYS,), NO_OPTIONS, "1", "2", b"{}") == [
        ("webhook-id", "1"),
        ("webhook-timestamp", "2"),
        ("webhook-signature", "v1,Se0rMHkxenwTVGJjNAOBEFHfkwwTHPjS3mOsmwp/umY="),
    ]


def test_both_at_once_are_verified_with_the_secret_or_the_public_key() -> None:
    before = SigningKeys(secret="whsec_AAAA", hmac=b"\0\0\0")
    headers = made("v1", "v1a", keys=(KEYS, before))

    assert [one.partition(",")[0] for one in headers["webhook-signature"].split()] == ["v1", "v1", "v1a"]
    for key in (SECRET, PUBLIC_KEY, "whsec_AAAA"):
        assert verify(BODY, headers, key, now_s=SENT_S) == json.loads(BODY)


def test_headers_are_sent_with_each_prefix() -> None:
    headers = made("v1", signature_prefixes=("webhook-", "svix-"))

    assert len(headers) == 6
    for name in ("id", "timestamp", "signature"):
        assert headers[f"svix-{name}"] == headers[f"webhook-{name}"]


@each("scheme", CONVOY_SIGNATURES)
def test_convoy_signs_as_its_own_vectors_say(scheme: str) -> None:
    keys = BOX.signing_keys(BOX.close(foreign_text(CONVOY_SECRET)))
    headers = dict(signature_headers((keys,), Options(signature_schemes=(scheme,)), ID, "1700000000", CONVOY_BODY))

    assert headers == {"X-Convoy-Signature": CONVOY_SIGNATURES[scheme]}
    assert CONVOY_SECRET not in repr(keys)


def test_stripe_and_github_sign_with_the_secrets_text() -> None:
    """GitHub's vector is of its documentation; Stripe documents the computation."""
    hub = SigningKeys(secret="It's a Secret to Everybody", hmac=b"")
    before = SigningKeys(secret="whsec_test", hmac=b"")

    assert made("github", keys=(hub,), body=b"Hello, World!") == {
        "X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    }
    assert made("github", keys=(KEYS, hub), body=b"Hello, World!", signature_header="X-Acme") == {
        "X-Acme": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    }
    signed = f"{SENT_S}.".encode() + BODY
    new, old = (hmac.new(secret, signed, "sha256").hexdigest() for secret in (SECRET.encode(), b"whsec_test"))
    assert made("stripe", keys=(KEYS, before)) == {"Stripe-Signature": f"t={SENT_S},v1={new},v1={old}"}


def test_a_new_key_pair_is_kept_beside_its_secret_and_never_shown() -> None:
    secret = new_signing_secret()
    keys = BOX.signing_keys(BOX.close(with_key_pair(secret)))
    headers = made("v1a", keys=(keys,))

    assert keys.secret == secret
    assert keys.public_key
    assert verify(BODY, headers, keys.public_key, now_s=SENT_S)
    assert repr(keys) == f"SigningKeys(public_key={keys.public_key!r})"
    with pytest.raises(SignatureMismatch):
        verify(BODY, headers, PUBLIC_KEY, now_s=SENT_S)


REFUSED: dict[str, list[Any]] = {
    "signature_schemes": [None, "v1", ["v2"], [{}], ["stripe", "github"]],
    "signature_prefixes": [None, "svix-", ["svix"], ["content-"], ["a b-"], [1], ["a-", "b-", "c-", "d-"]],
    "signature_header": ["Host", "a b", "authorization", "webhook-id", 5],
}


def outcome(**options: Any) -> Any:
    """What is loaded of the options, or the messages."""
    written = {"webhook_url": "https://example.com/webhook", "events": ["invoice_paid"]}
    try:
        loaded = WebhookWithExtrasSchema().load(written | options)
    except ValidationError as error:
        return texts_by_field(error)
    return {name: loaded[name] for name in options}


def test_what_is_empty_is_the_default() -> None:
    assert outcome(signature_schemes=[], signature_prefixes=[], signature_header=None) == {
        "signature_schemes": ["v1"],
        "signature_prefixes": ["webhook-"],
        "signature_header": None,
    }
    assert outcome(signature_schemes=["v1a", "v1", "v1a"]) == {"signature_schemes": ["v1", "v1a"]}


@each(("name", "value"), [(name, value) for name, values in REFUSED.items() for value in values])
def test_what_is_no_option_of_a_signature_is_refused(name: str, value: Any) -> None:
    assert list(outcome(**{name: value})) == [name]


def test_no_signature_is_sent_in_a_header_that_the_owner_has_set() -> None:
    refused = outcome(headers={"svix-id": "1"}, signature_prefixes=["svix-"])

    assert refused == {"headers": ['"svix-id" would be sent twice']}
    assert "twice" in str(outcome(headers={"stripe-signature": "1"}, signature_schemes=["stripe"]))
    assert "twice" not in str(outcome(headers={"stripe-signature": "1"}))


@each("signature", ["v1a,", "v1a,AAAA", "v1a,é", "v1,hnO3f9T8Ytu9", V1A.replace("v1a", "v1")])
def test_a_public_key_verifies_nothing_but_its_own_signatures(signature: str) -> None:
    headers = made("v1a") | {"webhook-signature": signature}

    with pytest.raises(SignatureMismatch):
        verify(BODY, headers, PUBLIC_KEY, now_s=SENT_S)


def test_a_public_key_is_no_hmac_secret() -> None:
    """What everybody knows would sign."""
    forged = SigningKeys(secret="", hmac=base64.b64decode(PUBLIC_KEY.removeprefix("whpk_")))

    with pytest.raises(SignatureMismatch):
        verify(BODY, made("v1", keys=(forged,)), PUBLIC_KEY, now_s=SENT_S)
    with pytest.raises(ValueError, match="a public key is whpk_ and 32 bytes in Base64"):
        verify(BODY, made("v1a"), "whpk_AAAA", now_s=SENT_S)
