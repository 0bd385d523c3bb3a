"""The backlog, at a cost that does not grow with it: exact while it is little, estimated from a sample when it is much.

Up to EXACT rows are read by index, whatever the table has become meanwhile. Beyond, RANGES ranges of the table's
pages are read, which lie evenly over it; an estimate is right within a few per cent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dispatcher.storage.engine import Connection, Row, rows, scalar
from dispatcher.storage.pipeline import deliveries, order

EXACT = 10_000
RANGES = 30
RANGE_PAGES = 5
LATE = 40
OVERDUE = 50
"""Webhooks at the head of the schedule whose oldest delivery is read, however much waits elsewhere."""
WEBHOOKS = 250
"""Webhooks that are listed each: those with the most pending deliveries."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """Counts of what is pending; ages in seconds, None where nothing is.

    `due`, `retrying`, `held_back` and `kept` (until they are fetched) are of active webhooks, `inactive` of the others.
    `is_exact` is False where the figures are estimates; ages are exact always, as far as the oldest is one of a webhook
    that was read.
    """

    events_waiting: int
    oldest_event_age_s: float | None
    due: int
    oldest_due_age_s: float | None
    retrying: int
    leased: int
    held_back: int
    kept: int
    inactive: int
    is_exact: bool

    @property
    def deliveries(self) -> int:
        """All of them."""
        return self.due + self.retrying + self.leased + self.held_back + self.kept + self.inactive


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookBacklog:
    """A webhook with pending deliveries; the counts are estimates where the Backlog's are."""

    webhook_id: int
    account_slug: str
    active: bool
    waiting: int
    due: int
    due_age_s: float | None
    """Of its oldest one that is due; None where none is, or where it is not active."""
    next_attempt_at: datetime


# Index: deliveries_due. Read in its order, because a scan of the table would read what is long gone, too.
_EXACT = """
select webhook_id, next_attempt_at, lease_token is not null as leased from dispatcher.deliveries_waiting
order by webhook_id, next_attempt_at limit %(most)s
"""
# Not TABLESAMPLE: the number of pages that it reads varies by a twelfth, and is not known.
_SAMPLE = "select webhook_id, next_attempt_at, lease_token is not null as leased from dispatcher.deliveries_waiting"

# One row for each of the webhooks with the most, each with the sums over all of them.
_BY_WEBHOOK = f"""
with counted as materialized (
    select webhook_id, count(*) as waiting, count(*) filter (where next_attempt_at <= (select dispatcher.now())) as due,
        count(*) filter (where leased and next_attempt_at > (select dispatcher.now())) as leased,
        count(*) filter (where next_attempt_at = {order.HELD_BACK}) as held_back,
        count(*) filter (where next_attempt_at = {order.KEPT}) as kept, min(next_attempt_at) as first_at
    from ({{source}}) source group by 1),
most as materialized (
    select *, sum(waiting) over () as all_waiting, sum(due) over () as all_due, sum(leased) over () as all_leased,
        sum(held_back) over () as all_held_back, sum(kept) over () as all_kept
    from counted order by waiting desc, webhook_id limit %(webhooks)s)
select m.webhook_id, a.slug, w.active and w.deleted_at is null, m.waiting, m.due, m.leased, m.held_back, m.kept,
    extract(epoch from dispatcher.now() - m.first_at)::float8, m.first_at,
    m.all_waiting::float8, m.all_due::float8, m.all_leased::float8, m.all_held_back::float8,
    m.all_kept::float8
from most m join dispatcher.webhooks w on w.id = m.webhook_id join dispatcher.accounts a on a.id = w.account_id
order by m.waiting desc, m.webhook_id
"""

_EVENTS = """
select count(*) from (select from dispatcher.events_waiting order by event_id limit %(most)s) e
"""
_EVENTS_SAMPLE = "select event_id from dispatcher.events_waiting"
_OLDEST_EVENT = """
select extract(epoch from clock_timestamp() - recorded_at)::float8 from dispatcher.events_waiting order by event_id
limit 1
"""

# What Postgres' statistics say is good enough to know that there is no use in counting.
_SIZE = """
select pg_stat_get_live_tuples(('dispatcher.' || %(table)s)::regclass),
    pg_relation_size(('dispatcher.' || %(table)s)::regclass) / current_setting('block_size')::int
"""


def measure(connection: Connection, also: Iterable[int] = ()) -> tuple[Backlog, list[WebhookBacklog]]:
    """The backlog, and the webhooks with the most of it.

    `also`: webhooks that are known to be late; where the counts come from a sample, their oldest is read, too.
    """
    counted, share = _count(connection)
    webhooks, ages_s = [_webhook(row, share) for row in counted], list[float]()
    if share < 1:
        webhooks, ages_s = _with_ages(connection, webhooks, also)
    ages_s += [webhook.due_age_s for webhook in webhooks if webhook.due_age_s is not None]
    inactive = [row for row in counted if not row[2]]
    waiting, due, leased, held_back, kept = counted[0][10:] if counted else (0, 0, 0, 0, 0)
    of_inactive = sum(row[3] - row[5] for row in inactive)
    due -= sum(row[4] for row in inactive)
    held_back -= sum(row[6] for row in inactive)
    kept -= sum(row[7] for row in inactive)
    events, event_age_s, events_share = _events(connection)
    return Backlog(
        events_waiting=events,
        oldest_event_age_s=event_age_s,
        due=round(due / share),
        oldest_due_age_s=max(ages_s, default=None),
        retrying=round(max(0, waiting - due - leased - held_back - kept - of_inactive) / share),
        leased=round(leased / share),
        held_back=round(held_back / share),
        kept=round(kept / share),
        inactive=round(of_inactive / share),
        is_exact=share == 1 and events_share == 1,
    ), webhooks


def _count(connection: Connection) -> tuple[list[Row], float]:
    """Rows of _BY_WEBHOOK, and which share of the table they were counted from."""
    live, pages = _size(connection, "deliveries_waiting")
    if live <= 2 * EXACT:
        counted = rows(connection, _BY_WEBHOOK.format(source=_EXACT), most=EXACT + 1, webhooks=EXACT + 1)
        if not counted or counted[0][10] <= EXACT:
            return counted, 1.0
    source, share = _sample(_SAMPLE, pages)
    sampled = rows(connection, _BY_WEBHOOK.format(source=source), webhooks=WEBHOOKS)
    if sampled:
        return sampled, share
    # The table is nearly empty pages: what the index has first stands for the rest.
    return rows(connection, _BY_WEBHOOK.format(source=_EXACT), most=EXACT + 1, webhooks=WEBHOOKS), 1.0


def _events(connection: Connection) -> tuple[int, float | None, float]:
    age_s = scalar(connection, _OLDEST_EVENT)
    live, pages = _size(connection, "events_waiting")
    if live <= 2 * EXACT:
        count = scalar(connection, _EVENTS, most=EXACT + 1)
        if count <= EXACT:
            return count, age_s, 1.0
    source, share = _sample(_EVENTS_SAMPLE, pages)
    return round(scalar(connection, f"select count(*) from ({source}) source") / share), age_s, share


def _size(connection: Connection, table: str) -> tuple[int, int]:
    """Rows, as far as Postgres' statistics know, and pages."""
    live, pages = rows(connection, _SIZE, table=table)[0]
    return live, pages


def _sample(select: str, pages: int) -> tuple[str, float]:
    """`select` over a sample of a table of `pages` pages; and the share of the table that this is."""
    if pages <= RANGES * RANGE_PAGES:
        return select, 1.0
    firsts = [number * pages // RANGES for number in range(RANGES)]
    ranges = [f"{select} where ctid >= '({first},0)' and ctid < '({first + RANGE_PAGES},0)'" for first in firsts]
    return " union all ".join(ranges), RANGES * RANGE_PAGES / pages


def _with_ages(
    connection: Connection, webhooks: Sequence[WebhookBacklog], also: Iterable[int]
) -> tuple[list[WebhookBacklog], list[float]]:
    """The webhooks with the ages of their oldest, read by index; and the ages of `also`.

    Only of those with the most and of those that seem latest: of the others the sample's oldest is near enough.
    """
    latest = sorted(webhooks, key=lambda one: one.due_age_s or 0.0, reverse=True)[:LATE]
    ids = {*also, *(one.webhook_id for one in webhooks[:LATE]), *(one.webhook_id for one in latest)}
    waits = deliveries.next_due(connection, sorted(ids))
    ages = {webhook: -wait_s for webhook, wait_s in waits.items() if wait_s <= 0}
    aged = [replace(one, due_age_s=ages.get(one.webhook_id)) if one.webhook_id in ids else one for one in webhooks]
    return aged, list(ages.values())


def _webhook(row: Row, share: float) -> WebhookBacklog:
    webhook_id, slug, active, waiting, due, _leased, _held_back, _kept, age_s, first_at, *_ = row
    return WebhookBacklog(
        webhook_id=webhook_id,
        account_slug=slug,
        active=active,
        waiting=round(waiting / share),
        due=round(due / share),
        due_age_s=age_s if active and due else None,
        next_attempt_at=first_at,
    )
