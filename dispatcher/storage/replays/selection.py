"""What a replay takes: the deliveries that match, the events that a webhook missed, and moving a batch of them.

Of a webhook a scan reads the next few rows by id, whether they match or not, so that no statement takes long, however
much history there is; the next scan goes on from there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from dispatcher.ids import COUNTER_BITS, first_event_id, recorded_after
from dispatcher.model.delivery import State
from dispatcher.model.replay import ReplaySpec
from dispatcher.storage.engine import Connection, array, record, records, rows, scalar, scalars
from dispatcher.storage.pipeline import order
from dispatcher.storage.pipeline.deliveries import RESTART, RESTARTABLE
from dispatcher.storage.pipeline.events import subscribed

# Index: webhooks_by_account.
_WEBHOOKS = """
select id from dispatcher.webhooks
where account_id = %(account_id)s and deleted_at is null
    and (%(webhook_id)s::bigint is null or id = %(webhook_id)s)
    and (%(client_id)s::int is null or client_id = %(client_id)s)
order by id
"""

# Each webhook's next rows by id, and whether they match. The event is looked up for those only that match otherwise,
# and never joined, so that no plan reads all events. Index: deliveries_failed where only these are wanted, else
# deliveries_..._by_webhook; of each day from that of `since` on, because a delivery is finished on the day it was
# created, or later. Asked for one webhook as a range and in the order of these indexes: by `webhook_id = w.id order by
# id` the planner may walk the deliveries of all webhooks by id instead, to the end where this one has none.
_SCAN = """
with scanned as materialized (
    select w.id as webhook_id, d.id, d.finished_on,
        d.state = any (%(states)s::text[]) and d.created_at >= %(since)s and d.created_at < %(until)s
            and d.updated_at <= %(as_of)s {not_too_often}
            and coalesce((
                select {of_event} from dispatcher.events e where e.id = d.event_id and e.erasure is null), false
            ) as fits
    from unnest(%(webhook_ids)s::int[], %(afters)s::bigint[]) as w (id, after)
    cross join lateral (
        select id, event_id, state, created_at, updated_at, finished_on, redelivery_count from dispatcher.deliveries
        where (webhook_id, id) > (w.id, w.after) and webhook_id <= w.id
            and finished_on between %(first_day)s and %(last_day)s {only_failed}
        order by webhook_id, id limit %(scan)s) d)
"""

_COUNT = """
select webhook_id, count(*), max(id), count(*) filter (where fits), null, null from scanned group by webhook_id
"""

_PICK = """
select webhook_id, count(*), max(id), count(*) filter (where fits), array_agg(id order by id) filter (where fits),
    array_agg(distinct finished_on) filter (where fits)
from scanned group by webhook_id
"""

# The account's next events by id, and those of them that the webhook wants, has no delivery for, and will not get one
# for by a fan-out that is still to come. `except` is sorted or hashed, never a loop over all its deliveries for each
# event. Index: events_by_account; deliveries_..._by_webhook of each day from the first event's on; deliveries_due.
_MISSED = f"""
with scanned as materialized (
    select id, name from dispatcher.events
    where account_id = %(account_id)s and id > %(after)s and id < %(until_id)s and erasure is null
    order by id limit %(scan)s),
missing as (
    select s.id from scanned s join dispatcher.webhooks w on w.id = %(webhook_id)s
    where {subscribed("s.name")} and (w.filter_path is null or dispatcher.event_json(s.id) @@ w.filter_path)
        and (%(names)s::text[] is null or s.name = any (%(names)s::text[]))
    except
    select event_id from dispatcher.deliveries
    where webhook_id = %(webhook_id)s and (finished_on is null or finished_on >= %(first_day)s)
        and event_id between (select min(id) from scanned) and (select max(id) from scanned)
    except
    select event_id from dispatcher.events_waiting
    where event_id between (select min(id) from scanned) and (select max(id) from scanned))
select (select count(*) from scanned), (select max(id) from scanned), array(select id from missing order by 1)
"""

# Deliveries of days that were dropped are forgotten: nobody knows any more which events had one.
_OLDEST_DAY = """
select min(to_date(right(c.relname, 8), 'YYYYMMDD')) from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'dispatcher.deliveries'::regclass and c.relname ~ '_[0-9]{8}$'
"""

# Who deletes a webhook waits for us, and then cancels what we have made pending; a drain that notes how it is does not.
_HOLD_WEBHOOKS = """
select id from dispatcher.webhooks where id = any (%(webhook_ids)s::int[]) and deleted_at is null
order by id for key share
"""

# Index: deliveries_by_id of the days of these. The conditions are asked again: somebody may have moved one meanwhile.
_STILL_FITS = """
id = any (%(ids)s::bigint[]) and finished_on = any (%(days)s::date[]) and state = any (%(states)s::text[])
    and updated_at <= %(as_of)s
"""

_MOVE = f"""
update dispatcher.deliveries set {RESTART}
where {_STILL_FITS} and {RESTARTABLE}
returning id, webhook_id, resource
"""

_COPIED = f"""
    select nextval('dispatcher.delivery_id') as id, event_id, webhook_id, id as copy_of,
        coalesce(resource, {order.resource_of("deliveries.event_id", "deliveries.webhook_id")}) as resource,
        {order.due("deliveries.webhook_id")} as next_attempt_at
    from dispatcher.deliveries where {_STILL_FITS} order by event_id"""
_COPY = f"{order.insert(_COPIED)} returning id, webhook_id, resource"

# The resource of an event stands in its body, under a key that depends on its name.
_MISSING = f"""
    select id, event_id, webhook_id, {order.resource_of("event_id", "webhook_id")} as resource, null::bigint as copy_of,
        {order.due("webhook_id")} as next_attempt_at
    from (
        select nextval('dispatcher.delivery_id') as id, e.id as event_id, w.id as webhook_id
        from dispatcher.webhooks w join dispatcher.events e on e.id = any (%(ids)s::bigint[])
        where w.id = %(webhook_id)s order by e.id) missing"""
_BUILD = f"{order.insert(_MISSING)} returning id, webhook_id, resource"


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectionLimits:
    """Rows of each webhook that a scan reads, and how often a delivery may have been redelivered to match still."""

    scan: int
    redeliveries: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """A webhook's next rows: how many there were, the last one's id, and those that match."""

    scanned: int
    last_id: int
    matched: int
    ids: tuple[int, ...] = ()
    """Of the matching deliveries, or of missed events; empty where they were only counted."""
    days: tuple[date, ...] = ()
    """On which these were finished."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayedDelivery:
    """A delivery that a replay moved to pending."""

    id: int
    webhook_id: int
    resource: str | None


def oldest_day(connection: Connection) -> datetime | None:
    """Since when the deliveries that were finished are known (midnight, UTC); None: there is no day."""
    day: datetime | None = scalar(connection, f"select ({_OLDEST_DAY})::timestamptz")
    return day


def webhooks(connection: Connection, account_id: int, webhook_id: int | None, client_id: int | None) -> list[int]:
    """The live webhooks of the account, of the client if given, or the one with that id."""
    return scalars(connection, _WEBHOOKS, account_id=account_id, webhook_id=webhook_id, client_id=client_id)


def count(
    connection: Connection, account_id: int, spec: ReplaySpec, afters: Mapping[int, int], limits: SelectionLimits
) -> dict[int, Scan]:
    """Of each webhook of `afters` the next rows beyond that id; absent where there are none."""
    return _scans(connection, account_id, spec, afters, limits, _COUNT)


def pick(
    connection: Connection, account_id: int, spec: ReplaySpec, afters: Mapping[int, int], limits: SelectionLimits
) -> dict[int, Scan]:
    """As `count`, with the ids of those that match."""
    return _scans(connection, account_id, spec, afters, limits, _PICK)


def hold_webhooks(connection: Connection, webhook_ids: Sequence[int]) -> list[int]:
    """Those of them that are not deleted, and cannot be before the transaction ends."""
    return scalars(connection, _HOLD_WEBHOOKS, webhook_ids=array(webhook_ids))


def move(connection: Connection, spec: ReplaySpec, scans: Sequence[Scan]) -> list[ReplayedDelivery]:
    """Makes the deliveries that were picked pending and due, or with a new key copies of them; returns these.

    With order, all but the earliest are held back.
    """
    ids = [id_ for scan in scans for id_ in scan.ids]
    days = {day for scan in scans for day in scan.days}
    parameters = {"ids": array(ids), "days": array(days), "states": list(spec.states), "as_of": spec.as_of}
    return _redelivered(connection, _COPY if spec.new_key else _MOVE, parameters) if ids else []


def build(connection: Connection, webhook_id: int, event_ids: Sequence[int]) -> list[ReplayedDelivery]:
    """Makes deliveries of these events for the webhook; order as in `move`."""
    parameters = {"ids": array(event_ids), "webhook_id": webhook_id}
    return _redelivered(connection, _BUILD, parameters) if event_ids else []


def _redelivered(connection: Connection, sql: str, parameters: Mapping[str, object]) -> list[ReplayedDelivery]:
    moved = records(connection, ReplayedDelivery, sql, **parameters, **order.keyed())
    order.settle(connection, [(one.webhook_id, one.resource) for one in moved if one.resource is not None])
    return moved


def _scans(
    connection: Connection,
    account_id: int,
    spec: ReplaySpec,
    afters: Mapping[int, int],
    limits: SelectionLimits,
    tail: str,
) -> dict[int, Scan]:
    if spec.missed:
        return _missed(connection, account_id, spec, afters, limits.scan)
    sql, parameters = _scan_sql(spec, afters, limits, tail)
    scans = rows(connection, sql, **parameters)
    return {
        webhook_id: record(Scan, (*counts, tuple(ids or ()), tuple(days or ())))
        for webhook_id, *counts, ids, days in scans
    }


def _scan_sql(
    spec: ReplaySpec, afters: Mapping[int, int], limits: SelectionLimits, tail: str
) -> tuple[str, dict[str, object]]:
    """The statement with its conditions, and its parameters."""
    sql = _SCAN.format(
        not_too_often="" if spec.new_key else "and d.redelivery_count < %(redeliveries)s",
        of_event="e.name = any (%(names)s::text[])" if spec.event_names else "true",
        only_failed="and state = 'failed'" if set(spec.states) == {State.FAILED} else "",
    )
    return sql + tail, {
        "webhook_ids": array(afters),
        "afters": array(afters.values()),
        "scan": limits.scan,
        "redeliveries": limits.redeliveries,
        "states": list(spec.states),
        "names": list(spec.event_names or ()),
        "first_day": spec.since.date(),
        "last_day": spec.as_of.date(),
        "since": spec.since,
        "until": spec.until,
        "as_of": spec.as_of,
    }


def _missed(
    connection: Connection, account_id: int, spec: ReplaySpec, afters: Mapping[int, int], scan: int
) -> dict[int, Scan]:
    ((webhook_id, after),) = afters.items()
    after = max(after, first_event_id(spec.since) - 1)
    scanned, last_id, ids = rows(
        connection,
        _MISSED,
        account_id=account_id,
        webhook_id=webhook_id,
        names=spec.event_names and list(spec.event_names),
        after=after,
        until_id=first_event_id(spec.until) + (2 << COUNTER_BITS),  # an id's second is rounded
        first_day=recorded_after(after).date(),
        scan=scan,
    )[0]
    return {webhook_id: Scan(scanned=scanned, last_id=last_id, matched=len(ids), ids=tuple(ids))} if scanned else {}
