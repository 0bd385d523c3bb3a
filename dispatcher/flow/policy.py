"""The settings a drain goes by, as one value."""

from dataclasses import dataclass, field
from datetime import timedelta

from dispatcher.model.backoff import RetryPolicy
from dispatcher.model.health import BreakerPolicy, WindowPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class DrainPolicy:
    """Spans in seconds unless named otherwise."""

    retry: RetryPolicy
    window: WindowPolicy
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    timeout_s: float = 30.0
    lease: timedelta = timedelta(seconds=60)
    loss_limit: int = 10
    flush_s: float = 0.05
    flush_size: int = 200
    hold_s: float = 15.0
    give_up_after_s: float = 5 * 86_400.0
    tell_successes: bool = False
    """Whether also what went well at the first try is told."""
    user_agent: str = "Fakturoid-Webhook-Dispatcher"
