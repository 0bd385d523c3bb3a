"""How many requests a client may still make in this minute. A Redis that is down lets them through."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dispatcher import clock, log
from dispatcher.errors import ScheduleUnavailable

logger = logging.getLogger(__name__)

LIMIT_S = 0.1
"""A request waits so long for Redis."""
SKIP_S = 5.0
"""After a failure nothing is counted so long: no request shall wait for a Redis that hangs."""


class Counts(Protocol):
    """Where requests are counted (`schedule`)."""

    def count(self, client_ids: Sequence[int]) -> list[tuple[int, float]]: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """What is left of `quota` requests, and the seconds until all of it is there again."""

    quota: int
    left: int
    reset_s: int
    exceeded: bool = False


class Limiter:
    """Counts requests. Used by many threads at once."""

    def __init__(
        self, counts: Counts, quota: int, window_s: int, monotonic: Callable[[], float] = clock.monotonic
    ) -> None:
        self._counts = counts
        self._monotonic = monotonic
        self._skip_until = 0.0
        self.unused = Allowance(quota=quota, left=quota, reset_s=window_s)
        """Of somebody who has made no request: also where nothing could be counted."""

    def spend(self, client_ids: Sequence[int]) -> list[Allowance]:
        """Counts a request of each client; never raises. After a failure of Redis it does not try for SKIP_S."""
        if not client_ids or self._monotonic() < self._skip_until:
            return [self.unused for _ in client_ids]
        try:
            counted = self._counts.count(client_ids)
        except ScheduleUnavailable as error:
            self._skip_until = self._monotonic() + SKIP_S
            logger.warning(log.line("quota.not_counted", reason=repr(str(error)), skipped_s=SKIP_S))
            return [self.unused for _ in client_ids]
        quota = self.unused.quota
        return [
            Allowance(quota=quota, left=max(0, quota - count), reset_s=math.ceil(left_s), exceeded=count > quota)
            for count, left_s in counted
        ]
