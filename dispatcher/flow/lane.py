"""What a drain counts: its webhooks (lanes), its leases, the requests in flight, and what came of them."""

from collections import deque
from dataclasses import dataclass, field

from dispatcher.model.delivery import Claimed, State
from dispatcher.model.health import Health
from dispatcher.model.webhook import Target


@dataclass(slots=True, eq=False)
class Lane:
    """Counts of one webhook's deliveries on their way through a drain."""

    webhook_id: int
    health: Health
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


@dataclass(slots=True)
class Lease:
    """One claim's token and its end."""

    token: str
    ends_s: float
    targets: dict[int, Target] = field(default_factory=dict)
