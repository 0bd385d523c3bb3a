"""The worker's own clockwork, in every worker: two of them at once do no harm, and no beat process is needed.

each 250 ms   send what the clock says is due (`release_due`); also in between, when it said that something will be
each 3 s      say that this process lives, free what dead ones held, and compare the clock with the rows (`reconcile`)
              where that is due: each 15 s, one worker at a time, and when something may be missing
each 5 s      count what was finished, for the console's figures (`count_figures`)
each hour     make and drop the days of history (`prune`), one worker at a time
at a commit   of events Postgres notifies the workers that fan out, and these send `fan_out`, unless one waits
each 5 s      say that this worker lives; end the process if its broker connection is gone for good
each 2 s      look whether a replay is running, and while one is, send its batches (`replay_many`); in a thread of its
              own, because what is due must not wait for a batch
"""

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from celery import bootsteps
from celery.worker import state

from dispatcher import clock, log
from dispatcher.broker.names import EVENTS
from dispatcher.container import Container, current_container
from dispatcher.errors import DispatcherError
from dispatcher.pipeline.heartbeat import BEAT_S
from dispatcher.pipeline.nudge import Nudger

logger = logging.getLogger(__name__)

SEEN_S = 5.0
COUNT_S = 5.0
WATCH_S = 10.0
DEAF_S = 25.0
PAUSE_S = 1.0
REPLAY_S, REPLAY_RUNNING_S, REPLAY_BUSY_S = 2.0, 0.25, 0.05
"""Between two steps of replays: while none runs, while none can get on, and else."""


class Ticker(bootsteps.StartStopStep):
    """Starts the threads when the worker starts and ends them when the worker stops."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **_: object) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        super().__init__(parent)

    def start(self, parent: Any) -> None:
        """Starts ticking."""
        arguments = (str(parent.hostname), list(parent.app.amqp.queues.consume_from))
        self._threads = [
            threading.Thread(target=self._run, args=arguments, name="ticker", daemon=True),
            threading.Thread(target=self._replay, name="replays", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, parent: Any) -> None:
        """Ends ticking; a tick under way is finished."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=10)

    terminate = stop

    def _run(self, worker: str, queues: list[str]) -> None:
        container = current_container()
        settings = container.settings
        release = _Round(settings.tick_ms / 1000, lambda: _release(container))
        rounds = [
            _Round(SEEN_S, lambda: container.schedule.worker_seen(worker)),
            _Round(min(BEAT_S, settings.reconcile_s), container.heartbeat.beat, again_s=PAUSE_S),
            release,
            _Round(settings.prune_s, lambda: _prune(container)),
            _Round(COUNT_S, container.count_figures),
            _Round(WATCH_S, Watchdog(container, queues).look),
        ]
        listener = container.listener()
        nudger = Nudger(listener, container.nudge_fan_out, container.has_waiting_events)
        fans_out = EVENTS in queues
        while not self._stop.is_set():
            now_s = clock.monotonic()
            for each in rounds:
                each.run_if_due(now_s)
            release.bring_forward(container.dispatch.wakes_s)
            wait_s = max(0.0, min(each.next_s for each in rounds) - clock.monotonic())
            if fans_out:
                nudger.wait(wait_s, self._stop)
            else:
                self._stop.wait(wait_s)
        listener.close()

    def _replay(self) -> None:
        container, pause_s = current_container(), 0.0

        def step() -> None:
            nonlocal pause_s
            done = container.step_replays()
            pause_s = REPLAY_BUSY_S if done.progressed else REPLAY_RUNNING_S if done.running else REPLAY_S

        while not self._stop.wait(pause_s):
            pause_s = REPLAY_S
            _quietly(step)


class Watchdog:
    """Ends a worker that does not take work although work waits: its connection to the broker is gone for good.

    A supervisor starts it anew; what it held comes back when holds and leases end.
    """

    def __init__(self, container: Container, queues: list[str]) -> None:
        self._container = container
        self._queues = queues
        self._taken_before = -1
        self._idle_since_s: float | None = None

    def look(self) -> None:
        """One look; kills the process after DEAF_S of work waiting, none taken and none running."""
        waiting = sum(self._container.queue.lengths(self._queues).values())
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
    """Something to do at every interval; what is missed is not made up for.

    After a failure it is done again `again_s` later, by default at the next interval, and not within a second.
    """

    def __init__(self, every_s: float, work: Callable[[], object], again_s: float | None = None) -> None:
        self._every_s = every_s
        self._again_s = max(every_s, PAUSE_S) if again_s is None else again_s
        self._work = work
        self.next_s = 0.0

    def run_if_due(self, now_s: float) -> None:
        if now_s >= self.next_s:
            done = _quietly(self._work)
            self.next_s = now_s + (self._every_s if done else self._again_s)

    def bring_forward(self, at_s: float | None) -> None:
        """Makes the next round come at `at_s`, if that is earlier and not over."""
        if at_s is not None and clock.monotonic() < at_s < self.next_s:
            self.next_s = at_s


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


def _release(container: Container) -> None:
    container.dispatch.release_due()


def _prune(container: Container) -> None:
    if container.schedule.claim_prune(container.settings.prune_s):
        container.prune()
