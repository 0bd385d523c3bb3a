"""With what requests show their receiver who sends them, beside a signature: an OAuth 2.0 client, a certificate."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class OAuth2:
    """A client whose access token is sent (RFC 6749, 4.4)."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    """What else the token is asked for with, such as `audience`."""
    auth_method: Literal["basic", "post"] = "basic"
    """Whether the client's id and secret go in the `Authorization` header or in the body."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientCertificate:
    """A certificate, in PEM with those that lead to its authority, and its key."""

    certificate: str
    private_key: str = field(repr=False)
    subject: str
    expires_at: datetime
