"""An event in: checked and rendered once, stored in one statement, in the caller's own transaction if it likes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dispatcher import crash
from dispatcher.errors import EventRefused
from dispatcher.model.event import Event, EventDraft
from dispatcher.storage import accounts, events
from dispatcher.storage.engine import Joinable, Storage
from schemas.event import render_body


@dataclass(frozen=True, kw_only=True, slots=True)
class NewEvent:
    """An event as a service emits it; `body` holds dicts or objects under the keys of the catalogue."""

    name: str
    body: Mapping[str, Any]
    created_at: datetime | None = None
    idempotency_key: str | None = None


def record_events(
    storage: Storage,
    slug: str,
    new: Sequence[NewEvent],
    connection: Joinable | None = None,
    *,
    announced: bool | None = None,
) -> list[Event]:
    """Stores `new` for the account, all or none, and returns the stored events in order.

    1. Render each body in the account's time zone; raises schemas.EventInvalid before anything is stored.
    2. Insert; an event that repeats an idempotency key of the account stands for the first one.
    With `connection` the rows belong to its transaction; without, they are committed on return.
    `announced` says whether Postgres tells the workers at the commit (default: where the caller commits); otherwise
    the caller nudges.
    """
    if announced is None:
        announced = connection is not None
    if connection is not None:
        return _record(connection, slug, new, announced)
    stored = storage.run(lambda own: _record(own, slug, new, announced))
    crash.reached("after_commit_before_nudge")
    return stored


def _record(connection: Joinable, slug: str, new: Sequence[NewEvent], announced: bool) -> list[Event]:
    account = accounts.find(connection, slug)
    stored = events.insert(
        connection, account.id, [_draft(event, account.time_zone) for event in new], announced=announced
    )
    crash.reached("before_commit")
    return stored


def _draft(event: NewEvent, time_zone: str) -> EventDraft:
    if event.created_at is not None and event.created_at.tzinfo is None:
        raise EventRefused("created_at", "needs a time zone, such as datetime.now(timezone.utc)")
    if event.idempotency_key is not None and not 1 <= len(event.idempotency_key) <= 255:
        raise EventRefused("idempotency_key", "must have 1 to 255 characters")
    if event.idempotency_key is not None and not event.idempotency_key.isprintable():
        raise EventRefused("idempotency_key", "must have printable characters only")
    return EventDraft(
        name=event.name,
        body_json=render_body(event.name, event.body, time_zone=time_zone),
        created_at=event.created_at,
        idempotency_key=event.idempotency_key,
    )
