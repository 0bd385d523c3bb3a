"""Why a delivery that is not finished waits: what its row says, and its webhook's."""

from dataclasses import dataclass
from datetime import datetime

from dispatcher.storage.engine import Connection, first
from dispatcher.storage.pipeline.order import HELD_BACK, KEPT

AHEAD_CAP = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitFacts:
    """Of one delivery. `attempts`: since it was created, or last replayed; `leased`: a drain has claimed it."""

    webhook_id: int
    active: bool
    deleted: bool
    deactivated_reason: str | None
    rate_limit: int | None
    retry_schedule: str | tuple[int, ...] | None
    attempts: int
    leased: bool
    held_back: bool
    resource: str | None
    due_at: datetime
    is_due: bool
    due_before: int
    """Deliveries of its webhook that are due before it; up to AHEAD_CAP, and 0 unless it is due itself."""
    kept: bool = False
    """Until it is fetched."""


# Index: deliveries_by_id of what is pending; deliveries_due for those before it.
_FIND = f"""
select d.webhook_id, w.active, w.deleted_at is not null, w.deactivated_reason, w.rate_limit,
    w.options -> 'retry_schedule',
    d.attempt_count + d.attempt_count_smallint - d.tries_before - d.tries_before_smallint,
    d.lease_token is not null, d.next_attempt_at = {HELD_BACK}, d.resource, d.next_attempt_at,
    d.next_attempt_at <= dispatcher.now(),
    case when d.next_attempt_at > dispatcher.now() then 0 else (
        select count(*)::int from (
            select from dispatcher.deliveries_waiting b
            where b.webhook_id = d.webhook_id and b.next_attempt_at < d.next_attempt_at
            order by b.next_attempt_at limit {AHEAD_CAP}) b) end,
    d.next_attempt_at = {KEPT}
from dispatcher.deliveries_waiting d join dispatcher.webhooks w on w.id = d.webhook_id where d.id = %(id)s
"""


def find(connection: Connection, delivery_id: int) -> WaitFacts | None:
    """Why it waits; None where it is finished."""
    return first(connection, WaitFacts, _FIND, id=delivery_id)
