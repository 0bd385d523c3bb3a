"""What happened: an event, stored once and never changed."""

from datetime import datetime
from typing import NamedTuple

BODY_LIMIT = 5 * 1024 * 1024
"""Bytes of an event's body, and of a request; more are refused."""


class Event(NamedTuple):
    """An accepted event. `id` grows with time; `created_at` is when it happened, aware, UTC."""

    id: int
    name: str
    created_at: datetime
    new: bool = True
    """False where an earlier emit with the same idempotency key had stored it."""


class EventDraft(NamedTuple):
    """An event before it is stored. `body_json` is the body's JSON text, exactly as it will be sent, in UTF-8."""

    name: str
    body_json: bytes
    created_at: datetime | None = None
    idempotency_key: str | None = None
    resource: str | None = None
    """What it is about: name and id, such as `invoice:93`; None for a bulk event."""
    version: int | None = None
    """Of its body; None: the first, as of most."""
