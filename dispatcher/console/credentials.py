"""The part of a webhook's form that says with what requests show who sends them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dispatcher.model.credentials import ClientCertificate
from dispatcher.schemas.api.credentials import ClientCertificateSchema, OAuth2Schema
from dispatcher.schemas.api.headers import read_lines

SOON_DAYS = 30
_oauth2, _client_certificate = OAuth2Schema(), ClientCertificateSchema()


def read_credentials(form: Mapping[str, str]) -> dict[str, Any]:
    """The two attributes as the API would have them. A secret that is left empty stays as it is."""

    def text(name: str) -> str:
        return form.get(name, "").strip()

    client = {
        "token_url": text("oauth2_token_url"),
        "client_id": text("oauth2_client_id"),
        "client_secret": text("oauth2_client_secret") or None,
        "scopes": text("oauth2_scopes").split(),
        "parameters": read_lines(text("oauth2_parameters").splitlines()),
        "auth_method": text("oauth2_auth_method"),
    }
    certificate = {"certificate": text("certificate"), "private_key": text("private_key") or None}
    is_client = any(client[name] for name in ("token_url", "client_id", "client_secret"))
    return {
        "oauth2": client if is_client else None,
        "client_certificate": certificate if any(certificate.values()) else None,
    }


def shown_credentials(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of a webhook or of what was written, without secrets."""
    schemas = {"oauth2": _oauth2, "client_certificate": _client_certificate}
    return {name: schema.dump(values[name]) if values.get(name) else None for name, schema in schemas.items()}


def days_left(certificate: ClientCertificate | None, now: datetime) -> int | None:
    """Until it expires, where that is soon; None: there is nothing to say."""
    days = None if certificate is None else (certificate.expires_at - now).days
    return days if days is not None and days < SOON_DAYS else None


def typed_credentials(values: Mapping[str, Any]) -> dict[str, bool]:
    """Whether a secret of each was written a moment ago."""
    secrets = {"oauth2": "client_secret", "client_certificate": "private_key"}
    return {name: bool((values.get(name) or {}).get(secret)) for name, secret in secrets.items()}
