"""What a drain counts: its webhooks (lanes), the requests in flight, and what came of them."""

from collections import deque
from dataclasses import dataclass, field

from dispatcher.broker.flower import Told
from dispatcher.model.attempt import Result, Verdict
from dispatcher.model.delivery import Claimed, State
from dispatcher.model.health import BreakerPolicy, Health
from dispatcher.model.webhook import Target
from dispatcher.schedule.schedule import Released


@dataclass(slots=True, eq=False)
class Lane:
    """Counts of one webhook's deliveries on their way through a drain."""

    webhook_id: int
    health: Health
    target: Target | None = None
    """Where its POSTs go, as the last claim read it; None: not claimed yet, or its secrets cannot be opened."""
    unsent: deque[Claimed] = field(default_factory=deque)
    in_flight: int = 0
    unrecorded: int = 0
    exhausted: bool = False
    """Nothing was due any more when it was last claimed."""
    changed: bool = False
    """Its health is to be stored."""
    probing: bool = False
    """Its breaker is open: one delivery shows whether the receiver is back."""
    paused_until_s: float = 0.0
    """It is to be let alone until then, by the monotonic clock; in the past: it is not."""
    recovered: bool = False
    """Its breaker has closed, which was not told yet."""
    rate: int | None = None
    """Requests a second at most, once a claim has told."""
    tokens: float = 1.0
    tokens_at_s: float = 0.0
    """How many of them it might have sent at that time, by the monotonic clock."""

    def begin(self, breaker: BreakerPolicy) -> None:
        """It may be claimed for."""
        self.exhausted = self.changed = False
        self.paused_until_s = 0.0
        self.probing = self.health.is_open(breaker)

    def pause(self, until_s: float) -> None:
        """Nothing is claimed for it any more, and nothing sent until then, by the monotonic clock."""
        self.paused_until_s = max(self.paused_until_s, until_s)
        self.exhausted = True

    def released(self, wait_s: float | None, now_s: float) -> Released:
        """What the clock is told of it; `wait_s`: seconds until its next delivery is due, None where nothing waits."""
        return Released(
            webhook_id=self.webhook_id,
            wait_s=wait_s,
            pause_s=max(0.0, self.paused_until_s - now_s),
            health=self.health if self.changed else None,
        )

    @property
    def slots(self) -> int:
        """Requests that may be in flight."""
        return 1 if self.probing else self.health.slots

    @property
    def wanted(self) -> int:
        """How many more deliveries to claim: the window less what is claimed, none once exhausted."""
        if self.exhausted:
            return 0
        return max(0, self.slots - self.in_flight - len(self.unsent))

    def allowed(self, now_s: float) -> int:
        """How many more its rate limit allows to claim; the bucket in Redis has the last word."""
        if self.rate is None:
            return self.wanted
        return min(self.wanted, int(self.tokens + (now_s - self.tokens_at_s) * self.rate))

    def token_in_s(self, now_s: float) -> float:
        """Seconds until its rate limit allows the next request."""
        if self.rate is None:
            return 0.0
        return max(0.0, (1 - self.tokens) / self.rate - (now_s - self.tokens_at_s))

    @property
    def may_start(self) -> bool:
        """Whether a claimed delivery may be sent now."""
        return bool(self.unsent) and self.in_flight < self.slots

    @property
    def is_idle(self) -> bool:
        """Whether everything claimed is recorded and nothing is left to claim."""
        return self.exhausted and not self.unsent and not self.in_flight and not self.unrecorded


@dataclass(slots=True)
class Counts:
    """What came of a drain's deliveries; a task returns it, so Flower shows it."""

    delivered: int = 0
    retrying: int = 0
    failed: int = 0

    def add(self, state: State) -> None:
        """Counts one judged result."""
        if state is State.DELIVERED:
            self.delivered += 1
        elif state is State.FAILED:
            self.failed += 1
        else:
            self.retrying += 1


@dataclass(slots=True)
class Flight:
    """A request on its way; `started_s` is of the monotonic clock."""

    lane: Lane
    claimed: Claimed
    url: str
    started_s: float


def told(delivery: Claimed, result: Result, verdict: Verdict) -> Told:
    """What Flower is told of an attempt: ids and outcome, no address and no payload."""
    return Told(
        key=delivery.idempotency_key,
        event_name=delivery.event_name,
        webhook_id=delivery.webhook_id,
        attempt=delivery.attempt_number,
        status=str(result.status),
        state=verdict.state.value,
        retry_in_s=verdict.retry_in.total_seconds() if verdict.retry_in else None,
    )
