"""What a webhook would get: a filter tried out on the events that are kept, and the newest of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from dispatcher.storage.engine import Connection, records, rows

EVENTS = 200
"""Events that a filter is tried on."""
SCAN = 20_000
"""Events that are searched for those with the names."""
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
        select id, name, erasure from dispatcher.events where account_id = %(account_id)s
        order by id desc limit %(scan)s) scanned
    where erasure is null and name = any (%(names)s::text[]) order by id desc limit %(most)s),
matching as materialized (select id from newest where dispatcher.event_json(id) @@ %(filter_path)s::jsonpath)
select (select count(*) from matching), (select count(*) from newest),
    array(select id from matching order by id desc limit %(shown)s)
"""


# Index: events_by_account, backwards.
_NEWEST = """
select id, name, coalesce(version, 1), created_at, body::text from dispatcher.events where id = (
    select id from (
        select id, name, erasure from dispatcher.events where account_id = %(account_id)s
        order by id desc limit %(scan)s) scanned
    where erasure is null and name = any (%(names)s::text[]) order by id desc limit 1)
"""


class NewestEvent(NamedTuple):
    """An event with its body as it was written."""

    id: int
    name: str
    version: int
    created_at: datetime
    body_json: str


def newest(connection: Connection, account_id: int, names: Sequence[str]) -> NewestEvent | None:
    """The account's newest event with one of these names; None where it is older than SCAN others, or there is none."""
    newest_rows = rows(connection, _NEWEST, account_id=account_id, names=list(names), scan=SCAN)
    return NewestEvent(*newest_rows[0]) if newest_rows else None


def count(connection: Connection, account_id: int, filter_path: str, names: Sequence[str]) -> FilterPreview:
    """The newest events of these names, and how many of them the jsonpath predicate matches."""
    limits = {"scan": SCAN, "most": EVENTS, "shown": SHOWN}
    whose = {"account_id": account_id, "filter_path": filter_path, "names": list(names)}
    return records(connection, FilterPreview, _COUNT, **whose, **limits)[0]
