"""Events as the console shows them: what was emitted, to whom it fanned out, and which webhooks it passed by.

A search by what is in a body has no index: it reads the newest events only (SCAN), and says whether that was all.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dispatcher.errors import EventNotFound
from dispatcher.ids import first_event_id, recorded_after
from dispatcher.storage.engine import Connection, one, record, records, rows, scalars
from dispatcher.storage.pipeline import order
from dispatcher.storage.pipeline.events import subscribed

SCAN = 20_000
"""Events that a search by resource reads."""
MATCH_CAP = 200
"""Events that such a search returns at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EmittedEvent:
    """An event. `is_waiting`: it was not fanned out yet."""

    id: int
    name: str
    version: int
    created_at: datetime
    idempotency_key: str | None
    body: Mapping[str, Any] = field(repr=False)
    is_waiting: bool
    erasure: str | None
    """Why its payload was erased; the body is then empty."""

    @property
    def recorded_at(self) -> datetime:
        """When it was accepted, within half a second: its id holds the second, rounded."""
        return recorded_after(self.id) + timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultingDelivery:
    """A delivery of the event."""

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
    subscribed: bool
    """Whether it wants events of this name."""
    payload_version: str
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    deactivated_at: datetime | None
    filter_matches: bool
    """Whether its filter, if it has one, matches the event."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """Ids of events, newest first; `is_whole` is False where older ones were not read."""

    ids: tuple[int, ...]
    is_whole: bool


_COLUMNS = """e.id, e.name, coalesce(e.version, 1), e.created_at, e.idempotency_key, {body},
    exists (select from dispatcher.events_waiting w where w.event_id = e.id), e.erasure"""

# Index: events_by_account, backwards, in each day's partition.
_LIST = f"""
select {_COLUMNS} from dispatcher.events e where e.account_id = %(account_id)s {{conditions}} order by e.id desc
limit %(limit)s
"""

# Index: the primary key of events.
_FIND = (
    f"select {_COLUMNS.format(body='e.body')} from dispatcher.events e"
    " where e.account_id = %(account_id)s and e.id = %(id)s"
)

# Index: events_by_account, backwards. Bodies are parsed where the text is in them, and are not kept: thousands of them
# would go to a temporary file.
_SEARCH = """
with scanned as materialized (
    select id, strpos(body::text, %(plain_id)s) > 0 and exists (
        select from unnest(%(names)s::text[], %(keys)s::text[], %(id_names)s::text[]) as n (name, key, id)
        where n.name = e.name and e.body -> n.key ->> n.id = %(resource_id)s) as matches
    from dispatcher.events e where account_id = %(account_id)s {conditions} order by id desc limit %(scan)s)
select array(select id from scanned where matches order by id desc limit %(match_cap)s + 1),
    (select count(*) from scanned)
"""
_PLAIN = re.compile(r"[0-9A-Za-z_.:-]*", re.ASCII)
"""What is written in JSON as it is."""

# Index: deliveries_by_finish of each day from the event's on; of what is pending, the two that begin with the event.
_RESULTING = f"""
select id, webhook_id, idempotency_key, state, attempt_count + attempt_count_smallint,
    case when state = 'pending' and next_attempt_at < {order.KEPT} then next_attempt_at end, created_at,
    copy_of is not null
from (
    select * from dispatcher.deliveries_waiting where event_id = %(id)s and copy_of is null
    union all select * from dispatcher.deliveries_waiting where event_id = %(id)s and copy_of is not null
    union all select * from dispatcher.deliveries where event_id = %(id)s and finished_on >= %(day)s) d
order by id limit %(limit)s
"""

# Index: as above.
_DELIVERIES_OF = """
select id from dispatcher.deliveries_waiting where event_id = any (%(ids)s::bigint[]) and copy_of is null
union all select id from dispatcher.deliveries_waiting where event_id = any (%(ids)s::bigint[]) and copy_of is not null
union all select id from dispatcher.deliveries where event_id = any (%(ids)s::bigint[]) and finished_on >= %(day)s
"""

# Index: webhooks_of_account.
_NON_RECIPIENTS = f"""
select id, webhook_url, active,
    coalesce({subscribed("(select name from dispatcher.events where id = %(event_id)s limit 1)")}, false),
    payload_version, created_at, updated_at, deleted_at, deactivated_at,
    filter_path is null or coalesce(dispatcher.event_json(%(event_id)s) @@ filter_path, false)
from dispatcher.webhooks w
where account_id = %(account_id)s and (deleted_at is null or id = any (%(webhook_ids)s::int[]))
order by id limit %(limit)s
"""


_CONDITIONS = {
    "before": " and e.id < %(before)s",
    "name": " and e.name = %(name)s",
    "since": " and e.id >= %(first_id)s",
    "until": " and e.id < %(until_id)s",
    "ids": " and e.id = any (%(ids)s::bigint[])",
}


def page(
    connection: Connection, /, account_id: int, *, limit: int = 40, bodies: bool = True, **filters: Any
) -> list[EmittedEvent]:
    """The account's events, newest first; without their `bodies`, which may be large, these are empty.

    The filters are an id to be `before`, a `name`, when they were recorded (`since`, and before `until`), and `ids`.
    """
    sql, parameters = _filtered(_LIST.replace("{body}", "e.body" if bodies else "'{{}}'::json"), **filters)
    return records(connection, EmittedEvent, sql, **parameters, account_id=account_id, limit=limit)


def search(
    connection: Connection,
    account_id: int,
    resource_id: str,
    *,
    scan: int = SCAN,
    **filters: Any,
) -> Search:
    """Events about that resource, filtered as by `page`."""
    sql, parameters = _filtered(_SEARCH, **filters)
    plain_id = resource_id if _PLAIN.fullmatch(resource_id) else ""  # which is in every text
    parameters |= {**order.keyed(), "plain_id": plain_id, "scan": scan, "match_cap": MATCH_CAP}
    ids, scanned = rows(connection, sql, **parameters, account_id=account_id, resource_id=resource_id)[0]
    return Search(ids=tuple(ids)[:MATCH_CAP], is_whole=scanned < scan and len(ids) <= MATCH_CAP)


def find(connection: Connection, account_id: int, event_id: int) -> EmittedEvent:
    """One event of the account; raises EventNotFound."""
    row = one(connection, EventNotFound(event_id), _FIND, account_id=account_id, id=event_id)
    return record(EmittedEvent, row)


def resulting_deliveries(connection: Connection, event_id: int, limit: int = 1_000) -> list[ResultingDelivery]:
    """The deliveries of the event that are kept, in the order in which they were created."""
    day = recorded_after(event_id).date()
    return records(connection, ResultingDelivery, _RESULTING, id=event_id, day=day, limit=limit)


def delivery_ids(connection: Connection, event_ids: Sequence[int]) -> list[int]:
    """The deliveries of these events that are kept."""
    if not event_ids:
        return []
    return scalars(connection, _DELIVERIES_OF, ids=list(event_ids), day=recorded_after(min(event_ids)).date())


def non_recipients(
    connection: Connection, account_id: int, event_id: int, webhook_ids: Sequence[int], limit: int = 1_000
) -> list[NonRecipient]:
    """The account's webhooks, and those deleted since with an id in `webhook_ids`."""
    parameters = {"account_id": account_id, "event_id": event_id, "webhook_ids": list(webhook_ids), "limit": limit}
    return records(connection, NonRecipient, _NON_RECIPIENTS, **parameters)


def _filtered(
    sql: str,
    *,
    before: int | None = None,
    name: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    ids: Sequence[int] | None = None,
) -> tuple[str, dict[str, Any]]:
    """`sql` on events `e` with the conditions that are not None, and their parameters."""
    filters = {"before": before, "name": name, "since": since, "until": until, "ids": ids}
    conditions = "".join(text for key, text in _CONDITIONS.items() if filters[key] is not None)
    return sql.format(conditions=conditions), {
        "before": before,
        "name": name,
        "first_id": since and first_event_id(since),
        "until_id": until and first_event_id(until),
        "ids": None if ids is None else list(ids),
    }
