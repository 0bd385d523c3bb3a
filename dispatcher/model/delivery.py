"""One event for one webhook: its states, its legal moves, and what a drain holds of it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """Where a delivery stands. A claimed one is `pending` with a lease: `next_attempt_at` moved ahead, and a token."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset(State),
    # Success is monotone: a 2xx from a drain whose lease ran out still counts, whatever became of the delivery.
    State.FAILED: frozenset({State.PENDING, State.DELIVERED}),
    State.DELIVERED: frozenset({State.PENDING, State.DELIVERED}),
    State.CANCELLED: frozenset({State.PENDING, State.DELIVERED}),
    State.SUPERSEDED: frozenset({State.PENDING, State.DELIVERED}),
}
"""State → what it may become. `storage.pipeline.transitions` builds the statements from it; the states are a CHECK."""


class WaitReason(StrEnum):
    """Why a pending delivery has not been sent yet."""

    INACTIVE = "inactive"
    """Its webhook is paused by its owner, or disabled."""
    HELD_BACK = "held_back"
    """Behind an earlier delivery of its resource."""
    KEPT = "kept"
    """Until it is fetched and acknowledged: its webhook is polled."""
    SENDING = "sending"
    CIRCUIT_OPEN = "circuit_open"
    """After failures in a row its receiver is only probed."""
    PAUSED = "paused"
    """Its receiver asked for that by Retry-After."""
    RATE_LIMITED = "rate_limited"
    """It is due; its webhook's rate limit says when it is sent."""
    DUE = "due"
    POSTPONED = "postponed"
    """Its time has not come, and nothing was attempted."""
    BACKING_OFF = "backing_off"
    """After an attempt that failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitStatus:
    """Why a delivery waits: `reason`, and the same in sentences. `is_due`: its time has come, whatever keeps it yet."""

    reason: WaitReason
    text: str
    is_due: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimedDelivery:
    """A delivery this drain has leased, with all that is needed to send it. The webhook's part is read afresh.

    Or a ping or a preview, which is no delivery: for these the defaults are.
    """

    id: int = 0
    webhook_id: int
    idempotency_key: str = ""
    """A UUID, as text: the hot path needs it in no other form."""
    attempt_number: int = 1
    """Of the next attempt, from 1; lost leases do not count."""
    lease_token: str = ""
    """A UUID, as text."""
    lease_ends_s: float = 0.0
    """When, by this process's monotonic clock."""
    event_name: str
    event_version: int = 1
    """That of its body."""
    event_created_at: datetime
    body_json: str = field(repr=False)
    time_zone: str
    resource: str | None = None
    """Name and id, such as `invoice:93`; only of webhooks that want order or superseding."""
    event_id: int = 0
    emitted_s: float | None = None
    """When its event was emitted: Postgres says how long ago that was, from which this is the time by this process's
    monotonic clock. None for a replay."""
    traceparent: str | None = None
    """The trace of its event (W3C Trace Context); None where it is not traced."""
