"""OAuth 2.0 clients and client certificates of webhooks, read from what their owners write.

A secret that is left out is the stored one, but only for the same token endpoint and client, or the same certificate:
whoever may change a webhook must not be able to have its secret sent to a server of their own.
"""

import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from marshmallow import ValidationError

from dispatcher import clock
from dispatcher.model.credentials import ClientCertificate, OAuth2
from dispatcher.model.webhook import Webhook
from dispatcher.sender.certificates import load_client_certificate

_KEPT = {
    "oauth2": ("client_secret", ("token_url", "client_id")),
    "client_certificate": ("private_key", ("certificate",)),
}
"""Option → the secret that is kept where these parts stay."""


def with_kept_secrets(before: Webhook | None, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Of `changes` these options, with the secrets that are stored."""
    return {
        name: _with_secret(getattr(before, name, None), changes[name], secret, same)
        for name, (secret, same) in _KEPT.items()
        if isinstance(changes.get(name), Mapping)
    }


def read_credentials(checked: Mapping[str, Any]) -> dict[str, Any]:
    """Of checked attributes these options as they are stored; raises a ValidationError."""
    read: dict[str, Any] = {}
    for name, (secret, _) in _KEPT.items():
        if isinstance(checked.get(name), Mapping) and secret not in checked[name]:
            raise ValidationError(f"{secret}: is missing", name)
    if isinstance(client := checked.get("oauth2"), Mapping):
        read["oauth2"] = OAuth2(**client)
    if isinstance(pair := checked.get("client_certificate"), Mapping):
        try:
            read["client_certificate"] = _certificate(pair["certificate"], pair["private_key"])
        except ValueError as error:
            raise ValidationError(str(error), "client_certificate") from None
    return read


def _with_secret(
    stored: OAuth2 | ClientCertificate | None, change: Mapping[str, Any], secret: str, same: tuple[str, ...]
) -> Mapping[str, Any]:
    if change.get(secret) is not None:
        return change
    if stored is not None and all(_normal(change.get(name)) == getattr(stored, name) for name in same):
        return {**change, secret: getattr(stored, secret)}
    return {name: value for name, value in change.items() if name != secret}


def _normal(text: Any) -> Any:
    """A certificate as it is stored; other texts as they are."""
    with suppress(ValueError, AttributeError):
        return _as_pem(x509.load_pem_x509_certificates(text.encode()))
    return text


def _as_pem(chain: list[x509.Certificate]) -> str:
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in chain)


def _certificate(certificate: str, private_key: str) -> ClientCertificate:
    """Raises ValueError for what TLS could not show, which says why and repeats nothing."""
    try:
        chain = x509.load_pem_x509_certificates(certificate.encode())
        subject, expires_at = chain[0].subject.rfc4514_string(), chain[0].not_valid_after_utc
    except ValueError:
        raise ValueError("certificate: must be in PEM") from None
    if expires_at <= clock.now():
        raise ValueError(f"certificate: has expired, on {expires_at:%Y-%m-%d}")
    pem = _as_pem(chain)  # and nothing beside, such as a key, for it is shown
    try:
        key = serialization.load_pem_private_key(private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("private_key: must be in PEM, without a passphrase") from None
    if key.public_key() != chain[0].public_key():
        raise ValueError("private_key: is not the certificate's")
    try:
        load_client_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), pem, private_key)
    except OSError:
        raise ValueError("certificate: it or its key is too weak for TLS, or of an unknown kind") from None
    return ClientCertificate(certificate=pem, private_key=private_key, subject=subject, expires_at=expires_at)
