"""Deliveries: claimed under a lease, recorded with their attempts, released, and rebuilt into the schedule.

One seam shifts time for tests: every statement takes "now" from `dispatcher.now()`, which adds the session's
`dispatcher.shift` (seconds; unset outside tests).
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from dispatcher import log
from dispatcher.connections.adapter import Planned
from dispatcher.errors import SecretDecryptionFailed
from dispatcher.model.attempt import Result, Verdict
from dispatcher.model.delivery import ClaimedDelivery, State
from dispatcher.model.webhook import PayloadVersion, Signing, Target
from dispatcher.schemas.catalogue import FIRST
from dispatcher.storage.engine import Connection, Row, array, rows
from dispatcher.storage.options import read_options
from dispatcher.storage.pipeline import order
from dispatcher.storage.pipeline.transitions import end, legal
from dispatcher.storage.secrets import SecretBox
from dispatcher.storage.stats import partitions

logger = logging.getLogger(__name__)

EVENT_GONE, PAYLOAD_GONE = "its event is gone", "its payload was erased"
"""Why a delivery cannot be sent: the day of its event was dropped; or its event is there without a body."""

# The table of what waits grows and shrinks faster than its statistics follow. So the statements below name ids as an
# array where they could join: the planner then looks rows up, whatever it believes the size of the table to be.
# Counters are sums of two columns, the old and the new: see migration 0012.


# `read_claimed` reads it. An event's age is counted from
# `created_at`, which an emitter may have set: then from the second in its id, a second more. One whose event is gone is
# returned too, without a name: it must end, and not be leased again for ever. So is one whose payload was erased.
def to_send(leased: str, *, lost: str, body: str = "e.body::text") -> str:
    """SQL: all that is needed to send each delivery in `leased`; `lost`: SQL for whether a lease of it had run out.

    `body`: SQL for that of its event `e`; null where another row of the same event has it.
    """
    return f"""select l.id, l.webhook_id, l.idempotency_key::text, l.attempt_count, l.tries_before,
    l.lost_count - l.lost_before, e.name, e.created_at, {body}, a.time_zone, l.resource, l.event_id,
    case when l.tries_before = 0 and l.copy_of is null then
        extract(epoch from dispatcher.now() - greatest(e.created_at, to_timestamp(1577836799 + (e.id >> 23))))::float8
    end, {lost}, e.traceparent, l.outdated is true, e.version
from {leased} l
    left join lateral (select * from dispatcher.events where id = l.event_id and erasure is null limit 1) e on true
    left join lateral (select time_zone from dispatcher.accounts where id = e.account_id limit 1) a on true"""


BODY = 8
"""The column of `to_send` with the event's body."""


# Index: deliveries_due, one short range a webhook; then deliveries_by_id. A row that comes with a token is one whose
# lease ran out: the attempt is lost, which is written at once, or, after too many, ends the delivery. A body that goes
# to many webhooks is read once.
_CLAIM = Planned(f"""
with due as materialized (
    select d.id, d.lease_token is not null as lost
    from unnest(%(webhook_ids)s::int[], %(limits)s::int[], %(allowed)s::int[]) w (id, slots, allowed)
    join dispatcher.webhooks on webhooks.id = w.id and webhooks.active and webhooks.deleted_at is null
    cross join lateral (
        select id, lease_token from dispatcher.deliveries_waiting
        where webhook_id = w.id and next_attempt_at <= dispatcher.now()
        order by next_attempt_at
        limit case when webhooks.rate_limit is null then w.slots else least(w.slots, w.allowed) end
        for update skip locked) d),
leased as (
    update dispatcher.deliveries_waiting
    set next_attempt_at = dispatcher.now() + make_interval(secs => %(lease_s)s), lease_token = %(token)s,
        lost_count = lost_count + (lease_token is not null)::int
    where id = any (array (select id from due))
    returning id, webhook_id, event_id, idempotency_key, attempt_count + attempt_count_smallint as attempt_count,
        lost_count + lost_count_smallint as lost_count, tries_before + tries_before_smallint as tries_before,
        lost_before + lost_before_smallint as lost_before, resource, copy_of, outdated),
losses as (
    insert into dispatcher.attempts (delivery_id, number, request_id, url, status, reason, started_at, finished_at)
    select l.id, l.attempt_count + l.lost_count, gen_random_uuid(), w.webhook_url, 'unknown_error', 'lost',
        dispatcher.now() - make_interval(secs => %(lease_s)s), dispatcher.now()
    from leased l join dispatcher.webhooks w on w.id = l.webhook_id where l.id in (select id from due where lost))
{
    to_send(
        "(select *, row_number() over (partition by event_id) as nth_of_event from leased)",
        lost="l.id in (select id from due where lost)",
        body="case when l.nth_of_event = 1 then e.body::text end",
    )
}
""")

_END = f"""
update dispatcher.deliveries set {end("%(state)s")}
where id = any (%(ids)s::bigint[]) and finished_on is null and lease_token = %(token)s
    and {legal("state", "%(state)s")}
"""

# Nothing was sent, and nothing can be: the attempt is there to say so.
_FAIL_WITHOUT_EVENT = f"""
with failed as (
    update dispatcher.deliveries set {end(State.FAILED)}, attempt_count = attempt_count + 1
    where id = any (%(ids)s::bigint[]) and finished_on is null and lease_token = %(token)s
        and {legal("state", State.FAILED)}
    returning id, webhook_id,
        attempt_count + attempt_count_smallint + lost_count + lost_count_smallint as number)
insert into dispatcher.attempts (delivery_id, number, request_id, url, status, reason, started_at, finished_at)
select f.id, f.number, gen_random_uuid(), w.webhook_url, 'unknown_error', %(reason)s, dispatcher.now(), dispatcher.now()
from failed f join dispatcher.webhooks w on w.id = f.webhook_id
"""

TARGET = """id, webhook_url, auth_header_encrypted, signing_secret_encrypted,
    case when previous_secret_until > now() then previous_secret_encrypted end, payload_version, signing, rate_limit,
    extract(epoch from dispatcher.now() - failing_since)::float8, options::text"""
"""SQL: of a webhook what `read_targets` reads."""
_TARGETS = Planned(f"""
select {TARGET} from dispatcher.webhooks where id = any (%(webhook_ids)s::int[])
""")

# Index: deliveries_by_id of the waiting partition. A failure counts only with the lease's token; a success always.
_RECORD = Planned(f"""
with result as materialized (
    select * from unnest(%(ids)s::bigint[], %(tokens)s::uuid[], %(states)s::text[], %(retries)s::float8[],
        %(urls)s::text[], %(statuses)s::text[], %(reasons)s::text[], %(types)s::text[],
        %(bodies)s::text[], %(heads)s::text[], %(started)s::float8[], %(finished)s::float8[])
    as r (id, token, state, retry_in, url, status, reason, content_type, body, head, started_ago,
        finished_ago)),
moved as (
    update dispatcher.deliveries d
    set state = r.state, attempt_count = attempt_count + 1, lease_token = null, updated_at = dispatcher.now(),
        next_attempt_at = case when r.state = 'pending' then dispatcher.now() + make_interval(secs => r.retry_in)
            else next_attempt_at end,
        finished_on = case when r.state = 'pending' then null else dispatcher.now()::date end
    from result r
    where d.id = any (%(ids)s::bigint[]) and d.id = r.id
        and d.finished_on is null and (d.lease_token = r.token or r.state = 'delivered')
        and {legal("d.state", "r.state")}
    returning d.id, d.attempt_count + d.attempt_count_smallint + d.lost_count + d.lost_count_smallint as number)
insert into dispatcher.attempts (delivery_id, number, request_id, url, status, reason, content_type, body,
    response_headers, started_at, finished_at)
select r.id, m.number, gen_random_uuid(), r.url, r.status, r.reason, r.content_type, r.body, r.head,
    dispatcher.now() - make_interval(secs => r.started_ago), dispatcher.now() - make_interval(secs => r.finished_ago)
from result r join moved m on m.id = r.id
returning delivery_id
""")

# Rare: a success for a delivery that was finished meanwhile: its lease ran out, its webhook was deleted, or its payload
# was erased, and then its response is not kept either.
# Index: deliveries_by_id.
_RECORD_LATE = _RECORD.replace(
    "and d.finished_on is null and (d.lease_token = r.token or r.state = 'delivered')",
    "and d.finished_on is not null and r.state = 'delivered'",
).replace(
    "r.body, r.head,",
    "".join(
        f"""case when exists (
        select from dispatcher.deliveries d join dispatcher.events e on e.id = d.event_id
        where d.id = r.id and e.erasure is null) then r.{column} end, """
        for column in ("body", "head")
    ),
)

_RETURN_UNSENT = """
update dispatcher.deliveries set next_attempt_at = dispatcher.now(), lease_token = null
where id = any (%(ids)s::bigint[]) and finished_on is null and lease_token = %(token)s
"""

# Index: deliveries_due, its first row of each webhook.
_NEXT_DUE = Planned(f"""
select w.id, extract(epoch from d.next_attempt_at - dispatcher.now())::float8
from unnest(%(webhook_ids)s::int[]) w (id)
join dispatcher.webhooks on webhooks.id = w.id and webhooks.active and webhooks.deleted_at is null
cross join lateral (
    select next_attempt_at from dispatcher.deliveries_waiting
    where webhook_id = w.id and next_attempt_at < {order.KEPT} order by next_attempt_at limit 1) d
""")

# Walks deliveries_due from webhook to webhook, reading one row of each: its cost grows with the webhooks that have
# work, not with the deliveries that wait.
_ALL_DUE = f"""
with recursive walk (webhook_id, next_attempt_at) as (
    (select webhook_id, next_attempt_at from dispatcher.deliveries_waiting where webhook_id > %(after)s
     order by webhook_id, next_attempt_at limit 1)
    union all
    select d.webhook_id, d.next_attempt_at from walk cross join lateral (
        select webhook_id, next_attempt_at from dispatcher.deliveries_waiting where webhook_id > walk.webhook_id
        order by webhook_id, next_attempt_at limit 1) d),
page as (select * from walk limit %(limit)s)
select p.webhook_id, extract(epoch from p.next_attempt_at - dispatcher.now())::float8,
    w.active and p.next_attempt_at < {order.KEPT}, w.deleted_at is not null
from page p join dispatcher.webhooks w on w.id = p.webhook_id order by p.webhook_id
"""

RESTART = f"""state = 'pending', finished_on = null, position = null, lease_token = null,
    next_attempt_at = {order.due("deliveries.webhook_id")},
    tries_before = attempt_count + attempt_count_smallint - tries_before_smallint,
    lost_before = lost_count + lost_count_smallint - lost_before_smallint,
    redelivery_count = redelivery_count + 1, outdated = null, updated_at = dispatcher.now(),
    resource = coalesce(resource, {order.resource_of("deliveries.event_id", "deliveries.webhook_id")})"""
"""SQL: what is set of a finished delivery that is sent again: with new attempts. Needs `order.keyed`.

What people ask for is sent, also if it is outdated.
"""
RESTARTABLE = f"state <> 'pending' and {legal('state', State.PENDING)}"
"""SQL: whether a delivery is one of which `RESTART` is set."""

# The webhook cannot be deleted before the commit: who deletes it waits, and then cancels this one too.
_REPLAY = f"""
update dispatcher.deliveries set {RESTART}
where id = %(id)s and {RESTARTABLE} and redelivery_count < %(limit)s
    and exists (select from dispatcher.webhooks
        where webhooks.id = deliveries.webhook_id and deleted_at is null for key share)
    and exists (  -- its day may be dropped already, or its payload erased
        select from dispatcher.events where events.id = deliveries.event_id and erasure is null)
returning webhook_id, resource
"""

# Before all that are due: whoever asks for it means now, also where thousands are due before it. What a drain sends is
# left alone, and what is held back: order forbids it. Index: deliveries_by_id of what is pending, deliveries_due.
_RETRY_NOW = f"""
update dispatcher.deliveries_waiting d
set next_attempt_at = least(dispatcher.now(), (
        select next_attempt_at from dispatcher.deliveries_waiting f where f.webhook_id = d.webhook_id
        order by next_attempt_at limit 1) - interval '1 ms')
where id = %(id)s and lease_token is null and next_attempt_at < {order.HELD_BACK}
    and exists (select from dispatcher.webhooks w where w.id = d.webhook_id and w.active and w.deleted_at is null)
returning webhook_id
"""

_WHY_NOT = """
select d.state, case
    when d.state = 'pending' then null
    when w.deleted_at is not null then 'its webhook was deleted'
    when d.redelivery_count >= %(limit)s then 'it was redelivered ' || d.redelivery_count || ' times, the most allowed'
    else coalesce((
        select %(erased)s from dispatcher.events where id = d.event_id and erasure is not null), %(gone)s) end
from dispatcher.deliveries d join dispatcher.webhooks w on w.id = d.webhook_id where d.id = %(id)s
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What one claim got: the deliveries, where to send them, and how many were given up.

    That is after too many losses, and where there is nothing to send any more.
    """

    claimed: tuple[ClaimedDelivery, ...]
    targets: dict[int, Target] = field(repr=False)
    """By webhook; absent where its secrets cannot be opened."""
    failed: int = 0
    losses: int = 0
    """Leases that had run out unrecorded, those of what was given up too."""
    ended: tuple[order.Pair, ...] = ()
    """With order: whose resources' next deliveries may go now (`order.settle`)."""

    def by_webhook(self) -> dict[int, list[ClaimedDelivery]]:
        """Webhook → its claimed deliveries, in their order."""
        by_webhook: dict[int, list[ClaimedDelivery]] = {}
        for delivery in self.claimed:
            by_webhook.setdefault(delivery.webhook_id, []).append(delivery)
        return by_webhook


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedAttempt:
    """A judged result, ready to be recorded."""

    claimed: ClaimedDelivery
    url: str = field(repr=False)
    result: Result
    verdict: Verdict
    sent: bool = True
    """False where no request could be made of it, which says nothing of its receiver."""


class DueWebhook(NamedTuple):
    """A webhook with deliveries that wait, and the seconds until the first of them is due (negative: overdue)."""

    webhook_id: int
    wait_s: float
    active: bool
    deleted: bool


def claim(
    connection: Connection,
    secrets: SecretBox,
    slots: Mapping[int, int],
    *,
    allowed: Mapping[int, int] | None = None,
    token: str,
    lease: timedelta,
    loss_limit: int,
    now_s: float = 0.0,
) -> Claim:
    """Leases what is due, in one statement: of each webhook of `slots` at most that many.

    Of webhooks with a rate limit, at most as many as `allowed` says, by default one: this claim shows the limit.
    `now_s`: the monotonic clock; leases end `lease` later at the earliest. Commit before a byte is sent.
    """
    claim_rows = rows(
        connection,
        _CLAIM,
        webhook_ids=array(slots),
        limits=array(slots.values()),
        allowed=array((allowed or {}).get(webhook, 1) for webhook in slots),
        lease_s=lease.total_seconds(),
        token=token,
    )
    if not claim_rows:
        return Claim(claimed=(), targets={})
    ended, failed = _end_unsendable(connection, claim_rows, token, loss_limit)
    lease_ends_s = now_s + lease.total_seconds()
    bodies = {row[11]: row[BODY] for row in claim_rows if row[BODY] is not None}
    claimed = tuple(
        read_claimed(row, bodies[row[11]], token, lease_ends_s, now_s) for row in claim_rows if row[0] not in ended
    )
    return Claim(
        claimed=claimed,
        targets=targets(connection, secrets, {delivery.webhook_id for delivery in claimed}),
        failed=failed,
        losses=sum(row[13] for row in claim_rows),
        ended=tuple((row[1], row[10]) for row in claim_rows if row[0] in ended and row[10] is not None),
    )


def _end_unsendable(
    connection: Connection, claim_rows: Sequence[Row], token: str, loss_limit: int
) -> tuple[set[int], int]:
    """Ends what is not sent any more: without an event, superseded, or lost too often; and how many of it failed."""
    gone = {row[0] for row in claim_rows if row[6] is None}
    outdated = {row[0] for row in claim_rows if row[15]} - gone
    worn_out = {row[0] for row in claim_rows if row[5] >= loss_limit} - gone - outdated
    if gone:
        rows(connection, _FAIL_WITHOUT_EVENT, ids=array(gone), token=token, reason=EVENT_GONE)
    for state, ids in ((State.SUPERSEDED, outdated), (State.FAILED, worn_out)):
        if ids:
            rows(connection, _END, state=state, ids=array(ids), token=token)
    _log_losses(claim_rows, gone, worn_out)
    return gone | outdated | worn_out, len(gone) + len(worn_out)


def _log_losses(claim_rows: Sequence[Row], gone: Collection[int], worn_out: Collection[int]) -> None:
    """Logs what was lost, and what was given up for that or because its event is gone."""
    for row in claim_rows:
        if row[0] in gone:
            event = "delivery.without_event"
        elif row[13]:
            event = "delivery.given_up" if row[0] in worn_out else "delivery.lost"
        else:
            continue
        logger.warning(log.line(event, event_id=row[11], delivery_id=row[0], webhook_id=row[1], key=row[2]))


def record(connection: Connection, finished: Sequence[JudgedAttempt], now_s: float) -> int:
    """Stores attempts and moves their deliveries, in one statement; returns how many counted.

    `now_s`: the monotonic clock, now.
    """
    recorded = {row[0] for row in rows(connection, _RECORD, **_columns(finished, now_s))}
    late = [one for one in finished if one.claimed.id not in recorded and one.verdict.state is State.DELIVERED]
    if late:
        recorded |= {row[0] for row in rows(connection, _RECORD_LATE, **_columns(late, now_s))}
    return len(recorded)


def return_unsent(connection: Connection, ids: Sequence[int], token: str) -> None:
    """Gives claimed deliveries back, uncounted: they are due at once."""
    rows(connection, _RETURN_UNSENT, ids=array(ids), token=token)


def next_due(connection: Connection, webhook_ids: Sequence[int]) -> dict[int, float]:
    """Webhook → seconds until its next delivery is due (negative: overdue); absent where nothing waits."""
    return {row[0]: row[1] for row in rows(connection, _NEXT_DUE, webhook_ids=array(webhook_ids))}


def all_due(connection: Connection, *, after: int, limit: int) -> list[DueWebhook]:
    """Every webhook with waiting deliveries, by id, a page beyond `after`."""
    return [DueWebhook(*row) for row in rows(connection, _ALL_DUE, after=after, limit=limit)]


def replay(connection: Connection, delivery_id: int, limit: int) -> int | None:
    """Makes a finished delivery pending again, with new attempts; returns its webhook. It needs a transaction.

    With order, it is held back like any other. None where it is pending already, was redelivered `limit` times, or its
    webhook or its event is gone: `why_not`.
    """
    partitions.keep(connection)
    deliveries = rows(connection, _REPLAY, id=delivery_id, limit=limit, **order.keyed())
    order.settle(connection, [(webhook_id, resource) for webhook_id, resource in deliveries if resource is not None])
    return deliveries[0][0] if deliveries else None


def retry_now(connection: Connection, delivery_id: int) -> int | None:
    """Makes a pending delivery due, before all others of its webhook, which it returns; its attempts count on.

    None where it is finished, is being sent or held back, or its webhook is not active.
    """
    retried = rows(connection, _RETRY_NOW, id=delivery_id)
    return retried[0][0] if retried else None


def why_not(connection: Connection, delivery_id: int, limit: int) -> tuple[str, str | None]:
    """The state of a delivery that could not be replayed, and what else is the reason, if not the state."""
    state, reason = rows(connection, _WHY_NOT, id=delivery_id, limit=limit, gone=EVENT_GONE, erased=PAYLOAD_GONE)[0]
    return state, reason


def read_claimed(row: Row, body: str, token: str, lease_ends_s: float, now_s: float) -> ClaimedDelivery:
    """One row of `to_send`, and its event's body."""
    id_, webhook_id, key, attempt_count, tries_before, _losses, name, created_at, _body, zone, resource, *rest = row
    event_id, age_s, _lost, traceparent, _outdated, version = rest
    return ClaimedDelivery(
        id=id_,
        webhook_id=webhook_id,
        idempotency_key=key,
        attempt_number=attempt_count - tries_before + 1,
        lease_token=token,
        lease_ends_s=lease_ends_s,
        event_name=name,
        event_version=version or FIRST,
        event_created_at=created_at,
        body_json=body,
        time_zone=zone,
        resource=resource,
        event_id=event_id,
        emitted_s=None if age_s is None else now_s - age_s,
        traceparent=traceparent,
    )


def targets(connection: Connection, secrets: SecretBox, webhook_ids: set[int]) -> dict[int, Target]:
    """By webhook; absent where its secrets cannot be opened."""
    return read_targets(secrets, rows(connection, _TARGETS, webhook_ids=array(webhook_ids)) if webhook_ids else [])


def read_targets(secrets: SecretBox, target_rows: Iterable[Row]) -> dict[int, Target]:
    """By webhook, of rows of `TARGET`; absent where its secrets cannot be opened, which is logged."""
    opened = {}
    for id_, url, auth_header, current, previous, version, signing, rate_limit, failing_s, options in target_rows:
        try:
            opened[id_] = Target(
                webhook_id=id_,
                url=url,
                auth_header=secrets.open(auth_header) if auth_header else None,
                signing_keys=tuple(secrets.signing_keys(secret) for secret in (current, previous) if secret),
                payload_version=PayloadVersion(version),
                signing=Signing(signing),
                rate_limit=rate_limit,
                failing_s=failing_s,
                options=read_options(options, secrets),
            )
        except SecretDecryptionFailed as error:  # this must not stop the others of the chunk
            logger.error(log.line("webhook.secret_decryption_failed", webhook_id=id_, reason=error))
        except Exception as error:  # a word or an option that only a later release knows, or one that SQL wrote wrongly
            logger.error(log.line("webhook.invalid", webhook_id=id_, reason=type(error).__name__))
    return opened


def _columns(finished: Sequence[JudgedAttempt], now_s: float) -> dict[str, str]:
    return {
        "ids": array(one.claimed.id for one in finished),
        "tokens": array(one.claimed.lease_token for one in finished),
        "states": array(one.verdict.state.value for one in finished),
        "retries": array(one.verdict.retry_in.total_seconds() if one.verdict.retry_in else 0 for one in finished),
        "urls": array(one.url for one in finished),
        "statuses": array(one.result.status for one in finished),
        "reasons": array(stored_text(one.result.reason) for one in finished),
        "types": array(stored_text(one.result.content_type) for one in finished),
        "bodies": array(stored_text(one.result.body.decode("utf-8", "replace")) for one in finished),
        "heads": array(stored_text(one.result.headers) for one in finished),
        "started": array(now_s - one.result.started_s for one in finished),
        "finished": array(now_s - one.result.finished_s for one in finished),
    }


def stored_text(value: str | None) -> str | None:
    """What is kept of a receiver's text: Postgres takes no NUL."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if value else None
