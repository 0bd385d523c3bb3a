"""How many requests a client may still make in this minute. A Redis that is down lets them through.

Emits have a quota of their own: a service that emits much may still look at its webhooks, and the other way round.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from dispatcher import clock, log
from dispatcher.errors import ScheduleUnavailable

logger = logging.getLogger(__name__)

LIMIT_S = 0.1
"""A request waits so long for Redis."""
SKIP_S = 5.0
"""After a failure nothing is counted so long: no request shall wait for a Redis that hangs."""
DEFAULT, EMITS = "default", "emits"
"""The quotas there are."""


class CountedRequest(NamedTuple):
    """A request of a client, and the quota that it comes from."""

    client_id: int
    quota: str


class QuotaCounter(Protocol):
    """Where requests are counted (`schedule`)."""

    def count(self, requests: Sequence[tuple[int, str]]) -> list[tuple[int, float]]: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """What is left of `quota` requests, and the seconds until all of it is there again."""

    name: str = DEFAULT
    quota: int
    left: int
    reset_s: int
    exceeded: bool = False


class Limiter:
    """Counts requests. Used by many threads at once. `quotas`: requests in a window, by name."""

    def __init__(
        self,
        counts: QuotaCounter,
        quotas: Mapping[str, int],
        window_s: int,
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._counts = counts
        self._monotonic = monotonic
        self._skip_until = 0.0
        self.unused = {
            name: Allowance(name=name, quota=quota, left=quota, reset_s=window_s) for name, quota in quotas.items()
        }
        """Of somebody who has made no request: also where nothing could be counted."""

    def spend(self, requests: Sequence[CountedRequest]) -> list[Allowance]:
        """Counts these requests; never raises. After a failure of Redis it does not try for SKIP_S."""
        unused = [self.unused[request.quota] for request in requests]
        if not requests or self._monotonic() < self._skip_until:
            return unused
        try:
            counted = self._counts.count(requests)
        except ScheduleUnavailable as error:
            self._skip_until = self._monotonic() + SKIP_S
            logger.warning(log.line("quota.unavailable", reason=repr(str(error)), skipped_s=SKIP_S))
            return unused
        return [_left(whole, count, left_s) for whole, (count, left_s) in zip(unused, counted, strict=True)]


def _left(whole: Allowance, count: int, left_s: float) -> Allowance:
    quota = whole.quota
    return Allowance(
        name=whole.name, quota=quota, left=max(0, quota - count), reset_s=math.ceil(left_s), exceeded=count > quota
    )
