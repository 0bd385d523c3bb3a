"""What an emit runs: events are stored once, in the producer's own transaction if it likes, on any connection.

A process that only emits loads this and the adapter of its connection; SQLAlchemy is not needed.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC
from itertools import compress, islice
from typing import Any, NamedTuple

from dispatcher.connections.adapter import Adapter, Planned, Row, array, completed
from dispatcher.connections.recognise import adapter_for
from dispatcher.errors import AccountNotFound
from dispatcher.model.account import Account
from dispatcher.model.event import Event, EventDraft

MANY = 50
"""Events from which COPY costs less than INSERT, with all its round trips."""
CHANNEL = "dispatcher_events"
"""Each transaction that stores an event notifies the workers here, so at its commit and only then (`Listener`)."""

_NOTIFY = f"pg_notify('{CHANNEL}', '')"

# Two emits of one key wait for each other here until the first is committed; ordered, so that batches cannot deadlock.
_LOCK_KEYS = """
select pg_advisory_xact_lock(lock) from (
    select distinct hashtextextended(account_id || ':' || key, 0) as lock
    from unnest(%(account_ids)s::int[], %(keys)s::text[]) as asked (account_id, key) order by 1) locks
"""

# The same locks, without waiting: those that another transaction has.
_TAKEN_KEYS = """
select account_id, key from unnest(%(account_ids)s::int[], %(keys)s::text[]) as asked (account_id, key)
where not pg_try_advisory_xact_lock(hashtextextended(account_id || ':' || key, 0))
"""

# Index: events_by_key, in each partition; one probe for each key, whatever the statistics say.
_BY_KEY = """
select asked.account_id, asked.key, e.id, e.name, e.created_at at time zone 'utc'
from unnest(%(account_ids)s::int[], %(keys)s::text[]) as asked (account_id, key)
cross join lateral (
    select id, name, created_at from dispatcher.events
    where account_id = asked.account_id and idempotency_key = asked.key limit 1) e
"""

# The first id of a statement is of the present second; the others are the next ones.
_ID = "case {nth} when 1 then dispatcher.new_event_id() else nextval('dispatcher.event_counter') end"

# One statement for one event or thousands. `ordinal` ties its rows to the drafts. One notification a transaction.
_INSERT = Planned(f"""
with draft as (
    select {_ID.format(nth="ordinal")} as id, d.* from unnest(%(account_ids)s::int[], %(names)s::text[],
        string_to_array(%(bodies)s, E'\\n'), %(keys)s::text[], %(created)s::timestamptz[], %(resources)s::text[],
        %(traceparents)s::text[], %(versions)s::smallint[])
        with ordinality as d (account_id, name, body, key, created_at, resource, traceparent, version, ordinal)),
stored as (
    insert into dispatcher.events (id, account_id, name, body, idempotency_key, created_at, traceparent, version)
    select id, account_id, name, body::json, key, coalesce(created_at, now()), traceparent, version from draft
    returning id, created_at),
waiting as (
    insert into dispatcher.events_waiting (event_id, account_id, name, resource)
    select id, account_id, name, resource from draft)
select d.ordinal, s.id, s.created_at at time zone 'utc', case when d.ordinal = 1 then {_NOTIFY} end
from stored s join draft d using (id)
""")

# The same for one event, which is what services mostly emit: without arrays and a join it costs Postgres half.
_ONE = f"""
with stored as (
    insert into dispatcher.events (account_id, name, body, idempotency_key, created_at, traceparent, version)
    select %(account_id)s::int, %(name)s, %(body)s::json, %(key)s, coalesce(%(created)s::timestamptz, now()),
        %(traceparent)s, %(version)s::smallint {{source}}
    returning id, created_at),
waiting as (
    insert into dispatcher.events_waiting (event_id, account_id, name, resource)
    select id, %(account_id)s::int, %(name)s, %(resource)s from stored)
select id, created_at at time zone 'utc', {_NOTIFY} from stored
"""
_INSERT_ONE = Planned(_ONE.format(source=""))
# Index: the primary key of accounts.
_INSERT_ONE_OF_KNOWN = _ONE.format(
    source="from dispatcher.accounts where id = %(account_id)s::int and slug = %(slug)s and time_zone = %(time_zone)s"
)

# And for very many, which are copied: their ids, in order, and when that is.
_NEW_IDS = f"""
select now() at time zone 'utc', array(select {_ID.format(nth="n")} from generate_series(1, %(count)s) n), {_NOTIFY}
"""
_COLUMNS = ("id", "account_id", "name", "body", "idempotency_key", "created_at", "traceparent", "version")
_WAITING_COLUMNS = ("event_id", "account_id", "name", "resource")

_ACCOUNT = "select id, slug, time_zone from dispatcher.accounts where slug = %(slug)s and ended_at is null"


class Emit(NamedTuple):
    """What one call emits: drafts of an account, and in which trace (W3C Trace Context; None: in none)."""

    account_id: int
    drafts: Sequence[EventDraft]
    traceparent: str | None = None


def find_account(connection: object, slug: str) -> Account:
    """As `find_account_by`, on a synchronous connection."""
    return completed(find_account_by(adapter_for(connection), slug))


async def find_account_by(adapter: Adapter, slug: str) -> Account:
    """The account of that slug; raises AccountNotFound."""
    for id_, stored_slug, time_zone in await adapter.rows(_ACCOUNT, {"slug": slug}):
        return Account(id=id_, slug=stored_slug, time_zone=time_zone)
    raise AccountNotFound(slug)


def insert(
    connection: object, account_id: int, drafts: Sequence[EventDraft], *, traceparent: str | None = None
) -> list[Event]:
    """As `insert_by`, on a synchronous connection."""
    return completed(insert_by(adapter_for(connection), Emit(account_id, drafts, traceparent)))


async def insert_by(adapter: Adapter, emit: Emit) -> list[Event]:
    """Stores the drafts in order and returns them as events; one that repeats a key returns the event of that key.

    All of it is in the transaction that the connection is in, or in one of its own.
    """
    keys = _keys([emit])
    if not keys:
        return await _insert_all(adapter, [emit])
    async with _one_transaction(adapter):
        await adapter.rows(_LOCK_KEYS, _key_parameters(keys))
        return (await _store(adapter, [emit], await _find(adapter, keys)))[0]


async def insert_one_by(
    adapter: Adapter, known: Account, draft: EventDraft, *, traceparent: str | None = None
) -> Event | None:
    """Stores one event that has no key, by one statement; None, and nothing is stored, where the account has changed.

    `known` is the account as it once was looked up.
    """
    parameters = _parameters(Emit(known.id, [draft], traceparent)) | {"slug": known.slug, "time_zone": known.time_zone}
    for row in await adapter.rows(_INSERT_ONE_OF_KNOWN, parameters):
        return _stored(draft, row)
    return None


def insert_all(connection: object, emits: Sequence[Emit]) -> list[list[Event]]:
    """As `insert`, what several calls emit; in a transaction."""
    return completed(_insert_in_turn(adapter_for(connection), emits))


async def _insert_in_turn(adapter: Adapter, emits: Sequence[Emit]) -> list[list[Event]]:
    keys = _keys(emits)
    if keys:
        await adapter.rows(_LOCK_KEYS, _key_parameters(keys))
    return await _store(adapter, emits, await _find(adapter, keys))


@asynccontextmanager
async def _one_transaction(adapter: Adapter) -> AsyncIterator[None]:
    """Where each statement would be its own: a key's lock is held until the commit, and several COPYs are one."""
    if not await adapter.commits_each():
        yield
        return
    try:
        await adapter.rows("begin")
        yield
        await adapter.rows("commit")
    except BaseException:  # such as the end of a task, which can come while any of the three is under way
        await adapter.rows("rollback")
        raise


def insert_together(connection: object, emits: Sequence[Emit]) -> list[list[Event] | None]:
    """Stores what several calls emit: as `insert`, but it waits for nobody.

    None: another transaction is storing an event of one of its keys, or was a moment ago.
    """
    return completed(_insert_together(adapter_for(connection), emits))


async def _insert_together(adapter: Adapter, emits: Sequence[Emit]) -> list[list[Event] | None]:
    keys = _keys(emits)
    if not keys:
        new = iter(await _insert_all(adapter, emits))
        return [[*islice(new, len(emit.drafts))] for emit in emits]
    async with _one_transaction(adapter):
        taken = {(account_id, key) for account_id, key in await adapter.rows(_TAKEN_KEYS, _key_parameters(keys))}
        free = [not taken or taken.isdisjoint(_keys([emit])) for emit in emits]
        known = await _find(adapter, [key for key in keys if key not in taken])
        stored = iter(await _store(adapter, [*compress(emits, free)], known))
        return [next(stored) if is_free else None for is_free in free]


_Key = tuple[int, str]
"""Account and idempotency key."""


def _keys(emits: Sequence[Emit]) -> list[_Key]:
    """Each once."""
    return list(
        {
            (emit.account_id, draft.idempotency_key): None
            for emit in emits
            for draft in emit.drafts
            if draft.idempotency_key is not None
        }
    )


def _key_parameters(keys: Sequence[_Key]) -> dict[str, str]:
    return {"account_ids": array(account_id for account_id, _ in keys), "keys": array(key for _, key in keys)}


async def _find(adapter: Adapter, keys: Sequence[_Key]) -> dict[_Key, Event]:
    """The events that have been stored with these keys, which are locked."""
    if not keys:
        return {}
    return {
        (account_id, key): Event(id=id_, name=name, created_at=created_at.replace(tzinfo=UTC), new=False)
        for account_id, key, id_, name, created_at in await adapter.rows(_BY_KEY, _key_parameters(keys))
    }


async def _store(adapter: Adapter, emits: Sequence[Emit], known: dict[_Key, Event]) -> list[list[Event]]:
    """Stores all drafts but those whose key is known or repeated; returns the events of each emit."""
    fresh, seen = [], set(known)
    for emit in emits:
        drafts = []
        for draft in emit.drafts:
            key = draft.idempotency_key
            if key is None or (emit.account_id, key) not in seen:
                drafts.append(draft)
            if key is not None:
                seen.add((emit.account_id, key))
        fresh.append(emit._replace(drafts=drafts))
    new = iter(await _insert_all(adapter, fresh))
    return [[_event(emit.account_id, draft, known, new) for draft in emit.drafts] for emit in emits]


def _event(account_id: int, draft: EventDraft, known: dict[_Key, Event], new: Iterator[Event]) -> Event:
    """The next new one, unless its key is known; of a key that is repeated here the first is new."""
    if draft.idempotency_key is None:
        return next(new)
    key = (account_id, draft.idempotency_key)
    if key in known:
        return known[key]
    event = next(new)
    known[key] = event._replace(new=False)
    return event


async def _insert_all(adapter: Adapter, emits: Sequence[Emit]) -> list[Event]:
    """By one statement, which may be its own transaction; MANY and more by three, where the connection copies."""
    count = sum(len(emit.drafts) for emit in emits)
    if count == 0:
        return []
    if count == 1:
        return [await _insert_one(adapter, *(emit for emit in emits if emit.drafts))]
    if count < MANY or not adapter.copies():
        return await _insert(adapter, emits)
    async with _one_transaction(adapter):
        return await _copy(adapter, emits, count)


async def _insert_one(adapter: Adapter, emit: Emit) -> Event:
    return _stored(emit.drafts[0], (await adapter.rows(_INSERT_ONE, _parameters(emit)))[0])


def _parameters(emit: Emit) -> dict[str, Any]:
    (draft,) = emit.drafts
    return {
        "account_id": emit.account_id,
        "name": draft.name,
        "body": draft.body_json.decode(),
        "key": draft.idempotency_key,
        "created": draft.created_at,
        "resource": draft.resource,
        "traceparent": emit.traceparent,
        "version": draft.version,
    }


def _stored(draft: EventDraft, row: Row) -> Event:
    id_, created_at, _ = row
    return Event(id=id_, name=draft.name, created_at=created_at.replace(tzinfo=UTC))


async def _copy(adapter: Adapter, emits: Sequence[Emit], count: int) -> list[Event]:
    """All their events, in order."""
    now, ids, _ = (await adapter.rows(_NEW_IDS, {"count": count}))[0]
    now = now.replace(tzinfo=UTC)
    new = list(zip(ids, ((emit, draft) for emit in emits for draft in emit.drafts), strict=True))
    stored = [Event(id=id_, name=draft.name, created_at=draft.created_at or now) for id_, (_, draft) in new]
    await adapter.copy(
        "dispatcher.events",
        _COLUMNS,
        (
            (id_, emit.account_id, draft.name, draft.body_json, draft.idempotency_key, draft.created_at or now,
             emit.traceparent, draft.version)
            for id_, (emit, draft) in new
        ),
    )  # fmt: skip
    await adapter.copy(
        "dispatcher.events_waiting",
        _WAITING_COLUMNS,
        ((id_, emit.account_id, draft.name, draft.resource) for id_, (emit, draft) in new),
    )
    return stored


def arrays_of(drafts: Sequence[EventDraft]) -> dict[str, str]:
    """What every insert of several events takes of the drafts, in order."""
    return {
        "names": array(draft.name for draft in drafts),
        "bodies": b"\n".join([draft.body_json for draft in drafts]).decode(),  # compact JSON has no line breaks
        "keys": array(draft.idempotency_key for draft in drafts),
        "created": array(draft.created_at for draft in drafts),
    }


async def _insert(adapter: Adapter, emits: Sequence[Emit]) -> list[Event]:
    """All their events, in order."""
    drafts = [draft for emit in emits for draft in emit.drafts]
    versions = [draft.version for draft in drafts]
    parameters = arrays_of(drafts) | {
        "account_ids": array(emit.account_id for emit in emits for _ in emit.drafts),
        "resources": array(draft.resource for draft in drafts),
        "traceparents": array(emit.traceparent for emit in emits for _ in emit.drafts),
        "versions": array(versions) if any(versions) else None,  # which stands for nulls, and costs less
    }
    at = {ordinal: (id_, created_at) for ordinal, id_, created_at, _ in await adapter.rows(_INSERT, parameters)}
    return [
        Event(id=at[n][0], name=draft.name, created_at=at[n][1].replace(tzinfo=UTC))
        for n, draft in enumerate(drafts, 1)
    ]
