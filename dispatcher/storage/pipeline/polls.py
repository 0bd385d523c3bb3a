"""Deliveries that are kept until they are fetched: the stream of a polled webhook, in which each has its place.

*Nothing is skipped.* Neither ids nor times show what was committed since the last fetch. So a delivery gets its
place when it is first seen, one reader at a time, and places only grow: whoever has read up to one has read all before.

*Order.* Places are given by event, and only to what is older than all that is in the outbox still: an event that was
emitted after the commit of another comes after it, whichever fan-out is faster.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from dispatcher.connections.adapter import Planned
from dispatcher.model.attempt import Status
from dispatcher.model.delivery import ClaimedDelivery, State
from dispatcher.model.webhook import POLL_URL
from dispatcher.storage.engine import Connection, array, rows
from dispatcher.storage.pipeline.deliveries import BODY, read_claimed, to_send
from dispatcher.storage.pipeline.order import KEPT, is_polled
from dispatcher.storage.pipeline.transitions import end, legal

ENDED_AT_ONCE = 1_000
"""Deliveries that one statement brings to their end."""
NOT_FETCHED = "it was not fetched within its retention"
ACKNOWLEDGED = "acknowledged by its reader"

_KEPT = f"webhook_id = %(webhook_id)s and next_attempt_at = {KEPT}"
_OLDER_THAN_OUTBOX = f"""event_id < coalesce(
        (select event_id from dispatcher.events_waiting order by event_id limit 1), {2**63 - 1})"""

# The lock is a statement of its own: the next one sees what was committed before it was got.
# Index: deliveries_kept; the primary keys of events_waiting and polls.
_PLACE = f"""
insert into dispatcher.polls (webhook_id) values (%(webhook_id)s) on conflict do nothing;
select from dispatcher.polls where webhook_id = %(webhook_id)s for update;
with fresh as materialized (
    select id, row_number() over (order by event_id, id) as nth from (
        select id, event_id from dispatcher.deliveries_waiting
        where {_KEPT} and position is null and {_OLDER_THAN_OUTBOX}
        order by event_id, id limit %(limit)s) kept),
placed as (
    update dispatcher.deliveries_waiting d set position = p.last_position + f.nth
    from fresh f, dispatcher.polls p
    where d.id = any (array (select id from fresh)) and d.id = f.id and p.webhook_id = %(webhook_id)s
    returning position)
update dispatcher.polls set last_position = (select max(position) from placed)
where webhook_id = %(webhook_id)s and exists (select from placed)
"""

# At least one, whatever its size. Index: deliveries_kept; the primary key of events.
_PAGE = Planned(f"""
with kept as materialized (
    select *, coalesce(sum(octet_length((select body::text from dispatcher.events where id = event_id)))
        over (order by position), 0) as bytes
    from (
        select id, webhook_id, event_id, idempotency_key, attempt_count + attempt_count_smallint as attempt_count,
            lost_count + lost_count_smallint as lost_count, tries_before + tries_before_smallint as tries_before,
            lost_before + lost_before_smallint as lost_before, resource, copy_of, outdated, position
        from dispatcher.deliveries_waiting where {_KEPT} and position > %(after)s
        order by position limit %(limit)s) first),
page as (select * from kept where bytes <= %(bytes)s or position = (select min(position) from kept))
select l.*, p.position from page p join ({to_send("page", lost="false")}) l on l.id = p.id order by p.position
""")

# Index: deliveries_kept, the first row that has no place, or a later one.
_READY = f"""
select n from unnest(%(webhook_ids)s::int[], %(afters)s::bigint[]) with ordinality as w (webhook_id, after, n)
where exists (
        select from dispatcher.deliveries_waiting
        where webhook_id = w.webhook_id and next_attempt_at = {KEPT} and position is null and {_OLDER_THAN_OUTBOX})
    or exists (
        select from dispatcher.deliveries_waiting
        where webhook_id = w.webhook_id and next_attempt_at = {KEPT} and position > w.after)
"""


def _end(which: str, state: State, status: str) -> str:
    """SQL: brings the deliveries with the ids `which` to their end, each with an attempt that says why."""
    return f"""
with ended as (
    update dispatcher.deliveries set {end(state)}, attempt_count = attempt_count + 1
    where id = any (array ({which})) and finished_on is null and next_attempt_at = {KEPT} and {legal("state", state)}
    returning id, created_at, attempt_count + attempt_count_smallint + lost_count + lost_count_smallint as number)
insert into dispatcher.attempts (delivery_id, number, request_id, url, status, reason, started_at, finished_at)
select id, number, gen_random_uuid(), '{POLL_URL}', '{status}', %(reason)s, dispatcher.now(), dispatcher.now()
from ended returning delivery_id
"""


_ACKNOWLEDGE = _end(
    f"""select id from dispatcher.deliveries_waiting where {_KEPT} and position <= %(up_to)s
        order by position limit %(limit)s""",
    State.DELIVERED,
    "200",
)
_FAIL = _end("select unnest(%(ids)s::bigint[])", State.FAILED, Status.UNKNOWN_ERROR)

# By no index: it is asked for once an hour.
_RETENTIONS = f"""
select w.id, least(%(days)s, coalesce(a.retention_days, %(days)s))
from dispatcher.webhooks w join dispatcher.accounts a on a.id = w.account_id
where {is_polled("w")} and w.deleted_at is null order by w.id
"""
_EXPIRE = _end(
    f"""select id from dispatcher.deliveries_waiting
        where {_KEPT} and event_id < (extract(epoch from dispatcher.now()::date - %(days)s)::bigint - 1577836800) << 23
        limit %(limit)s""",
    State.FAILED,
    Status.UNKNOWN_ERROR,
)

# Index: deliveries_kept.
_LAG = f"""
select count(*), extract(epoch from dispatcher.now() - min(created_at))::float8 from (
    select created_at from dispatcher.deliveries_waiting where {_KEPT} order by position, event_id limit %(most)s) kept
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptDelivery:
    """A delivery in its place in the stream of its webhook."""

    position: int
    claimed: ClaimedDelivery

    @property
    def age_s(self) -> float:
        """Seconds since its event was emitted; of one that is fetched once more, without end."""
        return inf if self.claimed.emitted_s is None else -self.claimed.emitted_s


def page(connection: Connection, webhook_id: int, *, after: int, limit: int, most_bytes: int) -> list[KeptDelivery]:
    """The deliveries that have a place beyond `after`, in order; of bodies of `most_bytes` together, but at least one.

    One whose event is gone has no name and no body.
    """
    page_rows = rows(connection, _PAGE, webhook_id=webhook_id, after=after, limit=limit, bytes=most_bytes)
    return [
        KeptDelivery(position=row[-1], claimed=read_claimed(row[:-1], row[BODY], "", 0.0, 0.0)) for row in page_rows
    ]


def place(connection: Connection, webhook_id: int, limit: int) -> None:
    """Gives up to `limit` deliveries that have none their places."""
    rows(connection, _PLACE, webhook_id=webhook_id, limit=limit)


def ready(connection: Connection, readers: Sequence[tuple[int, int]]) -> set[int]:
    """Of pairs of a webhook and the place up to which somebody has read it, the indexes of those with more to read."""
    webhook_ids, afters = zip(*readers, strict=True)
    return {n - 1 for (n,) in rows(connection, _READY, webhook_ids=array(webhook_ids), afters=array(afters))}


def acknowledge(connection: Connection, webhook_id: int, up_to: int) -> int:
    """Up to that place the deliveries are delivered, ENDED_AT_ONCE at most; returns how many that were."""
    which = {"webhook_id": webhook_id, "up_to": up_to, "limit": ENDED_AT_ONCE}
    return len(rows(connection, _ACKNOWLEDGE, **which, reason=ACKNOWLEDGED))


def fail(connection: Connection, delivery_ids: Sequence[int], reason: str) -> None:
    """They are not handed out any more."""
    rows(connection, _FAIL, ids=array(delivery_ids), reason=reason)


def retentions(connection: Connection, days: int) -> dict[int, int]:
    """Polled webhook → for how many days it keeps deliveries: `days`, or what its account has."""
    return dict(rows(connection, _RETENTIONS, days=days))


def expire(connection: Connection, webhook_id: int, days: int) -> int:
    """Fails what was not fetched within `days`, ENDED_AT_ONCE at most; returns how many that were."""
    which = {"webhook_id": webhook_id, "days": days, "limit": ENDED_AT_ONCE}
    return len(rows(connection, _EXPIRE, **which, reason=NOT_FETCHED))


def lag(connection: Connection, webhook_id: int, most: int) -> tuple[int, float | None]:
    """How many deliveries are kept, counted up to `most`, and the age of the oldest of them in seconds."""
    count, age_s = rows(connection, _LAG, webhook_id=webhook_id, most=most)[0]
    return count, age_s
