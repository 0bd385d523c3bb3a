"""Figures by minute and by hour: counted once from what was finished, then read as often as anybody likes.

One count at a time, in one transaction with how far it came, so each delivery and each attempt is counted once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dispatcher.storage.engine import Connection, array, rows

ALL_ACCOUNTS = 0
"""In place of an account's id: all accounts."""
GROWTH = 1.25
"""The end of a bucket of times, as a multiple of the end of the one before."""
LAST_BUCKET = 95
FAILED_ATTEMPTS_CAP = 100_000
"""Of a count; with more of them in its span, the rest is left out."""

# What is finished may be committed a moment later than its time says, so the last seconds are left for the next count.
# What nobody counted for an hour (no worker ran) is left out.
_SPAN = """
select greatest(until, dispatcher.now() - interval '1 hour'),
    least(dispatcher.now() - %(lag_s)s * interval '1 second',
        greatest(until, dispatcher.now() - interval '1 hour') + interval '5 minutes')
from dispatcher.figures_until for update skip locked
"""
_COUNTED = "update dispatcher.figures_until set until = %(until)s"

# Index: deliveries_by_finish and attempts_by_finish, of the days named; deliveries_by_id, one look-up for each attempt.
_COUNT = """
with finished as materialized (
    select d.webhook_id, d.state, date_trunc('minute', d.updated_at) as minute,
        case when d.state = 'delivered' then least(%(last_bucket)s, greatest(0, ceil(ln(greatest(1,
            extract(epoch from d.updated_at - d.created_at)::float8 * 1000)) / ln(%(growth)s::float8))))::smallint
        end as bucket, count(*)::int as deliveries
    from dispatcher.deliveries d
    where d.finished_on between %(first_day)s and %(last_day)s
        and d.updated_at > %(since)s and d.updated_at <= %(until)s and d.state in ('delivered', 'failed')
    group by 1, 2, 3, 4),
unsuccessful as materialized (
    select d.webhook_id, a.minute, count(*)::int as attempts
    from (
        select delivery_id, date_trunc('minute', finished_at) as minute from dispatcher.attempts
        where recorded_on between %(first_day)s and %(last_day)s
            and finished_at > %(since)s and finished_at <= %(until)s and status !~ '^(2[0-9][0-9]|confirmed)$'
        limit %(cap)s) a
    cross join lateral (
        select webhook_id from dispatcher.deliveries
        where id = a.delivery_id
            and (finished_on is null or finished_on between %(first_day)s and %(last_day)s) limit 1) d
    group by 1, 2),
counted as (
    select webhook_id, minute, case when state = 'delivered' then deliveries else 0 end as delivered,
        case when state = 'failed' then deliveries else 0 end as failed, 0 as failed_attempts from finished
    union all
    select webhook_id, minute, 0, 0, attempts from unsuccessful),
whose as (
    select s.*, w.account_id from counted s join dispatcher.webhooks w on w.id = s.webhook_id),
minutes as (
    insert into dispatcher.figures_by_minute as f (account_id, minute, delivered, failed, failed_attempts)
    select account_id, minute, sum(delivered), sum(failed), sum(failed_attempts) from (
        select account_id, minute, delivered, failed, failed_attempts from whose
        union all select 0, minute, delivered, failed, failed_attempts from whose) both_of_them
    group by 1, 2
    on conflict (account_id, minute) do update set delivered = f.delivered + excluded.delivered,
        failed = f.failed + excluded.failed, failed_attempts = f.failed_attempts + excluded.failed_attempts),
times as (
    insert into dispatcher.times_by_minute as t (account_id, minute, bucket, deliveries)
    select account_id, minute, bucket, sum(deliveries) from (
        select w.account_id, f.minute, f.bucket, f.deliveries from finished f
            join dispatcher.webhooks w on w.id = f.webhook_id
        where f.bucket is not null
        union all select 0, minute, bucket, deliveries from finished where bucket is not null) both_of_them
    group by 1, 2, 3
    on conflict (account_id, minute, bucket) do update set deliveries = t.deliveries + excluded.deliveries)
insert into dispatcher.figures_by_hour as f (webhook_id, hour, delivered, failed, failed_attempts)
select webhook_id, date_trunc('hour', minute), sum(delivered), sum(failed), sum(failed_attempts) from counted
group by 1, 2
on conflict (webhook_id, hour) do update set delivered = f.delivered + excluded.delivered,
    failed = f.failed + excluded.failed, failed_attempts = f.failed_attempts + excluded.failed_attempts
"""

# Index: the keys of figures_by_minute and times_by_minute.
_READ = """
select minute, null::smallint, delivered, failed, failed_attempts from dispatcher.figures_by_minute
where account_id = %(account_id)s and minute > dispatcher.now() - interval '60 minutes'
union all
select minute, bucket, deliveries, 0, 0 from dispatcher.times_by_minute
where account_id = %(account_id)s and minute > dispatcher.now() - interval '15 minutes'
union all
select until, null, -1, 0, 0 from dispatcher.figures_until
"""

# Index: figures_by_hour's key.
_HOURS = """
select webhook_id, hour, delivered, failed, failed_attempts from dispatcher.figures_by_hour
where webhook_id = any (%(webhook_ids)s::int[]) and hour > dispatcher.now() - interval '24 hours'
order by webhook_id, hour
"""

_PRUNE = (
    "delete from dispatcher.figures_by_minute where minute < dispatcher.now() - interval '2 hours'",
    "delete from dispatcher.times_by_minute where minute < dispatcher.now() - interval '2 hours'",
    "delete from dispatcher.figures_by_hour where hour < dispatcher.now() - interval '50 hours'",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """What was finished in the minute, or hour, that begins `at`; `retried`: attempts that failed and left another."""

    at: datetime
    delivered: int
    failed: int
    retried: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LastHour:
    """The minutes of the last hour in which anything was finished, and how long deliveries took in the last 15.

    `until`: what was finished by then is counted. Times are in seconds, within 25 %; None where nothing was delivered.
    """

    until: datetime
    minutes: tuple[Bucket, ...]
    p50_s: float | None
    p95_s: float | None


def count(connection: Connection, lag_s: float = 2.0) -> bool:
    """Counts what was finished since the last count; False where there is nothing to do, or somebody is at it."""
    since, until = next(iter(rows(connection, _SPAN, lag_s=lag_s)), (None, None))
    if since is None or since >= until:
        return False
    rows(
        connection,
        _COUNT,
        since=since,
        until=until,
        first_day=since.astimezone(UTC).date(),
        last_day=until.astimezone(UTC).date(),
        growth=GROWTH,
        last_bucket=LAST_BUCKET,
        cap=FAILED_ATTEMPTS_CAP,
    )
    rows(connection, _COUNTED, until=until)
    return True


def prune(connection: Connection) -> None:
    """Deletes what no page shows any more."""
    for statement in _PRUNE:
        rows(connection, statement)


def last_hour(connection: Connection, account_id: int = ALL_ACCOUNTS) -> LastHour:
    """The last hour of an account, or of all, in one query."""
    minutes, times = [], Counter[int]()
    until = datetime.now(UTC)
    for at, bucket, delivered, failed, failed_attempts in rows(connection, _READ, account_id=account_id):
        if delivered < 0:
            until = at
        elif bucket is None:
            minutes.append(_bucket(at, delivered, failed, failed_attempts))
        else:
            times[bucket] += delivered
    return LastHour(
        until=until,
        minutes=tuple(sorted(minutes, key=lambda one: one.at)),
        p50_s=quantile_s(times, 0.5),
        p95_s=quantile_s(times, 0.95),
    )


def last_day(connection: Connection, webhook_ids: Sequence[int]) -> dict[int, list[Bucket]]:
    """Webhook → its last 24 hours in which anything was finished."""
    hours: dict[int, list[Bucket]] = {}
    for webhook_id, *counts in rows(connection, _HOURS, webhook_ids=array(webhook_ids)):
        hours.setdefault(webhook_id, []).append(_bucket(*counts))
    return hours


def quantile_s(times: Mapping[int, int], share: float) -> float | None:
    """The time, in seconds, within which that share was delivered, from the counts by bucket."""
    left = sum(times.values()) * share
    for bucket in sorted(times):
        left -= times[bucket]
        if left <= 0:
            return float(GROWTH**bucket) / 1000
    return None


def _bucket(at: datetime, delivered: int, failed: int, failed_attempts: int) -> Bucket:
    return Bucket(at=at, delivered=delivered, failed=failed, retried=max(0, failed_attempts - failed))
