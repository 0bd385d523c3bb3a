"""Who subscribes to events: a URL, the names it subscribed to, and how it is signed and authorised."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from dispatcher.model.options import NO_OPTIONS, Options

POLL_URL = "poll:"
"""In the place of a URL: deliveries are not sent, but kept until they are fetched."""


class PayloadVersion(StrEnum):
    """What a POST looks like: API v3's envelope, or the flat object of integrations from before v2."""

    V3 = "v3"
    LEGACY = "legacy"


class Signing(StrEnum):
    """Whether a POST carries the headers of Standard Webhooks."""

    STANDARD = "standard"
    NONE = "none"


class Ordering(StrEnum):
    """Whether deliveries of one resource go out one at a time, in the order of their events."""

    NONE = "none"
    RESOURCE = "resource"


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook(Options):
    """A stored webhook as its owner sees it, with its options. `auth_header` is in plain here, encrypted in the row."""

    id: int
    account_slug: str
    failed_deliveries_uuid: UUID
    webhook_url: str = field(repr=False)
    """A query may hold its receiver's token."""
    auth_header: str | None = field(repr=False)
    active: bool
    events: tuple[str, ...]
    payload_version: PayloadVersion
    signing_secret: str = field(repr=False)
    """`whsec_` and base64, as Standard Webhooks writes it."""
    public_key: str | None
    """`whpk_` and base64: of the pair that signs with ed25519; None: there is none yet."""
    created_at: datetime
    updated_at: datetime
    client_id: int | None = None
    """The client whose it is (its row's id); None: an operator created it."""
    uid: str | None = None
    """The company's own id of it, one of each in an account."""
    description: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Of the company's programs."""
    rate_limit: int | None = None
    """Requests per second at most; None: no limit."""
    signing: Signing = Signing.STANDARD
    ordering: Ordering = Ordering.NONE
    superseding: bool = False
    """Whether a pending update of a resource is superseded by a newer one."""
    deactivated_at: datetime | None = None
    deactivated_reason: str | None = None
    """Why the dispatcher disabled it; None: its owner did, or it is active."""
    filter: Mapping[str, Any] | None = None
    """What bodies of events must match (`pipeline.filters`); None: nothing."""

    @property
    def delivery(self) -> str:
        """`poll`, where deliveries are kept until they are fetched; else `push`."""
        return "poll" if self.webhook_url == POLL_URL else "push"

    @property
    def jwks_path(self) -> str | None:
        """Where its public keys are, below the URL of the API; None: it has none."""
        return self.public_key and f"/webhooks/{self.failed_deliveries_uuid}/.well-known/jwks.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningSecret:
    """`secret` as `whsec_...`; until `previous_valid_until` (None: no more) the one before it signs too."""

    secret: str = field(repr=False)
    public_key: str | None
    previous_valid_until: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningKeys:
    """What one signing secret signs with."""

    secret: str = field(repr=False)
    """As its receiver was given it."""
    hmac: bytes = field(repr=False)
    """The raw key that it stands for."""
    ed25519: Callable[[bytes], bytes] | None = field(default=None, repr=False)
    """Signs with the private key; None: there is no pair."""
    public_key: str | None = None
    """`whpk_` and base64."""
    text: str | None = field(default=None, repr=False)
    """In the place of `secret`, where the signature is not of Standard Webhooks: it came from elsewhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a drain needs to know of a webhook to address and sign a POST; secrets are in plain and not in `repr`."""

    webhook_id: int
    url: str = field(repr=False)
    auth_header: str | None = field(repr=False)
    signing_keys: tuple[SigningKeys, ...] = field(repr=False)
    """Newest first; two while a rotation lasts."""
    payload_version: PayloadVersion
    signing: Signing = Signing.STANDARD
    rate_limit: int | None = None
    """Requests per second at most."""
    failing_s: float | None = None
    """Seconds since the first of its failures after the last success; None: the last was a success."""
    options: Options = NO_OPTIONS
