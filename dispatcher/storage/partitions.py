"""Days of history: made ahead, dropped whole when their time is over. No row of history is ever deleted by itself."""

from datetime import UTC, date, datetime, timedelta

from dispatcher.ids import first_event_id
from dispatcher.storage.engine import Connection, rows

LOCK = 5_264_072
"""Held while days are dropped; a replay shares it, so that no event is dropped of which a delivery becomes pending."""
_AHEAD_DAYS = 7

_OLD = """
select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
where p.relname in ('events', 'deliveries', 'attempts') and c.relname ~ '_[0-9]{8}$'
    and right(c.relname, 8) < %(oldest)s order by right(c.relname, 8), c.relname
"""

# An event whose delivery still waits (an inactive webhook, a long backlog) keeps its day. Walks what waits by event:
# the copies that a replay made have an index of their own.
_STILL_NEEDED = """
select exists (
        select from deliveries_waiting where event_id >= %(first)s and event_id < %(last)s and copy_of is null)
    or exists (
        select from deliveries_waiting where event_id >= %(first)s and event_id < %(last)s and copy_of is not null)
    or exists (select from events_waiting where event_id >= %(first)s and event_id < %(last)s)
"""


def prune(connection: Connection, retention_days: int) -> list[str]:
    """Makes the next days' partitions and drops those older than `retention_days`; returns what was dropped."""
    if not rows(connection, "select pg_try_advisory_xact_lock(%(lock)s)", {"lock": LOCK})[0][0]:
        return []  # another worker is at it, or a replay
    today: date = rows(connection, "select dispatcher_now()::date")[0][0]
    rows(
        connection,
        f"select create_partitions(%(today)s + n) from generate_series(0, {_AHEAD_DAYS}) n",
        {"today": today},
    )
    oldest = (today - timedelta(days=retention_days)).strftime("%Y%m%d")
    dropped = []
    for (name,) in rows(connection, _OLD, {"oldest": oldest}):
        if name.startswith("events_") and _is_needed(connection, name):
            continue
        rows(connection, f"drop table {name}")
        dropped.append(name)
    return dropped


def _is_needed(connection: Connection, name: str) -> bool:
    day = date.fromisoformat(f"{name[-8:-4]}-{name[-4:-2]}-{name[-2:]}")
    first = _first_id(day)
    return bool(rows(connection, _STILL_NEEDED, {"first": first, "last": _first_id(day + timedelta(days=1))})[0][0])


def _first_id(day: date) -> int:
    return first_event_id(datetime(day.year, day.month, day.day, tzinfo=UTC))
