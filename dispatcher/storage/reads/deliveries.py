"""Deliveries with their attempts, as people list them."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from dispatcher.errors import DeliveryNotFound
from dispatcher.ids import delivery_id_of
from dispatcher.model.attempt import for_clients
from dispatcher.model.delivery import WaitStatus
from dispatcher.model.options import Options
from dispatcher.payload import sent_body, sent_version
from dispatcher.storage.engine import Connection, Row, record, rows
from dispatcher.storage.pipeline.order import KEPT


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptRow:
    """One request that was sent, or a lease that was lost (`reason` "lost")."""

    id: int
    number: int
    request_id: UUID
    url: str = field(repr=False)
    status: str
    reason: str | None
    content_type: str | None
    body: str | None = field(repr=False)
    headers: str | None = field(repr=False)
    """Of the response, a line each; None where it was a 2xx, there was none, or none were kept."""
    started_at: datetime
    finished_at: datetime

    @property
    def created_at(self) -> datetime:
        """When it was recorded, as API v3 has it."""
        return self.finished_at

    def for_clients(self) -> "AttemptRow":
        """As its webhook's owner is to see it (`model.attempt.for_clients`)."""
        status, reason = for_clients(self.status, self.reason)
        return replace(self, status=status, reason=reason)


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryRow:
    """A delivery as people see it. `body_json` is what its webhook gets of the event's body, without the envelope."""

    id: int
    webhook_id: int
    webhook_url: str = field(repr=False)
    account_slug: str
    time_zone: str
    event_id: int
    event_name: str
    event_version: int
    event_created_at: datetime
    body_json: str = field(repr=False)
    idempotency_key: UUID
    state: str
    attempt_count: int
    lost_count: int
    next_attempt_at: datetime | None
    created_at: datetime
    updated_at: datetime
    erasure: str | None
    """Why the payload of its event was erased; `body_json` is then that of an empty object."""
    attempts: tuple[AttemptRow, ...]
    """Newest first."""
    waiting: WaitStatus | None = None
    """Why it is not finished yet, where somebody asked for that (`dispatcher.replays.waiting`)."""

    @property
    def recorded_attempts(self) -> int:
        """How many are listed, those lost too."""
        return len(self.attempts)

    @property
    def last_status(self) -> str | None:
        """Of the newest attempt."""
        return self.attempts[0].status if self.attempts else None

    @property
    def envelope(self) -> dict[str, Any]:
        """What is sent."""
        return {
            "webhook_id": self.webhook_id,
            "event_name": self.event_name,
            "created_at": self.event_created_at,
            "body": json.loads(self.body_json),
        }

    def for_clients(self) -> "DeliveryRow":
        """As its webhook's owner is to see it (`model.attempt.for_clients`)."""
        return replace(self, attempts=tuple(attempt.for_clients() for attempt in self.attempts))


# The last three choose from the body. Of a delivery whose event is gone, its day dropped, nobody knows any more what it
# was; but it is listed.
_COLUMNS = f"""d.id, d.webhook_id, w.webhook_url, a.slug, a.time_zone, d.event_id, coalesce(e.name, 'unknown'),
    coalesce(e.version, 1), coalesce(e.created_at, d.created_at), coalesce(e.body::text, '{{}}'),
    d.idempotency_key, d.state, d.attempt_count + d.attempt_count_smallint, d.lost_count + d.lost_count_smallint,
    case when d.state = 'pending' and d.next_attempt_at < {KEPT} then d.next_attempt_at end, d.created_at, d.updated_at,
    e.erasure, w.options -> 'only_fields', w.options -> 'excluded_fields', w.options -> 'event_versions'"""
_TIME_ZONE, _BODY = 4, 10
"""The place of one column, and the number of those up to the body."""

_JOINED = """
join dispatcher.webhooks w on w.id = d.webhook_id join dispatcher.accounts a on a.id = w.account_id
    left join dispatcher.events e on e.id = d.event_id
"""

# Index: deliveries_by_id, in each day's partition.
_DELIVERY = f"""
select {_COLUMNS} from dispatcher.deliveries d {_JOINED}
where d.id = %(id)s and (%(account_id)s::int is null or w.account_id = %(account_id)s)
    and (%(client_id)s::int is null or w.client_id = %(client_id)s)
"""

# The newest of each webhook, then the newest of these. Index: deliveries_..._by_webhook of each day, backwards; on what
# waits there is none like it, where every claim would have to write it, so those of a webhook (deliveries_due) are
# sorted: `+ 0` keeps the planner from walking all pending ones by id instead. Ids of events are named as an array, so
# that they are looked up.
_LIST = """
with page as materialized (
    select d.* from dispatcher.webhooks w cross join lateral ({branches}) d
    where w.account_id = (select id from dispatcher.accounts where slug = %(slug)s) {of_webhook}
    order by d.id desc limit %(limit)s)
select {columns} from page d {joined} and e.id = any (array (select event_id from page)) order by d.id desc
"""

_BRANCH = """
(select d.* from dispatcher.{table} d where d.webhook_id = w.id {conditions} order by {order} desc limit %(limit)s)
"""

# Index: deliveries_by_id, in each day's partition; events by their ids, as above.
_BY_IDS = f"""
with page as materialized (select d.* from dispatcher.deliveries d where d.id = any (%(ids)s::bigint[]))
select {_COLUMNS} from page d {_JOINED} and e.id = any (array (select event_id from page)) order by d.id desc
"""

# Index: deliveries_failed, backwards, in each day's partition: however much was delivered meanwhile.
_FAILED = f"""
select {_COLUMNS} from dispatcher.deliveries d {_JOINED}
where d.webhook_id = %(webhook_id)s and d.state = 'failed' and d.finished_on is not null
order by d.id desc offset %(offset)s limit %(limit)s
"""

# Index: attempts_by_delivery, in each day's partition from the oldest delivery's on.
_ATTEMPTS = """
select delivery_id, id, number + number_smallint as number, request_id, url, status, reason, content_type, body,
    response_headers, started_at, finished_at
from dispatcher.attempts where delivery_id = any (%(ids)s::bigint[]) and recorded_on >= %(since)s
order by number desc, id desc
"""


def deliveries(connection: Connection, /, slug: str, *, limit: int = 40, **filters: Any) -> list[DeliveryRow]:
    """An account's deliveries with their attempts, newest first.

    The filters are a `client_id` whose webhooks they are for, a `webhook_id`, an `event_name`, a `state`, an
    `idempotency_key`, when they were created (`since`, and before `until`), an id to be `before`, and `ids`.
    """
    parameters = filter_parameters(**filters)
    return _with_attempts(connection, rows(connection, _list_sql(parameters), **parameters, slug=slug, limit=limit))


def by_ids(connection: Connection, ids: Sequence[int]) -> list[DeliveryRow]:
    """These deliveries with their attempts, newest first."""
    return _with_attempts(connection, rows(connection, _BY_IDS, ids=list(ids))) if ids else []


def filter_parameters(
    *,
    client_id: int | None = None,
    webhook_id: int | None = None,
    event_name: str | None = None,
    state: str | None = None,
    idempotency_key: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    ids: Sequence[int] | None = None,
) -> dict[str, object]:
    """The parameters of `conditions`; None leaves one out."""
    return {
        "client_id": client_id,
        "webhook_id": webhook_id,
        "event_name": event_name,
        "state": state,
        "idempotency_key": idempotency_key,
        "id": idempotency_key and delivery_id_of(idempotency_key),
        "since": since,
        "since_day": since and since.astimezone(UTC).date(),
        "until": until,
        "before": before,
        "ids": None if ids is None else list(ids),
    }


def _list_sql(parameters: Mapping[str, object]) -> str:
    """_LIST with the conditions of the filters, and with the parts of the table that can hold such deliveries."""
    where = conditions(parameters)
    branches = []
    if where.waiting is not None:
        waiting = where.waiting.replace("d.id <", "d.id + 0 <")
        branches.append(_BRANCH.format(table="deliveries_waiting", conditions=waiting, order="d.id + 0"))
    if where.finished is not None:
        branches.append(_BRANCH.format(table="deliveries", conditions=where.finished, order="d.id"))
    return _LIST.format(
        branches="union all".join(branches), of_webhook=where.of_webhook, columns=_COLUMNS, joined=_JOINED
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """SQL on a webhook `w`, and on a delivery `d` of each part of the table; None where that part can hold none."""

    of_webhook: str
    waiting: str | None
    finished: str | None


def conditions(parameters: Mapping[str, object]) -> Conditions:
    """Those of the filters that are not None."""
    common = " ".join(f"and {text}" for name, text in _CONDITIONS.items() if parameters[name] is not None)
    # A delivery is finished on the day it was created, or later: earlier days are not read.
    days = " and d.finished_on is not null" + (" and d.finished_on >= %(since_day)s" if parameters["since"] else "")
    return Conditions(
        of_webhook=" ".join(f"and {text}" for name, text in _OF_WEBHOOK.items() if parameters[name] is not None),
        waiting=common if parameters["state"] in (None, "pending") else None,
        finished=common + days if parameters["state"] != "pending" else None,
    )


_CONDITIONS = {
    "state": "d.state = %(state)s",
    # A look-up each, never a join.
    "event_name": "(select name from dispatcher.events where id = d.event_id) = %(event_name)s",
    "id": "d.id = %(id)s",
    "idempotency_key": "d.idempotency_key = %(idempotency_key)s",
    "since": "d.created_at >= %(since)s",
    "until": "d.created_at < %(until)s",
    "before": "d.id < %(before)s",
    "ids": "d.id = any (%(ids)s::bigint[])",
}
_OF_WEBHOOK = {"client_id": "w.client_id = %(client_id)s", "webhook_id": "w.id = %(webhook_id)s"}


def failed_deliveries(connection: Connection, webhook_id: int, *, offset: int, limit: int) -> list[DeliveryRow]:
    """A page of a webhook's failed deliveries with their attempts, newest first."""
    return _with_attempts(connection, rows(connection, _FAILED, webhook_id=webhook_id, offset=offset, limit=limit))


def delivery(
    connection: Connection, id_or_key: str, *, account_id: int | None = None, client_id: int | None = None
) -> DeliveryRow:
    """One delivery, by its id or its Idempotency-Key, of that account and client if given; raises DeliveryNotFound."""
    id_ = _delivery_id(id_or_key)
    stored = rows(connection, _DELIVERY, id=id_, account_id=account_id, client_id=client_id) if id_ is not None else []
    for delivery in _with_attempts(connection, stored):
        if "-" not in id_or_key or str(delivery.idempotency_key) == id_or_key.strip().lower():
            return delivery
    raise DeliveryNotFound(id_or_key)


def _delivery_id(id_or_key: str) -> int | None:
    text = id_or_key.strip()
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    try:
        return delivery_id_of(UUID(text))
    except ValueError:
        return None


def _row(*columns: Any) -> DeliveryRow:
    *before, name, version, created_at, body_json = columns[:_BODY]
    *after, only, excluded, pins = columns[_BODY:]
    options = Options(only_fields=tuple(only or ()), excluded_fields=tuple(excluded or ()), event_versions=pins or {})
    try:
        sent = sent_body(name, version, body_json, options, columns[_TIME_ZONE])
    except ValueError:  # somebody emitted it by SQL, or it cannot be downgraded: so it cannot be sent
        sent = "{}"
    version = sent_version(name, version, options)
    return record(DeliveryRow, (*before, name, version, created_at, sent, *after, (), None))


def _with_attempts(connection: Connection, stored: Sequence[Row]) -> list[DeliveryRow]:
    listed = [_row(*row) for row in stored]
    if not listed:
        return []
    ids, since = [one.id for one in listed], min(one.created_at for one in listed).date()
    attempts = defaultdict[int, list[AttemptRow]](list)
    for delivery_id, *columns in rows(connection, _ATTEMPTS, ids=ids, since=since):
        attempts[delivery_id].append(record(AttemptRow, columns))
    return [replace(one, attempts=tuple(attempts[one.id])) for one in listed]
