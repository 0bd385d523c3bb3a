"""The settings a drain goes by, as one value."""

from dataclasses import dataclass, field
from datetime import timedelta

from dispatcher.claim_check import ClaimChecks, claim_checks
from dispatcher.model.backoff import RetryPolicy
from dispatcher.model.health import BreakerPolicy, WindowPolicy
from dispatcher.settings import Settings


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
    publish_successes: bool = False
    """Whether also what went well at the first try is published."""
    user_agent: str = "webhook-dispatcher"
    claim_checks: ClaimChecks = field(default=ClaimChecks("", ()), repr=False)


def retry_policy(settings: Settings) -> RetryPolicy:
    """As the settings have it."""
    return RetryPolicy(
        limit=settings.retry_limit,
        base=timedelta(seconds=settings.retry_base_s),
        factor=settings.retry_factor,
        jitter=settings.retry_jitter,
        retry_after_max=timedelta(seconds=settings.retry_after_max_s),
    )


def drain_policy(settings: Settings) -> DrainPolicy:
    """As the settings have it."""
    return DrainPolicy(
        retry=retry_policy(settings),
        window=WindowPolicy(start=settings.window_start, ceiling=settings.window_max),
        breaker=BreakerPolicy(
            opens_after=settings.breaker_after,
            first_pause_s=settings.breaker_pause_s,
            longest_pause_s=settings.breaker_pause_max_s,
        ),
        timeout_s=settings.timeout_s,
        lease=timedelta(seconds=settings.lease_s),
        hold_s=settings.hold_s,
        give_up_after_s=settings.give_up_days * 86_400,
        publish_successes=settings.flower_deliveries == "all",
        user_agent=settings.user_agent,
        claim_checks=claim_checks(settings.public_url, settings.secret_keys),
    )
