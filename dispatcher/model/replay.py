"""Many deliveries sent again: which ones, how, and how far a replay has come."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dispatcher.model.delivery import State
from dispatcher.model.health import Health

LIVE_WAIT_S = 0.5
"""A live delivery waits about this long for what is replayed to its webhook, or for one window full of responses."""


class ReplayState(StrEnum):
    """Where a replay stands. `done`: every match is pending; its delivery says whether it arrives."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplaySpec:
    """What a replay takes, of one account, and how it sends it; None leaves a condition out."""

    webhook_id: int | None = None
    event_names: tuple[str, ...] | None = None
    states: tuple[State, ...] = (State.FAILED,)
    """Empty with `missed`."""
    since: datetime
    until: datetime
    """Deliveries created from `since` on and before `until`; with `missed` events recorded then, to the second."""
    as_of: datetime
    """The deliveries that were in their state by then: what is finished later is not taken."""
    rate: int | None = None
    """Deliveries per second at most."""
    new_key: bool = False
    """As new deliveries of the same events, with a new Idempotency-Key; else the same deliveries."""
    missed: bool = False
    """What the webhook would have had: its events that have no delivery for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay(ReplaySpec):
    """A stored replay. `matched` was counted when it began; `sent` were handed out since, each once."""

    id: int
    account_id: int
    time_zone: str
    state: ReplayState
    matched: int
    sent: int
    updated_at: datetime
    finished_at: datetime | None

    @property
    def created_at(self) -> datetime:
        """When it was asked for, and its deliveries were in their state."""
        return self.as_of


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """What one step did: replays that are running, deliveries made pending, and whether any got on at all."""

    running: int = 0
    sent: int = 0
    progressed: bool = False


def due_limit(health: Health, rate_limit: int | None) -> int:
    """Due deliveries up to which a replay fills a webhook up, so that what is live is not kept waiting.

    As many as its receiver responds to in LIVE_WAIT_S, by what is known of it and by its rate limit.
    """
    limit = float(health.slots)
    if health.latency_s > 0:
        limit = max(limit, health.slots * LIVE_WAIT_S / health.latency_s)
    if rate_limit is not None:
        limit = min(limit, rate_limit * LIVE_WAIT_S)
    return max(1, int(min(limit, 1e9)))


def allowance(rate: int | None, waited_s: float, most: int) -> tuple[int, float]:
    """How many deliveries may go now, and the seconds of those waited that are forfeited.

    `waited_s`: since those that went so far were used up. Half a second may be made up for, or the time of one
    delivery, so that a pause of all workers is not followed by a flood.
    """
    if rate is None:
        return most, 0.0
    credit_s = max(LIVE_WAIT_S, 1 / rate)
    return min(most, int(min(waited_s, credit_s) * rate + 1e-6)), max(0.0, waited_s - credit_s)
