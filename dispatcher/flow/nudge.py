"""After a commit: one `fan_out` message, unless one waits already. Never raises, never takes long."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from dispatcher import clock, log
from dispatcher.errors import DispatcherError

logger = logging.getLogger(__name__)

LIMIT_S = 0.1
"""An emit waits so long for Redis and the broker, together."""
SKIP_S = 5.0
"""After a failure, nudges are skipped so long: reconcile finds the event within its interval."""


class Flag(Protocol):
    """The coalescing flag (`schedule`)."""

    def claim_fan_out(self) -> bool: ...  # noqa: D102


class FanOutQueue(Protocol):
    """Where the message goes (`queue`)."""

    def fan_out(self) -> None: ...  # noqa: D102


class Nudger:
    """Sends nudges from a thread of its own, so that an emit can stop waiting for one that hangs."""

    def __init__(self, flag: Flag, queue: FanOutQueue, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self._flag = flag
        self._queue = queue
        self._monotonic = monotonic
        self._skip_until = 0.0
        self._busy = threading.Lock()

    def nudge(self) -> bool:
        """Whether a worker knows; waits LIMIT_S at most, and after a failure does not try for SKIP_S."""
        if self._monotonic() < self._skip_until:
            return False
        attempt = _Attempt(self._flag, self._queue)
        reason = attempt.wait(LIMIT_S)
        if reason is None:
            return True
        self._skip_until = self._monotonic() + SKIP_S
        logger.warning(log.line("nudge.failed", reason=repr(reason), skipped_s=SKIP_S))
        return False


class _Attempt:
    """One nudge in a daemon thread: it cannot keep the process alive, nor the caller waiting."""

    def __init__(self, flag: Flag, queue: FanOutQueue) -> None:
        self._parts = (flag, queue)
        self._done = threading.Event()
        self._reason: str | None = None
        threading.Thread(target=self._run, name="nudge", daemon=True).start()

    def wait(self, limit_s: float) -> str | None:
        """None if the nudge went well within `limit_s`, else why not."""
        return self._reason if self._done.wait(limit_s) else f"no answer within {limit_s} s"

    def _run(self) -> None:
        flag, queue = self._parts
        try:
            if flag.claim_fan_out():
                queue.fan_out()
        except DispatcherError as error:
            self._reason = str(error)
        finally:
            self._done.set()
