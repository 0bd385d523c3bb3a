"""Events were committed: a worker that hears of it sends one `fan_out` message, unless one waits already."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from dispatcher import clock, log
from dispatcher.errors import DispatcherError, QueueUnavailable

logger = logging.getLogger(__name__)

APART_S = 0.01
"""Nudges are at least so far apart: commits in between share one."""
RETRY_S = 1.0


class Flag(Protocol):
    """The coalescing flag (`schedule`)."""

    def claim_fan_out(self) -> bool: ...  # noqa: D102
    def fan_out_begun(self) -> None: ...  # noqa: D102


class FanOutQueue(Protocol):
    """Where the message goes (`queue`)."""

    def fan_out(self) -> None: ...  # noqa: D102


class Hears(Protocol):
    """Tells of commits (`storage.listener`)."""

    is_deaf: bool

    def wait(self, wait_s: float, stop: threading.Event) -> bool: ...  # noqa: D102


def nudge(flag: Flag, queue: FanOutQueue) -> None:
    """Sends `fan_out`, unless one waits. Raises ScheduleUnavailable, QueueUnavailable."""
    if not flag.claim_fan_out():
        return
    try:
        queue.fan_out()
    except QueueUnavailable:
        flag.fan_out_begun()  # or the next nudge would believe that this one waits
        raise


class Nudger:
    """Nudges for each commit that is heard of, again until it has worked."""

    def __init__(
        self,
        listener: Hears,
        nudge: Callable[[], None],
        has_events: Callable[[], bool],
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._listener = listener
        self._nudge = nudge
        self._has_events = has_events
        self._monotonic = monotonic
        self._is_wanted = False
        self._next_s = 0.0

    def wait(self, wait_s: float, stop: threading.Event) -> None:
        """Waits up to `wait_s` seconds for a commit, and nudges."""
        if self._is_wanted:
            wait_s = min(wait_s, max(0.0, self._next_s - self._monotonic()))
        self._is_wanted |= self._listener.wait(wait_s, stop)
        if self._is_wanted and self._monotonic() >= self._next_s:
            self._try()

    def look(self) -> None:
        """Looks at the outbox itself where the listener is deaf; raises StorageUnavailable."""
        self._is_wanted |= self._listener.is_deaf and self._has_events()

    def _try(self) -> None:
        try:
            self._nudge()
        except DispatcherError as error:
            logger.warning(log.line("nudge.failed", reason=error))
        else:
            self._is_wanted = False
        self._next_s = self._monotonic() + (RETRY_S if self._is_wanted else APART_S)
