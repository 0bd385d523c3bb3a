"""Events were committed: a worker that hears of it sends one `fan_out` message, unless one waits already."""

import logging
import math
import threading
from collections.abc import Callable

from dispatcher import clock, log
from dispatcher.broker.queue import Queue
from dispatcher.errors import DispatcherError, QueueUnavailable
from dispatcher.schedule.schedule import Schedule
from dispatcher.storage.pipeline.listener import NotificationListener

logger = logging.getLogger(__name__)

APART_S = 0.002
"""Nudges are at least so far apart: commits in between share one."""
POLL_S = 1.0
"""Time from a nudge to a check of the outbox, and to a retry of what failed."""


def nudge(schedule: Schedule, queue: Queue) -> None:
    """Sends `fan_out`, unless one waits. Raises ScheduleUnavailable, QueueUnavailable."""
    if not schedule.claim_fan_out():
        return
    try:
        queue.fan_out()
    except QueueUnavailable:
        schedule.fan_out_begun()  # or the next nudge would believe that this one waits
        raise


class Nudger:
    """Nudges for each commit that is heard of, and again while its events are still in the outbox.

    A message can be lost, and so can the reply on whether one waits: on a busy machine, a claim of the flag
    that was answered too late for its caller left a flag without a message, and deliveries stood still for seconds.
    """

    def __init__(
        self,
        listener: NotificationListener,
        nudge: Callable[[], None],
        has_events: Callable[[], bool],
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._listener = listener
        self._nudge = nudge
        self._has_events = has_events
        self._monotonic = monotonic
        self._is_due = False
        self._nudge_at_s = 0.0
        self._poll_at_s = math.inf

    def wait(self, wait_s: float, stop: threading.Event) -> None:
        """Waits up to `wait_s` seconds for a commit, and nudges."""
        at_s = min(self._poll_at_s, self._nudge_at_s if self._is_due else math.inf)
        self._is_due |= self._listener.wait(max(0.0, min(wait_s, at_s - self._monotonic())), stop)
        now_s = self._monotonic()
        if self._listener.is_deaf and self._poll_at_s == math.inf:
            self._poll_at_s = now_s + POLL_S
        if now_s >= self._poll_at_s:
            self._try(self._poll)
        if self._is_due and now_s >= self._nudge_at_s:
            self._try(self._send)

    def _poll(self) -> None:
        self._poll_at_s = self._monotonic() + POLL_S
        self._is_due |= self._has_events()
        self._poll_at_s = math.inf

    def _send(self) -> None:
        self._nudge_at_s = self._monotonic() + POLL_S
        self._nudge()
        self._is_due = False
        self._nudge_at_s, self._poll_at_s = self._monotonic() + APART_S, self._monotonic() + POLL_S

    def _try(self, step: Callable[[], None]) -> None:
        """A step that fails comes again after POLL_S."""
        try:
            step()
        except DispatcherError as error:
            logger.warning(log.line("nudge.failed", reason=error))
