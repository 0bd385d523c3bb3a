"""How many requests a client or a service token may still make in this minute. A Redis that is down lets them through.

Each process counts for itself, and every 100 ms settles with Redis what it has counted since: no request waits for
that. Several processes together may let through more than the quota: what reaches each of them between settlements.

Emits have a separate quota: a service that emits much may still read its webhooks, and the other way round.
"""

import logging
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dispatcher import clock, log
from dispatcher.background import DelayedTask
from dispatcher.errors import ScheduleUnavailable
from dispatcher.schedule.quota import Quota

logger = logging.getLogger(__name__)

SETTLE_S = 0.1
"""From a first request to the settlement of its counts."""
LIMIT_S = 0.1
"""The longest wait of a settlement for Redis."""
SKIP_S = 5.0
"""After a failure, how long nothing is counted."""
DEFAULT, EMITS, ACCOUNT_EMITS, PAYLOADS, KEY_SETS = "default", "emits", "account_emits", "payloads", "key_sets"
POLLS = "polls"
"""The quotas there are: of a client or a service token, of an account for what service tokens emit there, of one
delivery for the times that its payload is fetched, of an address for the key sets that it asks for, and of a webhook
for the times that its poll token is used."""
PAYLOAD_QUOTA = 60
"""A minute: enough for a receiver that retries, and not for everybody who has the URL."""
KEY_SETS_QUOTA = 600
"""A minute: enough for many receivers behind one address, which cache them for minutes, and not for guessing ids."""
POLL_QUOTA = 3_000
"""A minute: 150,000 deliveries, a hundred of which are fetched by one request and acknowledged by another."""

Key = tuple[int, str]
"""Whose it is (a client, a service token as a negative number, an account, a delivery, a digest of an address), and one
of its quotas."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """What is left of `quota` requests, and the seconds until all of it is there again."""

    name: str = DEFAULT
    quota: int
    left: int
    reset_s: int
    exceeded: bool = False


@dataclass(slots=True)
class _Window:
    """Of one client and quota: requests of all processes as settled last, those counted here since, and its end."""

    until_s: float
    settled: int = 0
    unsettled: int = 0


def in_background(delay_s: float, work: Callable[[], bool]) -> Callable[[], object]:
    """What asks for a settlement `delay_s` seconds later."""
    return DelayedTask("quota", delay_s, work).ask


class Limiter:
    """Counts requests. Used by many threads at once. `quotas`: requests in a window, by name.

    `exceeded` hears of each request that is over its quota; it waits for nobody.
    """

    def __init__(
        self,
        counts: Quota,
        quotas: Mapping[str, int],
        window_s: int,
        monotonic: Callable[[], float] = clock.monotonic,
        later: Callable[[float, Callable[[], bool]], Callable[[], object]] = in_background,
        exceeded: Callable[[Key], object] = lambda _: None,
    ) -> None:
        self._exceeded = exceeded
        self._counts = counts
        self._window_s = window_s
        self._monotonic = monotonic
        self._settle_soon = later(SETTLE_S, self._settle)
        self._lock = threading.Lock()
        self._windows: dict[Key, _Window] = {}
        self._skip_until = 0.0
        self.unused = {
            name: Allowance(name=name, quota=quota, left=quota, reset_s=window_s) for name, quota in quotas.items()
        }
        """Of a caller without requests yet; also where nothing could be counted."""

    def spend(self, owner_id: int, quota: str, limit: int | None = None) -> Allowance:
        """Counts a request; never raises, and waits for nobody. `limit`: another one than the quota's own."""
        now_s = self._monotonic()
        most = limit or self.unused[quota].quota
        if now_s < self._skip_until:
            return Allowance(name=quota, quota=most, left=most, reset_s=self._window_s)
        with self._lock:
            window = self._windows.get((owner_id, quota))
            if window is None or window.until_s <= now_s:
                window = self._windows[owner_id, quota] = _Window(now_s + self._window_s)
            window.unsettled += 1
            count, left_s = window.settled + window.unsettled, window.until_s - now_s
        self._settle_soon()
        if count > most:
            self._exceeded((owner_id, quota))
        return Allowance(
            name=quota,
            quota=most,
            left=max(0, most - count),
            reset_s=math.ceil(round(left_s, 3)),
            exceeded=count > most,
        )

    def _settle(self) -> bool:
        """Adds what was counted here to everybody's, and learns that; what cannot be added is let go, not kept."""
        with self._lock:
            spent = {key: (window, window.unsettled) for key, window in self._windows.items() if window.unsettled}
        try:
            sums = self._counts.add({key: count for key, (_, count) in spent.items()})
        except ScheduleUnavailable as error:
            self._skip_until = self._monotonic() + SKIP_S
            logger.warning(log.line("quota.unavailable", reason=repr(str(error)), skipped_s=SKIP_S))
            with self._lock:
                self._windows = {}
            return False
        with self._lock:
            now_s = self._monotonic()
            for key, (window, count) in spent.items():
                window.settled, left_s = sums[key]
                window.until_s = now_s + left_s
                window.unsettled -= count
            self._windows = {key: window for key, window in self._windows.items() if window.until_s > now_s}
        return False
