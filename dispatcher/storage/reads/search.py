"""What somebody looks for in an account: a thing by any of its ids, each by an index; and events by text in their body.

No index knows what is in a body, so a search by text reads events, newest first, a batch at a time, and ends where it
has found enough or has read as much as it may (Bounds); it says how far it came.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from dispatcher.clock import monotonic
from dispatcher.ids import delivery_id_of, first_event_id, recorded_after
from dispatcher.storage.engine import Connection, records, rows

LARGEST_BODY = 256 << 10
"""Bytes as stored, compressed; a larger body is not searched."""
_FIRST, _LARGEST, _STEP_S = 20, 500, 0.2
"""Events that one statement reads at first and at most: twice as many after one that took less than _STEP_S, else half.

Bodies of some MiB may be stored in a few KiB, so their number says little about what a statement takes.
"""
_BEYOND = 2**63 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """What one search by text may cost: `events` and `stored_bytes` of bodies that it reads, and `seconds`."""

    events: int = 10_000
    stored_bytes: int = 64 << 20
    seconds: float = 3.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A thing with that id: `kind` is delivery, event, webhook or replay; `by` is which of its ids that was."""

    kind: str
    id: int
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TextSearch:
    """Ids of events, newest first. `before`: older ones than this were not read; None: all in the range were."""

    ids: tuple[int, ...]
    events: int
    """How many were read."""
    oldest: datetime | None
    """When the last of these was recorded."""
    before: int | None
    skipped: int
    """Bodies that are too large to be searched."""


# Index, in this order: deliveries_by_id (twice), the primary keys of events, webhooks and replays, events_by_key,
# webhooks_uid_is_unique.
_BY_ID = """
select 'delivery', d.id, 'id' from dispatcher.deliveries d join dispatcher.webhooks w on w.id = d.webhook_id
where d.id = %(number)s and w.account_id = %(account_id)s
union all
select 'delivery', d.id, 'Idempotency-Key'
from dispatcher.deliveries d join dispatcher.webhooks w on w.id = d.webhook_id
where d.id = %(key_id)s and d.idempotency_key = %(key)s and w.account_id = %(account_id)s
union all
select 'event', id, 'id' from dispatcher.events where id = %(number)s and account_id = %(account_id)s
union all
select 'webhook', id, 'id' from dispatcher.webhooks
where id = %(small)s and account_id = %(account_id)s and deleted_at is null
union all
select 'replay', id, 'id' from dispatcher.replays where id = %(small)s and account_id = %(account_id)s
union all
(select 'event', id, 'idempotency key' from dispatcher.events
where account_id = %(account_id)s and idempotency_key = %(text)s order by id desc limit 20)
union all
select 'webhook', id, 'uid' from dispatcher.webhooks
where account_id = %(account_id)s and uid = %(text)s and deleted_at is null
"""

# Index: events_by_account, backwards, in each day's partition. A body that is too large is not even unpacked.
_BY_TEXT = """
select e.id, pg_column_size(e.body),
    case when pg_column_size(e.body) <= %(largest)s then strpos(lower(e.body::text), lower(%(text)s)) > 0 end
from dispatcher.events e
where e.account_id = %(account_id)s and e.id < %(before)s and e.id >= %(first)s
order by e.id desc limit %(batch)s
"""


def by_id(connection: Connection, account_id: int, text: str) -> list[Hit]:
    """The account's things with that id, or key."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
    try:
        key = UUID(text)
    except ValueError:
        key = None
    ids: dict[str, Any] = {
        "number": number,
        "small": number if number is not None and number < 2**31 else None,
        "key": key,
        "key_id": key and delivery_id_of(key),
    }
    return records(connection, Hit, _BY_ID, **ids, text=text, account_id=account_id)


def by_text(
    connection: Connection,
    account_id: int,
    text: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 40,
    bounds: Bounds = Bounds(),
    keep: Callable[[Sequence[int]], list[int]] = list,
) -> TextSearch:
    """Events recorded in that time whose body, as it was written, contains `text`; of these, what `keep` returns.

    Case does not count, as far as the database's collation knows it.
    """
    place = min(first_event_id(until) if until else _BEYOND, _BEYOND if before is None else before)
    narrowed = {"account_id": account_id, "text": text, "first": first_event_id(since) if since else 0}
    ends_s, ids = monotonic() + bounds.seconds, list[int]()
    count = size = skipped = 0
    has_more, most = True, _FIRST
    while has_more and len(ids) <= limit and count < bounds.events and size < bounds.stored_bytes:
        most, began_s = min(most, bounds.events - count), monotonic()
        batch = rows(connection, _BY_TEXT, **narrowed, before=place, batch=most, largest=LARGEST_BODY)
        ids += keep([id_ for id_, _, matches in batch if matches])
        count, size = count + len(batch), size + sum(one[1] for one in batch)
        skipped += sum(one[2] is None for one in batch)
        place, has_more = batch[-1][0] if batch else place, len(batch) == most
        if monotonic() > ends_s:
            break
        most = min(2 * most, _LARGEST) if monotonic() - began_s < _STEP_S else max(1, most // 2)
    if len(ids) > limit:
        place, has_more = ids[limit - 1], True
    return TextSearch(
        ids=tuple(ids[:limit]),
        events=count,
        oldest=recorded_after(place) if count else None,
        before=place if has_more else None,
        skipped=skipped,
    )
