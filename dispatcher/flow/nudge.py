"""After a commit: one `fan_out` message, unless one waits already. Never raises, never takes long."""

import logging
import math
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol

from dispatcher import clock, log
from dispatcher.errors import DispatcherError

logger = logging.getLogger(__name__)

LIMIT_S = 0.1
"""An emit waits so long for Redis and the broker, together."""
SKIP_S = 5.0
"""After a failure, nudges are skipped so long: reconcile finds the event within its interval."""


SOON_S = 0.01
"""Nudges that nobody waits for are this far apart: a hundred emits within it share one."""
SOON_LIMIT_S = 1.0
"""One that takes longer hangs. On a busy machine a thread can wait for its turn for 100 ms."""


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
        self._hangs_from = math.inf
        self._thread: _Thread | None = None
        self._wanted = threading.Event()
        self._soon: threading.Thread | None = None

    @property
    def is_ready(self) -> bool:
        """False for SKIP_S after a failure, and while a nudge hangs that nobody waits for."""
        return self._skip_until <= self._monotonic() <= self._hangs_from

    def nudge(self, limit_s: float = LIMIT_S) -> bool:
        """Whether a worker knows; waits `limit_s` at most, and after a failure does not try for SKIP_S."""
        if not self.is_ready:
            return False
        if self._thread is None or not self._thread.is_usable:
            self._thread = _Thread(self._send)
        reason = self._thread.run(limit_s)
        if reason is None:
            return True
        self._thread = None  # it may hang for a while yet
        self._skip(reason)
        return False

    def nudge_soon(self) -> None:
        """Nudges without keeping the caller waiting: for a process that lives on, such as one that serves requests."""
        self._wanted.set()
        if self._soon is None or not self._soon.is_alive():  # threads are not copied into a process that was forked
            self._soon = threading.Thread(target=self._nudge_when_wanted, name="nudge-soon", daemon=True)
            self._soon.start()

    def _nudge_when_wanted(self) -> None:
        pause = threading.Event()
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self.is_ready:
                self._hangs_from = self._monotonic() + SOON_LIMIT_S
                reason = self._send()
                if reason is not None:
                    self._skip(reason)
                self._hangs_from = math.inf
            pause.wait(SOON_S)

    def _skip(self, reason: str) -> None:
        self._skip_until = self._monotonic() + SKIP_S
        logger.warning(log.line("nudge.failed", reason=repr(reason), skipped_s=SKIP_S))

    def _send(self) -> str | None:
        """None, or why the nudge failed."""
        try:
            if self._flag.claim_fan_out():
                self._queue.fan_out()
        except DispatcherError as error:
            return str(error)
        except Exception as error:  # the thread's outermost call: an emit must not fail over a nudge
            logger.exception("nudge.broken")
            return type(error).__name__
        return None


class _Thread:
    """A daemon thread that does one thing when asked: it cannot keep the process alive, nor the caller waiting."""

    def __init__(self, work: Callable[[], str | None]) -> None:
        self._work = work
        self._asked: SimpleQueue[SimpleQueue[str | None]] = SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="nudge", daemon=True)
        self._thread.start()

    @property
    def is_usable(self) -> bool:
        """False in a process that was forked: threads are not copied."""
        return self._thread.is_alive()

    def run(self, limit_s: float) -> str | None:
        """None if the work went well within `limit_s`, else why not."""
        answer: SimpleQueue[str | None] = SimpleQueue()
        self._asked.put(answer)
        try:
            return answer.get(timeout=limit_s)
        except Empty:
            return f"no answer within {limit_s} s"

    def _loop(self) -> None:
        while True:
            answer = self._asked.get()
            answer.put(self._work())
