"""Events: stored once by the producer, in its own transaction if it likes, and fanned out in batches."""

from collections.abc import Sequence
from datetime import datetime

from dispatcher.model.event import Event, EventDraft, FanOut
from dispatcher.storage.engine import Connection, Joinable, rows

CHANNEL = "dispatcher_events"
"""Postgres' notification of a commit that no process of ours made: see `insert`, `announced`."""

# Two emits of one key wait for each other here until the first is committed; ordered, so that batches cannot deadlock.
_LOCK_KEYS = """
select pg_advisory_xact_lock(lock) from (
    select distinct hashtextextended(%(account_id)s || ':' || key, 0) as lock
    from unnest(%(keys)s::text[]) key where key is not null order by 1) locks
"""

# Index: events_by_key, in each partition.
_BY_KEY = """
select e.idempotency_key, e.id, e.name, e.created_at from events e
where e.account_id = %(account_id)s and e.idempotency_key = any (%(keys)s::text[])
"""

# One statement for one event or thousands. `ordinal` ties the answer to the drafts.
_INSERT = """
with draft as (
    select new_event_id() as id, d.* from unnest(%(names)s::text[], %(bodies)s::text[], %(keys)s::text[],
        %(created)s::timestamptz[]) with ordinality as d (name, body, key, created_at, ordinal)),
stored as (
    insert into events (id, account_id, name, body, idempotency_key, created_at)
    select id, %(account_id)s, name, body::json, key, coalesce(created_at, now()) from draft
    returning id, created_at),
waiting as (
    insert into events_waiting (event_id, account_id, name) select id, %(account_id)s, name from draft)
select d.ordinal, s.id, s.created_at from stored s join draft d using (id)
"""

# Index: the primary key of events_waiting (small: only what waits), webhooks_by_account.
# Taking an event out of the outbox and making its deliveries is one statement: once, or not at all.
_FAN_OUT = """
with batch as (
    select event_id from events_waiting order by event_id limit %(limit)s for update skip locked),
taken as (
    delete from events_waiting where event_id = any (array (select event_id from batch))
    returning event_id, account_id, name),
made as (
    insert into deliveries (id, event_id, webhook_id, idempotency_key)
    select id, event_id, webhook_id, new_idempotency_key(id) from (
        select nextval('delivery_id') as id, t.event_id, w.id as webhook_id
        from taken t join webhooks w on w.account_id = t.account_id and w.deleted_at is null and w.active
            and t.name = any (w.events)
        order by t.event_id) matched
    returning webhook_id)
select (select count(*) from taken), (select count(*) from made), array(select distinct webhook_id from made)
"""


def insert(connection: Joinable, account_id: int, drafts: Sequence[EventDraft], *, announced: bool) -> list[Event]:
    """Stores `drafts` in order and returns them as events; one that repeats a key returns the event of that key.

    `announced`: Postgres itself tells the workers, at the commit and only then; for commits at a time we do not see.
    """
    keys = [draft.idempotency_key for draft in drafts]
    known = _lock_and_find(connection, account_id, keys) if any(keys) else {}
    fresh: list[EventDraft] = []
    for draft in drafts:
        if draft.idempotency_key is None or draft.idempotency_key not in known:
            fresh.append(draft)
            if draft.idempotency_key is not None:  # a repetition within the batch
                known[draft.idempotency_key] = None
    stored = iter(_store(connection, account_id, fresh) if fresh else [])
    if announced and fresh:
        rows(connection, f"select pg_notify('{CHANNEL}', '')")
    events: list[Event] = []
    for draft in drafts:
        key = draft.idempotency_key
        event = known.get(key) if key is not None else None
        if event is None:
            event = next(stored)
            if key is not None:
                known[key] = Event(id=event.id, name=event.name, created_at=event.created_at, new=False)
        events.append(event)
    return events


def fan_out(connection: Connection, limit: int) -> FanOut:
    """Takes up to `limit` events out of the outbox and makes one delivery for each webhook that wants them."""
    row = rows(connection, _FAN_OUT, {"limit": limit})[0]
    return FanOut(event_count=row[0], delivery_count=row[1], webhook_ids=tuple(row[2]))


def any_waiting(connection: Connection) -> bool:
    """Whether an event is in the outbox."""
    return bool(rows(connection, "select exists (select from events_waiting)")[0][0])


def _lock_and_find(connection: Joinable, account_id: int, keys: Sequence[str | None]) -> dict[str, Event | None]:
    parameters = {"account_id": account_id, "keys": [key for key in keys if key is not None]}
    rows(connection, _LOCK_KEYS, parameters)
    return {
        key: Event(id=id_, name=name, created_at=created_at, new=False)
        for key, id_, name, created_at in rows(connection, _BY_KEY, parameters)
    }


def _store(connection: Joinable, account_id: int, drafts: Sequence[EventDraft]) -> list[Event]:
    created: list[datetime | None] = [draft.created_at for draft in drafts]
    stored = rows(
        connection,
        _INSERT,
        {
            "account_id": account_id,
            "names": [draft.name for draft in drafts],
            "bodies": [draft.body_json for draft in drafts],
            "keys": [draft.idempotency_key for draft in drafts],
            "created": created,
        },
    )
    by_ordinal = {ordinal: (id_, created_at) for ordinal, id_, created_at in stored}
    return [
        Event(id=by_ordinal[n][0], name=draft.name, created_at=by_ordinal[n][1]) for n, draft in enumerate(drafts, 1)
    ]
