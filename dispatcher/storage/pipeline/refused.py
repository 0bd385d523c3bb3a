"""Deliveries that Postgres refuses to claim or to record, for a value of theirs or a lock: set apart. Rare."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from dispatcher.model.attempt import Status
from dispatcher.model.delivery import State
from dispatcher.storage.engine import Connection, array, rows
from dispatcher.storage.pipeline.transitions import end, legal

# Index: deliveries_due, of each webhook the range in which the leases of a claim end that has just been made.
_RETURN_CLAIM = """
update dispatcher.deliveries_waiting set next_attempt_at = dispatcher.now(), lease_token = null
where webhook_id = any (%(webhook_ids)s::int[]) and lease_token = %(token)s
    and next_attempt_at between dispatcher.now() and dispatcher.now() + make_interval(secs => %(lease_s)s)
"""

# As the claim orders them, whose first it is. Index: deliveries_due.
_FIRST_DUE = """
select id, lease_token from dispatcher.deliveries_waiting
where webhook_id = %(webhook_id)s and next_attempt_at <= dispatcher.now() order by next_attempt_at limit 1
"""

# The counts stay as they are: they may be what Postgres refused. Index: deliveries_by_id of the waiting partition.
_SETTLE = f"""
update dispatcher.deliveries set {end("%(state)s")}
where id = %(id)s and finished_on is null and {legal("state", "%(state)s")}
    and (lease_token is not distinct from %(token)s or %(state)s = 'delivered')
returning attempt_count::bigint + attempt_count_smallint + lost_count + lost_count_smallint + 1
"""

_NOTE_ATTEMPT = """
insert into dispatcher.attempts (delivery_id, number, request_id, url, status, reason, started_at, finished_at)
select %(id)s, %(number)s, gen_random_uuid(), coalesce(%(url)s, webhook_url), %(status)s, %(reason)s,
    dispatcher.now() - make_interval(secs => %(took_s)s), dispatcher.now()
from dispatcher.webhooks where id = %(webhook_id)s
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """A delivery that is moved to its end although Postgres refuses what is usual, and what is kept of its attempt."""

    delivery_id: int
    webhook_id: int
    lease_token: str | None
    state: State
    url: str | None = field(default=None, repr=False)
    """None: its webhook's."""
    status: str = Status.UNKNOWN_ERROR
    reason: str
    took_s: float = 0.0


def unlocked(connection: Connection, delivery_ids: Iterable[int]) -> set[int]:
    """Those of these deliveries that nobody else has locked; waits for none."""
    free = rows(
        connection,
        "select id from dispatcher.deliveries where id = any (%(ids)s::bigint[]) for update skip locked",
        ids=array(delivery_ids),
    )
    return {row[0] for row in free}


def return_claim(connection: Connection, webhook_ids: Iterable[int], token: str, lease: timedelta) -> None:
    """Gives all back that was claimed with this token a moment ago, uncounted: nothing of it is sent."""
    parameters = {"webhook_ids": array(webhook_ids), "token": token, "lease_s": lease.total_seconds()}
    rows(connection, _RETURN_CLAIM, **parameters)


def first_due(connection: Connection, webhook_id: int) -> tuple[int, str | None] | None:
    """The delivery that a claim of one of this webhook would get, and the token of its lease that ran out, if any."""
    due = rows(connection, _FIRST_DUE, webhook_id=webhook_id)
    return (due[0][0], due[0][1]) if due else None


def settle(connection: Connection, ending: Ending) -> int | None:
    """Moves the delivery; returns its attempt's number, None where its lease went to somebody else meanwhile."""
    parameters = {"id": ending.delivery_id, "token": ending.lease_token, "state": ending.state.value}
    ends = rows(connection, _SETTLE, **parameters)
    return ends[0][0] if ends else None


def insert_attempt(connection: Connection, ending: Ending, number: int) -> None:
    """Stores the attempt, as one that has just ended; its delivery is left alone."""
    rows(
        connection,
        _NOTE_ATTEMPT,
        id=ending.delivery_id,
        webhook_id=ending.webhook_id,
        number=number,
        url=ending.url,
        status=ending.status,
        reason=ending.reason,
        took_s=ending.took_s,
    )
