"""How long to wait before the next attempt."""

import random
from dataclasses import dataclass
from datetime import timedelta


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

    def wait(self, attempt_number: int, rng: random.Random) -> timedelta:
        """The span after failed attempt `attempt_number` (from 1)."""
        seconds = self.base.total_seconds() * min(self.factor ** (attempt_number - 1), 1e9)
        spread = 1 + self.jitter * (2 * rng.random() - 1)
        return min(timedelta(seconds=min(seconds, self.ceiling.total_seconds()) * spread), self.ceiling)
