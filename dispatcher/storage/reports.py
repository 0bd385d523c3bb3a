"""What people ask: lists of deliveries with their attempts, and the figures of `dispatcher status`."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from dispatcher.errors import DeliveryUnknown
from dispatcher.ids import delivery_id_of
from dispatcher.storage.engine import Connection, Row, rows


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptRow:
    """One request that was made, or a lease that was lost (`reason` "lost")."""

    id: int
    number: int
    request_id: UUID
    url: str = field(repr=False)
    status: str
    reason: str | None
    content_type: str | None
    body: str | None = field(repr=False)
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryRow:
    """A delivery as people look at it. `body_json` is the event's body, without the envelope."""

    id: int
    webhook_id: int
    webhook_url: str = field(repr=False)
    account_slug: str
    time_zone: str
    event_id: int
    event_name: str
    event_created_at: datetime
    body_json: str = field(repr=False)
    idempotency_key: UUID
    state: str
    attempt_count: int
    lost_count: int
    next_attempt_at: datetime | None
    created_at: datetime
    updated_at: datetime
    attempts: tuple[AttemptRow, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """Figures of what waits; ages in seconds, None where nothing waits."""

    events_waiting: int
    oldest_event_age_s: float | None
    due: int
    oldest_due_age_s: float | None
    retrying: int
    leased: int


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookBacklog:
    """A webhook with deliveries that wait; `waiting` is counted up to WEBHOOK_CAP."""

    webhook_id: int
    account_slug: str
    active: bool
    waiting: int
    next_attempt_at: datetime


# Walks deliveries_due from webhook to webhook, as `deliveries.all_due` does, and counts a little of each.
_WEBHOOKS = """
with recursive walk (webhook_id, next_attempt_at) as (
    (select webhook_id, next_attempt_at from deliveries_waiting order by webhook_id, next_attempt_at limit 1)
    union all
    select d.webhook_id, d.next_attempt_at from walk cross join lateral (
        select webhook_id, next_attempt_at from deliveries_waiting where webhook_id > walk.webhook_id
        order by webhook_id, next_attempt_at limit 1) d),
page as (select * from walk limit 1000)
select p.webhook_id, a.slug, w.active,
    (select count(*) from (select from deliveries_waiting where webhook_id = p.webhook_id limit %(cap)s) d),
    p.next_attempt_at
from page p join webhooks w on w.id = p.webhook_id join accounts a on a.id = w.account_id
order by 4 desc, 1 limit 20
"""

WEBHOOK_CAP = 10_000

_DELIVERY = """
select d.id, d.webhook_id, w.webhook_url, a.slug, a.time_zone, d.event_id, e.name, e.created_at, e.body::text,
    d.idempotency_key, d.state, d.attempt_count, d.lost_count,
    case when d.state = 'pending' then d.next_attempt_at end, d.created_at, d.updated_at
from deliveries d join webhooks w on w.id = d.webhook_id join accounts a on a.id = w.account_id
join events e on e.id = d.event_id
"""

# Index: deliveries_by_id, backwards; in each day's partition.
_LIST = (
    _DELIVERY
    + """
where a.slug = %(slug)s and (%(webhook_id)s::int is null or d.webhook_id = %(webhook_id)s)
    and (%(state)s::text is null or d.state = %(state)s) and (%(before)s::bigint is null or d.id < %(before)s)
order by d.id desc limit %(limit)s
"""
)

_ATTEMPTS = """
select delivery_id, id, number, request_id, url, status, reason, content_type, body, started_at, finished_at
from attempts where delivery_id = any (%(ids)s::bigint[]) order by number desc, id desc
"""

# Counts stop at a limit: a million waiting rows must not slow the question "how are you".
_BACKLOG = """
select (select count(*) from (select from events_waiting limit %(cap)s) e),
    (select extract(epoch from clock_timestamp() - recorded_at)::float8 from events_waiting order by event_id limit 1),
    count(*) filter (where next_attempt_at <= dispatcher_now()),
    extract(epoch from
        dispatcher_now() - min(next_attempt_at) filter (where next_attempt_at <= dispatcher_now()))::float8,
    count(*) filter (where next_attempt_at > dispatcher_now() and lease_token is null),
    count(*) filter (where next_attempt_at > dispatcher_now() and lease_token is not null)
from (select next_attempt_at, lease_token from deliveries_waiting limit %(cap)s) d
"""

COUNT_CAP = 1_000_000


def backlog(connection: Connection) -> Backlog:
    """How much waits, counted up to COUNT_CAP."""
    row = rows(connection, _BACKLOG, {"cap": COUNT_CAP})[0]
    return Backlog(
        events_waiting=row[0],
        oldest_event_age_s=row[1],
        due=row[2],
        oldest_due_age_s=row[3],
        retrying=row[4],
        leased=row[5],
    )


def webhooks_with_backlog(connection: Connection) -> list[WebhookBacklog]:
    """Of the first 1,000 webhooks with deliveries that wait, the 20 with the most."""
    return [
        WebhookBacklog(webhook_id=row[0], account_slug=row[1], active=row[2], waiting=row[3], next_attempt_at=row[4])
        for row in rows(connection, _WEBHOOKS, {"cap": WEBHOOK_CAP})
    ]


def deliveries(
    connection: Connection,
    slug: str,
    *,
    webhook_id: int | None = None,
    state: str | None = None,
    before: int | None = None,
    limit: int = 40,
) -> list[DeliveryRow]:
    """An account's deliveries with their attempts, newest first; `before` is the last id of the page before."""
    parameters = {"slug": slug, "webhook_id": webhook_id, "state": state, "before": before, "limit": limit}
    return _with_attempts(connection, rows(connection, _LIST, parameters))


def delivery(connection: Connection, id_or_key: str) -> DeliveryRow:
    """One delivery, by its id or its Idempotency-Key; raises DeliveryUnknown."""
    id_ = _delivery_id(id_or_key)
    found = rows(connection, _DELIVERY + "where d.id = %(id)s", {"id": id_}) if id_ is not None else []
    if not found or ("-" in id_or_key and str(found[0][9]) != id_or_key.strip().lower()):
        raise DeliveryUnknown(id_or_key)
    return _with_attempts(connection, found)[0]


def _delivery_id(id_or_key: str) -> int | None:
    text = id_or_key.strip()
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    try:
        return delivery_id_of(UUID(text))
    except ValueError:
        return None


def _with_attempts(connection: Connection, found: list[Row]) -> list[DeliveryRow]:
    attempts: dict[int, list[AttemptRow]] = {}
    for delivery_id, *values in rows(connection, _ATTEMPTS, {"ids": [row[0] for row in found]}):
        attempts.setdefault(delivery_id, []).append(
            AttemptRow(**dict(zip(AttemptRow.__dataclass_fields__, values, strict=True)))
        )
    names = list(DeliveryRow.__dataclass_fields__)[:-1]
    return [
        DeliveryRow(**dict(zip(names, row, strict=True)), attempts=tuple(attempts.get(row[0], ()))) for row in found
    ]
