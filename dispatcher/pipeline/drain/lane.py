"""One webhook's way through a drain: whether more is claimed for it, and what is claimed, in flight and unrecorded."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from dispatcher.model.delivery import ClaimedDelivery
from dispatcher.model.health import BreakerPolicy, Health
from dispatcher.model.webhook import Target
from dispatcher.schedule.schedule import Release


class LaneState(Enum):
    """Whether deliveries are claimed for a webhook."""

    OPEN = auto()
    """As many as its window and its rate limit allow; while it is probed, one."""
    DRAINED = auto()
    """None: nothing was due any more when it was last claimed, or its drain ends."""
    PAUSED = auto()
    """None, and nothing is sent until a time: its receiver asked for that, or failed, or it cannot be claimed for."""


@dataclass(slots=True, eq=False)
class Lane:
    """One webhook in a drain.

    OPEN ─drain─▶ DRAINED ─reopen─▶ OPEN
    OPEN, DRAINED ─pause─▶ PAUSED ─reopen─▶ OPEN
    """

    webhook_id: int
    health: Health
    target: Target | None = None
    """Where its POSTs go, as the last claim read it; None: not claimed yet, or its secrets cannot be opened."""
    unsent: deque[ClaimedDelivery] = field(default_factory=deque)
    in_flight: int = 0
    unrecorded: int = 0
    rate: int | None = None
    """Requests a second at most; known from the first claim on."""
    state: LaneState = LaneState.OPEN
    is_probing: bool = False
    """Its breaker is half-open: one delivery shows whether the receiver is back."""
    has_pending: bool = False
    """Something of it is due again: it was given back, or an attempt failed."""
    recovered: bool = False
    """Its breaker has closed, which was not published yet."""
    _paused_until_s: float = 0.0
    _health_changed: bool = False
    _tokens: float = 1.0
    _tokens_at_s: float = 0.0
    """How many requests its rate limit allowed at that time, by the monotonic clock."""

    def reopen(self, breaker: BreakerPolicy) -> None:
        """It may be claimed for."""
        self.state = LaneState.OPEN
        self._health_changed = False
        self._paused_until_s = 0.0
        self.is_probing = self.health.is_open(breaker)

    def drain(self) -> None:
        """Nothing is claimed for it any more; what is claimed goes on."""
        if self.state is LaneState.OPEN:
            self.state = LaneState.DRAINED

    def pause(self, until_s: float) -> None:
        """Nothing is claimed for it any more, and nothing sent until then, by the monotonic clock."""
        self.state = LaneState.PAUSED
        self._paused_until_s = max(self._paused_until_s, until_s)

    def add(self, claimed: Iterable[ClaimedDelivery], target: Target | None) -> None:
        """Takes claimed deliveries, and where they go."""
        self.unsent.extend(claimed)
        self.target = target

    def limit(self, rate: int, tokens: float, now_s: float) -> None:
        """Keeps to `rate` requests a second, of which `tokens` may be sent now."""
        self.rate, self._tokens, self._tokens_at_s = rate, tokens, now_s

    def update_health(self, health: Health) -> None:
        """Keeps what a response says of its receiver; it is stored at the release."""
        self.health = health
        self._health_changed = True

    def end_probe(self) -> None:
        """Its breaker is closed; where it was probed, that is to be published."""
        self.recovered = self.recovered or self.is_probing
        self.is_probing = False

    def recovery_published(self) -> None:
        """Its account's webhooks know that it is back."""
        self.recovered = False

    def released(self, wait_s: float | None, now_s: float) -> Release:
        """Its state for the schedule; `wait_s`: seconds until its next delivery is due, None where nothing waits."""
        return Release(
            webhook_id=self.webhook_id,
            wait_s=wait_s,
            pause_s=max(0.0, self._paused_until_s - now_s),
            health=self.health if self._health_changed else None,
        )

    @property
    def may_claim(self) -> bool:
        """Whether it may be claimed for."""
        return self.state is LaneState.OPEN

    @property
    def is_paused(self) -> bool:
        """Whether nothing may be sent."""
        return self.state is LaneState.PAUSED

    @property
    def slots(self) -> int:
        """Requests that may be in flight."""
        return 1 if self.is_probing else self.health.slots

    @property
    def room(self) -> int:
        """How many more deliveries to claim: the window less what is claimed, none unless it is open."""
        if not self.may_claim:
            return 0
        return max(0, self.slots - self.in_flight - len(self.unsent))

    def allowed(self, now_s: float) -> int:
        """How many more its rate limit allows to claim; the bucket in Redis has the last word."""
        if self.rate is None:
            return self.room
        return min(self.room, int(self._tokens + (now_s - self._tokens_at_s) * self.rate))

    def token_in_s(self, now_s: float) -> float:
        """Seconds until its rate limit allows the next request."""
        if self.rate is None:
            return 0.0
        return max(0.0, (1 - self._tokens) / self.rate - (now_s - self._tokens_at_s))

    @property
    def may_start(self) -> bool:
        """Whether a claimed delivery may be sent now."""
        return bool(self.unsent) and self.in_flight < self.slots

    @property
    def is_idle(self) -> bool:
        """Whether everything claimed is recorded and nothing is left to claim."""
        return not self.may_claim and not self.unsent and not self.in_flight and not self.unrecorded
