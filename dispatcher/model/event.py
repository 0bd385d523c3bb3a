"""What happened: an event, stored once and never changed."""

from dataclasses import dataclass
from datetime import datetime

BODY_LIMIT = 5 * 1024 * 1024
"""Bytes of an event's body, and of a request; more are refused."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """An accepted event. `id` grows with time; `created_at` is when it happened, aware, UTC."""

    id: int
    name: str
    created_at: datetime
    new: bool = True
    """False where an earlier emit with the same idempotency key had stored it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EventDraft:
    """An event before it is stored. `body_json` is the body's JSON text, exactly as it will be sent, in UTF-8."""

    name: str
    body_json: bytes
    created_at: datetime | None = None
    idempotency_key: str | None = None
    resource: str | None = None
    """What it is about: name and id, such as `invoice:93`; None for a bulk event."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FanOut:
    """What one fan-out transaction did: events taken, deliveries made, and the webhooks that now have work."""

    event_count: int
    delivery_count: int
    webhook_ids: tuple[int, ...]
    """Of deliveries that are due; not of those that the fan-out has leased itself."""
    event_ids: tuple[int, ...] = ()
    in_order: bool = False
    """Whether events were left for a fan-out that puts them in order."""
    behind: int | None = None
    """The event, in another fan-out's hands, behind which some of its account were left in the outbox; None: none."""
