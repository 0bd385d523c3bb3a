"""OAuth 2.0 clients and client certificates of webhooks: what may be written, and which secrets stay."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from dispatcher.errors import InvalidWebhook
from dispatcher.model.credentials import OAuth2
from dispatcher.schemas.api.webhook import FilteredWebhookSchema
from dispatcher.webhooks.edit import changed_attributes, checked_attributes
from tests.support.cases import each
from tests.support.receiver import Authority

WEBHOOK = {"webhook_url": "https://example.com/", "events": ["invoice_paid"]}
CLIENT = {"token_url": "https://auth.example.com/token", "client_id": "us", "client_secret": "s3cret"}
AUTHORITY = Authority()
CERTIFICATE, KEY = AUTHORITY.client("ours.test")
OTHER_CERTIFICATE, OTHER_KEY = AUTHORITY.client("other.test")
PAIR = {"certificate": CERTIFICATE, "private_key": KEY}


def webhook(changes: dict[str, Any], before: Any = None) -> Any:
    """After a change, or a new one."""
    given = {**WEBHOOK, **changes} if before is None else changes
    return SimpleNamespace(**checked_attributes(changed_attributes(before, given), before=before))


def messages(before: Any = None, **changes: Any) -> Mapping[str, Any]:
    with pytest.raises(InvalidWebhook) as caught:
        webhook(changes, before)
    return caught.value.messages


def shown(one: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = FilteredWebhookSchema(only=("oauth2", "client_certificate")).dump(one)
    return dumped


def test_a_client_is_kept_and_its_secret_not_shown() -> None:
    given = {**CLIENT, "scopes": ["a", "b:c", "a"], "parameters": {"audience": "https://x/ž"}, "auth_method": "post"}

    one = webhook({"oauth2": given})

    assert one.oauth2 == OAuth2(
        **CLIENT, scopes=("a", "b:c"), parameters=(("audience", "https://x/ž"),), auth_method="post"
    )
    assert shown(one)["oauth2"] == {
        name: ["a", "b:c"] if name == "scopes" else value for name, value in given.items() if name != "client_secret"
    }
    assert "s3cret" not in str(shown(one)) + repr(one.oauth2)


@each(
    ("change", "problem"),
    [
        ({"token_url": "ftp://example.com/"}, "token_url: must be an http or https URL without credentials"),
        ({"token_url": "https://a:b@example.com/"}, "token_url: must be an http or https URL without credentials"),
        ({"token_url": None}, "token_url: is missing"),
        ({"client_id": "ž"}, "client_id: must have 1 to 2,000 printable ASCII characters"),
        ({"client_id": ""}, "client_id: must have 1 to 2,000 printable ASCII characters"),
        ({"client_secret": "a\nb"}, "client_secret: must have 1 to 2,000 printable ASCII characters"),
        ({"client_secret": None}, "client_secret: is missing"),
        ({"scopes": ["a b"]}, "scopes: must be an array"),
        ({"scopes": "a"}, "scopes: must be an array"),
        ({"parameters": {"grant_type": "password"}}, "parameters: must be an object"),
        ({"parameters": {"a": 1}}, "parameters: must be an object"),
        ({"parameters": {"a": "\ud800"}}, "parameters: must be an object"),
        ({"auth_method": "none"}, "auth_method: must be basic or post"),
        ({"Evil\n": 1}, "Evil\\n: Unknown field."),
    ],
)
def test_a_client_that_cannot_be_used_is_refused(change: dict[str, Any], problem: str) -> None:
    (text,) = messages(oauth2={**CLIENT, **change})["oauth2"]
    assert text.startswith(problem)


@each("name", ["oauth2", "client_certificate"])
@each("value", ["a", 5, [], [["a", "b"]], True])
def test_what_is_no_object_is_refused(name: str, value: object) -> None:
    assert messages(**{name: value}) == {name: ["must be an object, or null"]}


def test_there_is_one_authorization_header() -> None:
    twice = {"headers": ['"authorization" would be sent twice']}
    assert messages(oauth2=CLIENT, auth_header="Bearer x") == twice
    assert messages(oauth2=CLIENT, secret_headers={"Authorization": "x"}) == twice
    assert webhook({"oauth2": None, "auth_header": "Bearer x"}).oauth2 is None


def test_a_secret_stays_for_the_same_client_and_for_no_other() -> None:
    """Else who may change a webhook could have its secret sent to a server of their own."""
    before = webhook({"oauth2": CLIENT})
    without = {name: value for name, value in CLIENT.items() if name != "client_secret"}

    for kept in (without, {**without, "client_secret": None}, {**without, "scopes": ["a"]}):
        assert webhook({"oauth2": kept}, before).oauth2.client_secret == "s3cret"
    assert webhook({"active": False}, before).oauth2 is before.oauth2
    assert webhook({"oauth2": None}, before).oauth2 is None
    for other in ({"token_url": "https://evil.example/"}, {"client_id": "them"}):
        assert messages(before, oauth2={**without, **other}) == {"oauth2": ["client_secret: is missing"]}


def test_a_certificate_is_read_and_its_key_not_shown() -> None:
    one = webhook({"client_certificate": {"certificate": f"a note\n{CERTIFICATE}{KEY}", "private_key": KEY}})

    assert "trustme" in one.client_certificate.subject
    assert one.client_certificate.expires_at > datetime.now(UTC)
    assert "PRIVATE KEY" not in str(shown(one)) + repr(one.client_certificate)
    assert shown(one)["client_certificate"].keys() == {"certificate", "subject", "expires_at"}


def test_a_key_stays_with_its_certificate() -> None:
    before = webhook({"client_certificate": PAIR})

    for text in (CERTIFICATE, f"\n{CERTIFICATE}\n"):
        assert webhook({"client_certificate": {"certificate": text}}, before).client_certificate.private_key == KEY
    missing = {"client_certificate": ["private_key: is missing"]}
    assert messages(before, client_certificate={"certificate": OTHER_CERTIFICATE}) == missing
    assert messages(client_certificate={"certificate": CERTIFICATE}) == missing


def encrypted(key: str) -> str:
    loaded = serialization.load_pem_private_key(key.encode(), None)
    form = serialization.PrivateFormat.PKCS8
    return loaded.private_bytes(serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"x")).decode()


def weak() -> tuple[str, str]:
    """A certificate with a key that OpenSSL does not use any more."""
    key = rsa.generate_private_key(65_537, 1_024)
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "weak")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return builder.sign(key, hashes.SHA256()).public_bytes(pem).decode(), key.private_bytes(pem, *form).decode()


YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def test_a_certificate_that_cannot_be_shown_is_refused() -> None:
    for pair, problem in (
        ((CERTIFICATE, OTHER_KEY), "private_key: is not the certificate's"),
        ((CERTIFICATE, "secret"), "private_key: must be in PEM, without a passphrase"),
        ((CERTIFICATE, encrypted(KEY)), "private_key: must be in PEM, without a passphrase"),
        ((KEY, KEY), "certificate: must be in PEM"),
        (("\0ž", KEY), "certificate: must be in PEM"),
        (AUTHORITY.client("x.test", not_after=YESTERDAY), f"certificate: has expired, on {YESTERDAY:%Y-%m-%d}"),
        (weak(), "certificate: it or its key is too weak for TLS, or of an unknown kind"),
        (("x" * 16_385, KEY), "certificate: must be a text in PEM of at most 16,384 characters"),
    ):
        given = dict(zip(("certificate", "private_key"), pair, strict=True))
        assert messages(client_certificate=given) == {"client_certificate": [problem]}
