"""Events as the console shows them: what was emitted, to whom it fanned out, and which webhooks it passed by.

A search by what is in a body has no index: it looks at the newest events only (SCAN), and says whether that was all.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dispatcher.errors import EventNotFound
from dispatcher.ids import first_event_id, recorded_after
from dispatcher.storage.engine import Connection, Row, rows

SCAN = 20_000
"""Events that a search by resource looks at."""
FOUND_CAP = 200
"""Events that such a search finds at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EmittedEvent:
    """An event. `is_waiting`: it was not fanned out yet."""

    id: int
    name: str
    created_at: datetime
    idempotency_key: str | None
    body: Mapping[str, Any] = field(repr=False)
    is_waiting: bool

    @property
    def recorded_at(self) -> datetime:
        """When it was accepted, within half a second: its id holds the second, rounded."""
        return recorded_after(self.id) + timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultingDelivery:
    """A delivery that was made of the event."""

    delivery_id: int
    webhook_id: int
    idempotency_key: UUID
    state: str
    attempt_count: int
    next_attempt_at: datetime | None
    created_at: datetime
    is_copy: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class NonRecipient:
    """A webhook of the account, as it is now."""

    id: int
    webhook_url: str = field(repr=False)
    active: bool
    events: tuple[str, ...]
    payload_version: str
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    deactivated_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """Ids of events, newest first; `is_whole` is False where older ones were not looked at."""

    ids: tuple[int, ...]
    is_whole: bool


_COLUMNS = """e.id, e.name, e.created_at, e.idempotency_key, e.body::text,
    exists (select from events_waiting w where w.event_id = e.id)"""

# Index: events_by_account, backwards, in each day's partition.
_LIST = f"""
select {_COLUMNS} from events e where e.account_id = %(account_id)s {{conditions}} order by e.id desc limit %(limit)s
"""

# Index: the primary key of events.
_FIND = f"select {_COLUMNS} from events e where e.account_id = %(account_id)s and e.id = %(id)s"

# Index: events_by_account, backwards.
_SEARCH = """
with looked as materialized (
    select id, name, body from events where account_id = %(account_id)s {conditions}
    order by id desc limit %(scan)s)
select array(
        select l.id from looked l
        join unnest(%(names)s::text[], %(keys)s::text[]) as n (name, key) on n.name = l.name
        where l.body -> n.key ->> 'id' = %(resource_id)s order by l.id desc limit %(found_cap)s + 1),
    (select count(*) from looked)
"""

# Index: deliveries_by_finish of each day from the event's on; of what waits, the two indexes that begin with the event.
_RESULTING = """
select id, webhook_id, idempotency_key, state, attempt_count + attempt_count_smallint,
    case when state = 'pending' then next_attempt_at end, created_at, copy_of is not null
from (
    select * from deliveries_waiting where event_id = %(id)s and copy_of is null
    union all select * from deliveries_waiting where event_id = %(id)s and copy_of is not null
    union all select * from deliveries where event_id = %(id)s and finished_on >= %(day)s) d
order by id limit %(limit)s
"""

# Index: as above.
_DELIVERIES_OF = """
select id from deliveries_waiting where event_id = any (%(ids)s::bigint[]) and copy_of is null
union all select id from deliveries_waiting where event_id = any (%(ids)s::bigint[]) and copy_of is not null
union all select id from deliveries where event_id = any (%(ids)s::bigint[]) and finished_on >= %(day)s
"""

# Index: webhooks_of_account.
_NON_RECIPIENTS = """
select id, webhook_url, active, events, payload_version, created_at, updated_at, deleted_at, deactivated_at
from webhooks where account_id = %(account_id)s and (deleted_at is null or id = any (%(webhook_ids)s::int[]))
order by id limit %(limit)s
"""


def page(
    connection: Connection,
    account_id: int,
    *,
    limit: int = 40,
    before: int | None = None,
    name: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    ids: Sequence[int] | None = None,
) -> list[EmittedEvent]:
    """The account's events, newest first: with an id below `before`, recorded from `since` on and before `until`."""
    conditions = _narrowed(before, name, since, until) + (
        " and e.id = any (%(ids)s::bigint[])" if ids is not None else ""
    )
    parameters = {
        **_parameters(account_id, before, name, since, until),
        "ids": None if ids is None else list(ids),
        "limit": limit,
    }
    return [_event(row) for row in rows(connection, _LIST.format(conditions=conditions), parameters)]


def search(
    connection: Connection,
    account_id: int,
    resource_id: str,
    keys: Mapping[str, str],
    *,
    before: int | None = None,
    name: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    scan: int = SCAN,
) -> Search:
    """Events about that resource; `keys`: event name → under which key of the body the resource stands."""
    conditions = _narrowed(before, name, since, until).replace("e.", "")
    sql = _SEARCH.format(conditions=conditions)
    parameters = _parameters(account_id, before, name, since, until) | {
        "resource_id": resource_id,
        "names": list(keys),
        "keys": list(keys.values()),
        "scan": scan,
        "found_cap": FOUND_CAP,
    }
    found, looked = rows(connection, sql, parameters)[0]
    return Search(ids=tuple(found)[:FOUND_CAP], is_whole=looked < scan and len(found) <= FOUND_CAP)


def find(connection: Connection, account_id: int, event_id: int) -> EmittedEvent:
    """One event of the account; raises EventNotFound."""
    found = rows(connection, _FIND, {"account_id": account_id, "id": event_id})
    if not found:
        raise EventNotFound(event_id)
    return _event(found[0])


def resulting_deliveries(connection: Connection, event_id: int, limit: int = 1_000) -> list[ResultingDelivery]:
    """The deliveries of the event that are kept, in the order in which they were made."""
    parameters = {"id": event_id, "day": recorded_after(event_id).date(), "limit": limit}
    found = rows(connection, _RESULTING, parameters)
    return [ResultingDelivery(**dict(zip(ResultingDelivery.__dataclass_fields__, row, strict=True))) for row in found]


def delivery_ids(connection: Connection, event_ids: Sequence[int]) -> list[int]:
    """The deliveries of these events that are kept."""
    if not event_ids:
        return []
    parameters = {"ids": list(event_ids), "day": recorded_after(min(event_ids)).date()}
    return [id_ for (id_,) in rows(connection, _DELIVERIES_OF, parameters)]


def non_recipients(
    connection: Connection, account_id: int, webhook_ids: Sequence[int], limit: int = 1_000
) -> list[NonRecipient]:
    """The account's webhooks, and those deleted since with an id in `webhook_ids`."""
    found = rows(
        connection, _NON_RECIPIENTS, {"account_id": account_id, "webhook_ids": list(webhook_ids), "limit": limit}
    )
    return [NonRecipient(**dict(zip(NonRecipient.__dataclass_fields__, row, strict=True))) for row in found]


def _narrowed(before: int | None, name: str | None, since: datetime | None, until: datetime | None) -> str:
    return " ".join(
        text
        for value, text in (
            (before, "and e.id < %(before)s"),
            (name, "and e.name = %(name)s"),
            (since, "and e.id >= %(first_id)s"),
            (until, "and e.id < %(until_id)s"),
        )
        if value is not None
    )


def _parameters(
    account_id: int, before: int | None, name: str | None, since: datetime | None, until: datetime | None
) -> dict[str, object]:
    return {
        "account_id": account_id,
        "before": before,
        "name": name,
        "first_id": since and first_event_id(since),
        "until_id": until and first_event_id(until),
    }


def _event(row: Row) -> EmittedEvent:
    return EmittedEvent(
        id=row[0],
        name=row[1],
        created_at=row[2],
        idempotency_key=row[3],
        body=json.loads(row[4]),
        is_waiting=row[5],
    )
