"""Days of history: created ahead, dropped whole when their time is over. No row of history is ever deleted by itself.

Making and dropping a day needs the whole table for a moment. While it waits for that behind somebody who reads (a dump,
a report), all that comes later waits behind it: emits, claims, lists. So it waits for LOCK_TIMEOUT_MS at most, and is
left for the next time. Each partition has a transaction of its own, so that one wait does not follow another.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from dispatcher.ids import first_event_id
from dispatcher.storage.engine import Connection, rows, scalar, scalars

LOCK = 5_264_072
"""Held while a day is dropped; a replay shares it, so that no event is dropped of which a delivery becomes pending."""
LOCK_TIMEOUT_MS = 200
TABLES = ("events", "deliveries", "attempts")
_AHEAD_DAYS = 7

_MISSING = """
select day::date from generate_series(dispatcher.now()::date, dispatcher.now()::date + %(ahead)s, '1 day') day
where exists (
    select from unnest(%(tables)s::text[]) t where to_regclass('dispatcher.' || t || to_char(day, '_YYYYMMDD')) is null)
"""

_EXPIRED = """
select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
join unnest(%(tables)s::text[]) t on i.inhparent = ('dispatcher.' || t)::regclass
where c.relname ~ '_[0-9]{8}$'
    and right(c.relname, 8) < to_char(dispatcher.now()::date - %(days)s, 'YYYYMMDD')
order by right(c.relname, 8), c.relname
"""

# An event whose delivery is still pending (an inactive webhook, a long backlog) keeps its day. Walks what is pending by
# event: copies by a replay have a separate index.
_STILL_NEEDED = """
select exists (
        select from dispatcher.deliveries_waiting
        where event_id >= %(first)s and event_id < %(last)s and copy_of is null)
    or exists (
        select from dispatcher.deliveries_waiting
        where event_id >= %(first)s and event_id < %(last)s and copy_of is not null)
    or exists (select from dispatcher.events_waiting where event_id >= %(first)s and event_id < %(last)s)
"""


def missing(connection: Connection) -> list[date]:
    """Of today and the next days those that have no partition of each table."""
    return scalars(connection, _MISSING, ahead=_AHEAD_DAYS, tables=list(TABLES))


def make(connection: Connection, day: date) -> None:
    """Makes the day's partitions. Raises StorageUnavailable where the tables are not free."""
    _take(connection, [name for table in TABLES for name in (table, f"{table}_default")])
    rows(connection, "select dispatcher.create_partitions(%(day)s)", day=day)


def expired(connection: Connection, retention_days: int) -> list[str]:
    """The partitions of days that are older, the oldest first."""
    return scalars(connection, _EXPIRED, days=retention_days, tables=list(TABLES))


def drop(connection: Connection, name: str) -> bool:
    """Drops the partition; False where it is needed still, or gone. Raises StorageUnavailable where it is not free.

    `detach partition ... concurrently` would hold up nobody, but Postgres refuses it beside a default partition.
    """
    _soon(connection, f"select pg_advisory_xact_lock({LOCK})")
    table = name[:-9]
    if scalar(connection, "select to_regclass('dispatcher.' || %(name)s)", name=name) is None:
        return False
    if table == "events" and _is_needed(connection, name):
        return False
    _take(connection, [table, f"{table}_default", name])
    rows(connection, f"drop table dispatcher.{name}")
    return True


def keep(connection: Connection) -> None:
    """No day of events is dropped before the transaction ends; waits while one is being dropped."""
    rows(connection, "select pg_advisory_xact_lock_shared(%(lock)s)", lock=LOCK)


def _take(connection: Connection, names: Sequence[str]) -> None:
    """The tables are the caller's alone until the transaction ends; it waits for all of them together, not for each."""
    _soon(connection, f"lock table {', '.join(f'only dispatcher.{name}' for name in names)} in access exclusive mode")


def _soon(connection: Connection, sql: str) -> None:
    """Runs a statement that takes locks, and nothing else, within LOCK_TIMEOUT_MS."""
    rows(connection, f"set local statement_timeout = {LOCK_TIMEOUT_MS}")
    rows(connection, sql)
    rows(connection, "set local statement_timeout to default")


def _is_needed(connection: Connection, name: str) -> bool:
    day = date.fromisoformat(f"{name[-8:-4]}-{name[-4:-2]}-{name[-2:]}")
    return bool(scalar(connection, _STILL_NEEDED, first=_first_id(day), last=_first_id(day + timedelta(days=1))))


def _first_id(day: date) -> int:
    return first_event_id(datetime(day.year, day.month, day.day, tzinfo=UTC))
