"""One webhook inside a drain: what is claimed for it, what is in flight, and how many more it may have."""

from collections import deque
from dataclasses import dataclass, field

from dispatcher.model.delivery import Claimed
from dispatcher.model.health import Health


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

    @property
    def wanted(self) -> int:
        """How many more deliveries to claim: the window less what is claimed, none once exhausted."""
        if self.exhausted:
            return 0
        return max(0, self.health.slots - self.in_flight - len(self.unsent))

    @property
    def may_start(self) -> bool:
        """Whether a claimed delivery may be sent now."""
        return bool(self.unsent) and self.in_flight < self.health.slots

    @property
    def is_idle(self) -> bool:
        """Whether everything claimed is recorded and nothing is left to claim."""
        return self.exhausted and not self.unsent and not self.in_flight and not self.unrecorded
