"""How much history there is: its partitions, and finished deliveries by state, from what Postgres knows of its tables.

Nothing is counted: 100 million rows answer as fast as none. The sizes and shares are as old as the last (auto)vacuum
or (auto)analyze of the partition.
"""

from dataclasses import dataclass
from datetime import date

from dispatcher.storage.engine import Connection, rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Partitions:
    """Of one table. `days_ahead`: days from today on, today counted, that have a partition without a gap."""

    table: str
    count: int
    days_ahead: int
    size_bytes: int


_PARTITIONS = """
select p.relname, count(*)::int, sum(c.relpages)::bigint * current_setting('block_size')::int,
    array_agg(right(c.relname, 8)) filter (where c.relname ~ '_[0-9]{8}$'), dispatcher.now()::date
from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
where p.oid in ('dispatcher.events'::regclass, 'dispatcher.deliveries'::regclass, 'dispatcher.attempts'::regclass)
    group by 1 order by 1
"""

_BY_STATE = """
select v.state, sum(c.reltuples * v.share)::bigint
from pg_inherits i join pg_class c on c.oid = i.inhrelid and c.reltuples > 0
join pg_namespace n on n.oid = c.relnamespace
join pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = 'state'
cross join unnest(s.most_common_vals::text::text[], s.most_common_freqs) v (state, share)
where i.inhparent = 'dispatcher.deliveries'::regclass and c.relname <> 'deliveries_waiting' group by 1
"""


def partitions(connection: Connection) -> list[Partitions]:
    """Of events, deliveries and attempts."""
    return [
        Partitions(table=table, count=count, days_ahead=_ahead(set(days or ()), today), size_bytes=size)
        for table, count, size, days, today in rows(connection, _PARTITIONS)
    ]


def finished_by_state(connection: Connection) -> dict[str, int]:
    """State → finished deliveries that are kept, about."""
    return dict(rows(connection, _BY_STATE))


def _ahead(days: set[str], today: date) -> int:
    count = 0
    while date.fromordinal(today.toordinal() + count).strftime("%Y%m%d") in days:
        count += 1
    return count
