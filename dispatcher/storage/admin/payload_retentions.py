"""Payloads that were kept for as long as their event types say: found by walking events in the order of their ids.

Of each event's name it is known up to which id that is done, so an hourly run reads what has aged since the last one.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dispatcher.storage.engine import Connection, array, rows

_REACHED = "select name, reached from dispatcher.payload_retentions where name = any (%(names)s::text[])"

# Index: the primary key of events, in each day's partition. Bodies are not read.
_WALK = """
with scanned as materialized (
    select id, name, erasure from dispatcher.events
    where id > %(after)s
        and id < (extract(epoch from dispatcher.now() - make_interval(days => %(days)s))::bigint - 1577836800) << 23
    order by id limit %(scan)s)
select count(*), max(id), array_agg(id) filter (where name = any (%(names)s::text[]) and erasure is null) from scanned
"""

_ADVANCE = """
insert into dispatcher.payload_retentions as r (name, reached)
select name, %(reached)s from unnest(%(names)s::text[]) name
on conflict (name) do update set reached = greatest(r.reached, excluded.reached)
"""
_COUNT = "update dispatcher.payload_retentions set erased = erased + %(count)s where name = %(name)s"

# Sums of erasures of accounts that are deleted are gone with them, which Prometheus reads as a counter reset.
_TOTALS = """
select (select coalesce(sum(events), 0) from dispatcher.erasures),
    (select coalesce(sum(erased), 0) from dispatcher.payload_retentions),
    (select count(*) from dispatcher.erasures where finished_at is null)
"""


class EventScan(NamedTuple):
    """How many events were read, the last one's id, and those whose payloads are to be erased."""

    scanned: int
    last_id: int | None
    ids: Sequence[int]


class Totals(NamedTuple):
    """Payloads erased for a person, and by retention; and erasures that are not finished."""

    subject: int
    retention: int
    pending: int


def reached(connection: Connection, names: Sequence[str]) -> Mapping[str, int]:
    """Event's name → up to which id its payloads are erased; 0 where that never began."""
    stored = rows(connection, _REACHED, names=array(names))
    return dict.fromkeys(names, 0) | {str(name): int(id_) for name, id_ in stored}


def walk(connection: Connection, names: Sequence[str], days: int, after: int, scan: int) -> EventScan:
    """The next events that were recorded more than `days` ago."""
    row = rows(connection, _WALK, names=list(names), days=days, after=after, scan=scan)[0]
    return EventScan(row[0], row[1], row[2] or ())


def advance(connection: Connection, names: Sequence[str], reached_id: int, erased: int) -> None:
    """Events with these names are done up to that id; `erased` payloads went with it."""
    rows(connection, _ADVANCE, names=list(names), reached=reached_id)
    rows(connection, _COUNT, name=names[0], count=erased)


def totals(connection: Connection) -> Totals:
    """Of all accounts."""
    return Totals(*map(int, rows(connection, _TOTALS)[0]))
