"""How long to wait before the next attempt."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from dispatcher.schemas.api.options import RETRY_SCHEDULES


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """`base * factor^n`, each way ± `jitter`, at most `limit` retries (API v3: 5, so up to 6 requests)."""

    limit: int = 5
    base: timedelta = timedelta(seconds=20)
    factor: float = 5.0
    jitter: float = 0.2
    retry_after_max: timedelta = timedelta(days=1)
    ceiling: timedelta = timedelta(days=7)
    """No wait is longer, whatever the settings multiply to."""
    delays_s: tuple[int, ...] | None = None
    """The seconds before each retry, in the place of the powers."""

    def scheduled(self, schedule: str | Sequence[int]) -> "RetryPolicy":
        """With one of `RETRY_SCHEDULES`, or with these seconds before each retry."""
        delays_s = RETRY_SCHEDULES[schedule] if isinstance(schedule, str) else tuple(schedule)
        return replace(self, delays_s=delays_s, limit=len(delays_s))

    def exact_s(self, attempt_number: int) -> float:
        """Seconds after failed attempt `attempt_number` (from 1), before jitter."""
        if self.delays_s is not None:
            return self.delays_s[attempt_number - 1]
        return min(
            self.base.total_seconds() * min(self.factor ** (attempt_number - 1), 1e9), self.ceiling.total_seconds()
        )

    def wait(self, attempt_number: int, rng: random.Random) -> timedelta:
        """The span after failed attempt `attempt_number` (from 1)."""
        spread = 1 + self.jitter * (2 * rng.random() - 1)
        return min(timedelta(seconds=self.exact_s(attempt_number) * spread), self.ceiling)
