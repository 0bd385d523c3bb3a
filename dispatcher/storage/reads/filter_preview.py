"""A filter tried out on the events that are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from dispatcher.storage.engine import Connection, records

EVENTS = 200
"""Events that a filter is tried on."""
SCAN = 20_000
"""Events that are looked at for those with the names."""
SHOWN = 20
"""Matching events that are named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterPreview:
    """`matched` of the last `of` events; `event_ids` are the newest of them."""

    matched: int
    of: int
    event_ids: tuple[int, ...]


# Index: events_by_account, backwards.
_COUNT = """
with newest as materialized (
    select id from (
        select id, name from dispatcher.events where account_id = %(account_id)s
        order by id desc limit %(scan)s) scanned
    where name = any (%(names)s::text[]) order by id desc limit %(most)s),
matching as materialized (select id from newest where dispatcher.event_json(id) @@ %(filter_path)s::jsonpath)
select (select count(*) from matching), (select count(*) from newest),
    array(select id from matching order by id desc limit %(shown)s)
"""


def count(connection: Connection, account_id: int, filter_path: str, names: Sequence[str]) -> FilterPreview:
    """The newest events of these names, and how many of them the jsonpath predicate matches."""
    limits = {"scan": SCAN, "most": EVENTS, "shown": SHOWN}
    whose = {"account_id": account_id, "filter_path": filter_path, "names": list(names)}
    return records(connection, FilterPreview, _COUNT, **whose, **limits)[0]
