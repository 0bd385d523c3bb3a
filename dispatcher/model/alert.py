"""Alerts to people: who is notified (a channel), of what (a kind), and one alert."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit


class ChannelType(StrEnum):
    """How a channel is reached."""

    EMAIL = "email"
    SLACK = "slack"
    WEBHOOK = "webhook"


class AlertKind(StrEnum):
    """What a channel may be notified of. The last two are for operators: nobody else can do anything about them."""

    FAILING = "failing"
    DISABLED = "disabled"
    RECOVERED = "recovered"
    QUOTA_REACHED = "quota_reached"
    BACKLOG = "backlog"
    OUTBOX = "outbox"


OF_ACCOUNTS = (AlertKind.FAILING, AlertKind.DISABLED, AlertKind.RECOVERED, AlertKind.QUOTA_REACHED)
"""Of what an account's channels may be notified, and are by default."""
OF_OPERATORS = (AlertKind.QUOTA_REACHED, AlertKind.BACKLOG, AlertKind.OUTBOX, AlertKind.RECOVERED)
"""Of what operators' channels are notified by default; of the webhooks of all accounts on request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertChannel:
    """Somebody who is notified. `target` is an e-mail address or a URL, which may hold a token; in plain here."""

    id: int
    account_id: int | None
    """None: the operators'."""
    name: str
    type: ChannelType
    target: str = field(repr=False)
    alerts: tuple[AlertKind, ...]
    failing_after_minutes: int
    active: bool
    signing_secret: str | None = field(repr=False)
    """`whsec_...`, of a webhook."""
    created_at: datetime
    updated_at: datetime
    last_sent_at: datetime | None = None
    last_error: str | None = None
    """Why the last message was not taken; None: it was."""
    failures: int = 0
    """Messages in a row that were not taken."""

    @property
    def shown_target(self) -> str:
        """Without what may be a token: the host of a URL."""
        if self.type is ChannelType.EMAIL:
            return self.target
        parts = urlsplit(self.target)
        return f"{parts.scheme}://{parts.netloc}/…"


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One thing of which a channel is to be notified. No payload and no secret is in it."""

    subject: str
    """What it is about: `webhook:12`, `quota:7:emits`, `backlog:events`, `outbox:orders`."""
    kind: AlertKind
    since: datetime
    account: str | None = None
    """The account's slug."""
    webhook_id: int | None = None
    label: str
    """For people: the host of a webhook's URL, whose quota it is, the outbox's name."""
    detail: str | None = None
    """For people: why."""
