"""Who wants events: a URL, the names it subscribed to, and how it is signed and authorised."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class PayloadVersion(StrEnum):
    """What a POST looks like: API v3's envelope, or the flat object of integrations from before v2."""

    V3 = "v3"
    LEGACY = "legacy"


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook:
    """A stored webhook as its owner sees it. `auth_header` is in plain here and encrypted in the row."""

    id: int
    account_slug: str
    failed_deliveries_uuid: UUID
    webhook_url: str
    auth_header: str | None = field(repr=False)
    active: bool
    events: tuple[str, ...]
    payload_version: PayloadVersion
    signing_secret: str = field(repr=False)
    """`whsec_` and base64, as Standard Webhooks writes it."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a drain needs to know of a webhook to address and sign a POST; secrets are in plain and not in `repr`."""

    webhook_id: int
    url: str = field(repr=False)
    auth_header: str | None = field(repr=False)
    signing_keys: tuple[bytes, ...] = field(repr=False)
    """Raw HMAC keys, newest first; two while a rotation lasts."""
    payload_version: PayloadVersion
