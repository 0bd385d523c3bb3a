"""What the console's first page asks for every few seconds: the backlog, and which webhooks are in trouble.

Both read a bounded number of rows, by index, however many deliveries are pending.
"""

from dataclasses import dataclass, field
from datetime import datetime

from dispatcher.storage.engine import Connection, records, rows

COUNT_CAP = 10_000
"""Exact up to here."""
WEBHOOK_CAP = 1_000
"""Pending deliveries that are counted of one webhook; and webhooks with pending deliveries that are read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingSummary:
    """Pending `deliveries`, and `due_age_s` of the oldest that is due to an active webhook; None where none is.

    Beyond COUNT_CAP it is not `is_exact`: `deliveries` is what Postgres' statistics say, or COUNT_CAP for one account.
    """

    deliveries: int
    is_exact: bool
    due_age_s: float | None
    events: int | None
    """Not fanned out yet, of all accounts; up to COUNT_CAP. None for one account."""
    event_age_s: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class FailingWebhook:
    """A webhook that fails, was disabled, or falls behind."""

    id: int
    account_slug: str
    time_zone: str
    webhook_url: str = field(repr=False)
    description: str | None
    active: bool
    failing_since: datetime | None
    deactivated_at: datetime | None
    deactivated_reason: str | None
    due_age_s: float | None
    waiting: int
    """Up to WEBHOOK_CAP."""
    delivered_in_a_day: int
    failed_in_a_day: int


# Walks deliveries_due from webhook to webhook: one look-up for each, whatever is pending there.
_WALK_ALL = """
walk (webhook_id, next_attempt_at) as (
    (select webhook_id, next_attempt_at from dispatcher.deliveries_waiting order by webhook_id, next_attempt_at limit 1)
    union all
    select d.webhook_id, d.next_attempt_at from walk cross join lateral (
        select webhook_id, next_attempt_at from dispatcher.deliveries_waiting where webhook_id > walk.webhook_id
        order by webhook_id, next_attempt_at limit 1) d),
heads as (select webhook_id, next_attempt_at from walk limit %(webhook_cap)s)
"""
# The same of one account. Index: webhooks_by_account, deliveries_due.
_WALK_ACCOUNT = """
heads as (
    select d.webhook_id, d.next_attempt_at
    from (select id from dispatcher.webhooks where account_id = %(account_id)s and deleted_at is null limit 10000) w
    cross join lateral (
        select webhook_id, next_attempt_at from dispatcher.deliveries_waiting where webhook_id = w.id
        order by next_attempt_at limit 1) d
    limit %(webhook_cap)s)
"""

# Ids go into it as an array, so that webhooks are looked up, and never read whole.
_DUE_AGE = """
(select extract(epoch from dispatcher.now() - min(next_attempt_at))::float8 from heads
 where next_attempt_at <= dispatcher.now() and webhook_id = any (array (
    select id from dispatcher.webhooks
    where id = any (array (select webhook_id from heads)) and active and deleted_at is null)))
"""

# Index: deliveries_due, events_waiting's key.
_WAITING_OF_ALL = f"""
with recursive {_WALK_ALL}
select
    (select count(*) from (
        select from dispatcher.deliveries_waiting order by webhook_id, next_attempt_at limit %(cap)s + 1) d),
    pg_stat_get_live_tuples('dispatcher.deliveries_waiting'::regclass),
    {_DUE_AGE},
    (select count(*) from (select from dispatcher.events_waiting order by event_id limit %(cap)s) e),
    (select extract(epoch from clock_timestamp() - recorded_at)::float8 from dispatcher.events_waiting
    order by event_id limit 1)
"""
_WAITING_OF_ACCOUNT = f"""
with recursive {_WALK_ACCOUNT}
select
    (select count(*) from (
        select from heads h cross join lateral (
            select from dispatcher.deliveries_waiting where webhook_id = h.webhook_id order by next_attempt_at
            limit %(cap)s + 1) d
        limit %(cap)s + 1) d),
    %(cap)s, {_DUE_AGE}, null, null
"""

# Index: as above; webhooks_in_trouble; figures_by_hour's key.
_FAILING = """
with recursive {walk},
behind as (select webhook_id from heads where next_attempt_at < dispatcher.now() - interval '1 minute'),
named as (
    select id from dispatcher.webhooks where id = any (array (select webhook_id from behind)) and deleted_at is null
    union
    (select id from dispatcher.webhooks
     where {of_account} deleted_at is null and (failing_since is not null or deactivated_at is not null)
     order by account_id, id limit 1000))
select w.id, a.slug, a.time_zone, w.webhook_url, w.description, w.active, w.failing_since, w.deactivated_at,
    w.deactivated_reason, d.due_age_s, w.waiting, coalesce(f.delivered, 0), coalesce(f.failed, 0)
from (
    select w.*, (
        select count(*) from (
            select from dispatcher.deliveries_waiting where webhook_id = w.id order by next_attempt_at
            limit %(webhook_cap)s) d
        ) as waiting
    from dispatcher.webhooks w where w.id = any (array (select id from named))
    order by w.deactivated_at is null, w.failing_since is null, w.deactivated_at desc, w.failing_since, w.id
    limit %(limit)s) w
join dispatcher.accounts a on a.id = w.account_id
left join lateral (
    select extract(epoch from dispatcher.now() - next_attempt_at)::float8 as due_age_s
    from dispatcher.deliveries_waiting
    where webhook_id = w.id and next_attempt_at <= dispatcher.now() order by next_attempt_at limit 1) d on true
left join lateral (
    select sum(delivered)::int as delivered, sum(failed)::int as failed from dispatcher.figures_by_hour
    where webhook_id = w.id and hour > dispatcher.now() - interval '24 hours') f on true
order by w.deactivated_at is null, w.failing_since is null, w.deactivated_at desc, w.failing_since, w.id
"""


def pending_summary(connection: Connection, account_id: int | None = None) -> PendingSummary:
    """Of an account or of all."""
    sql = _WAITING_OF_ALL if account_id is None else _WAITING_OF_ACCOUNT
    counted, estimate, due_age_s, events, event_age_s = rows(connection, sql, **_parameters(account_id))[0]
    exact = counted <= COUNT_CAP
    return PendingSummary(
        deliveries=counted if exact else max(COUNT_CAP, estimate),
        is_exact=exact,
        due_age_s=due_age_s,
        events=events,
        event_age_s=event_age_s,
    )


def failing_webhooks(connection: Connection, account_id: int | None = None, *, limit: int = 10) -> list[FailingWebhook]:
    """Webhooks that need attention: those disabled last, then those that fail longest, then those that are late."""
    sql = _FAILING.format(
        walk=_WALK_ALL if account_id is None else _WALK_ACCOUNT,
        of_account="" if account_id is None else "account_id = %(account_id)s and",
    )
    return records(connection, FailingWebhook, sql, **_parameters(account_id), limit=limit)


def _parameters(account_id: int | None) -> dict[str, object]:
    return {"account_id": account_id, "cap": COUNT_CAP, "webhook_cap": WEBHOOK_CAP}
