"""The worker's own clockwork, a thread in every worker: two of them at once do no harm, and no beat process is needed.

each 250 ms   send what the clock says is due (`release_due`)
each 15 s     compare the clock with the rows (`reconcile`), one worker at a time
each hour     make and drop the days of history (`prune`)
at a commit   that was not ours (`emit(connection=...)`): Postgres notifies, we send `fan_out`
each 5 s      say that this worker lives; end the process if its broker connection is gone for good
"""

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from celery import bootsteps
from celery.worker import state

from dispatcher import clock, log
from dispatcher.errors import DispatcherError
from dispatcher.services import Services, services

logger = logging.getLogger(__name__)

SEEN_S = 5.0
WATCH_S = 10.0
DEAF_S = 25.0
PAUSE_S = 1.0


class Ticker(bootsteps.StartStopStep):
    """Starts the thread when the worker starts and ends it when the worker stops."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **_: object) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        super().__init__(parent)

    def start(self, parent: Any) -> None:
        """Starts ticking."""
        self._thread = threading.Thread(
            target=self._run,
            args=(str(parent.hostname), list(parent.app.amqp.queues.consume_from)),
            name="ticker",
            daemon=True,
        )
        self._thread.start()

    def stop(self, parent: Any) -> None:
        """Ends ticking; a tick under way is finished."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    terminate = stop

    def _run(self, worker: str, queues: list[str]) -> None:
        own = services()
        settings = own.settings
        rounds = [
            _Round(settings.tick_ms / 1000, lambda: _release(own)),
            _Round(settings.reconcile_s, lambda: _reconcile(own)),
            _Round(settings.prune_s, own.prune),
            _Round(SEEN_S, lambda: own.schedule.worker_seen(worker)),
            _Round(WATCH_S, Watchdog(own, queues).look),
        ]
        listener = own.listener()
        while not self._stop.is_set():
            now_s = clock.monotonic()
            for each in rounds:
                each.run_if_due(now_s)
            wait_s = max(0.0, min(each.next_s for each in rounds) - clock.monotonic())
            if listener.wait(wait_s, self._stop):
                _quietly(lambda: own.nudge_fan_out())
        listener.close()


class Watchdog:
    """Ends a worker that does not take work although work waits: its connection to the broker is gone for good.

    A supervisor starts it anew; what it held comes back when holds and leases end.
    """

    def __init__(self, own: Services, queues: list[str]) -> None:
        self._own = own
        self._queues = queues
        self._taken_before = -1
        self._idle_since_s: float | None = None

    def look(self) -> None:
        """One look; kills the process after DEAF_S of work waiting, none taken and none running."""
        waiting = sum(self._own.queue.lengths(self._queues).values())
        taken = sum(state.total_count.values())
        idle = waiting > 0 and not state.active_requests and taken == self._taken_before
        self._taken_before = taken
        if not idle:
            self._idle_since_s = None
        elif self._idle_since_s is None:
            self._idle_since_s = clock.monotonic()
        elif clock.monotonic() - self._idle_since_s > DEAF_S:
            logger.critical(
                log.line("worker.deaf", waiting=waiting, reason="takes no work from the broker; ends itself")
            )
            os._exit(70)


class _Round:
    """Something to do at every interval; what is missed is not made up for. After a failure it pauses for a second."""

    def __init__(self, every_s: float, work: Callable[[], object]) -> None:
        self._every_s = every_s
        self._work = work
        self.next_s = 0.0

    def run_if_due(self, now_s: float) -> None:
        if now_s >= self.next_s:
            done = _quietly(self._work)
            self.next_s = now_s + (self._every_s if done else max(self._every_s, PAUSE_S))


def _quietly(work: Callable[[], object]) -> bool:
    """The thread's outermost loop: a tick that fails is logged (false), and the next one tries again."""
    try:
        work()
        return True
    except DispatcherError as error:
        logger.warning(log.line("tick.failed", reason=error))
    except Exception:  # a fault of ours must not stop the clockwork of this worker for good
        logger.exception("tick.failed")
    return False


def _release(own: Services) -> None:
    own.dispatch.release_due()


def _reconcile(own: Services) -> None:
    if own.schedule.claim_reconcile(own.settings.reconcile_s):
        own.reconcile()
