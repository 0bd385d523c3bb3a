"""What every worker does at intervals: two of them at once do no harm, and no beat process is needed.

each 250 ms   send what is due to drains (`Dispatch.release_due`); also in between, when it is known when
each 3 s      say that this process lives, free what dead ones held, and compare the schedule with the rows where that
              is due (`Reconciler`): each 15 s, one worker at a time, and when something may be missing
each 5 s      roll up the stats of what has finished (`rollups.count`)
each hour     create and drop the days of history (`prune`), one worker at a time, in a separate thread
at a commit   of events Postgres notifies the workers that fan out: these wake the `fan_out` that stays in them, or send
              one, unless one waits or stays elsewhere
each 5 s      say that this worker lives; end the process if its broker connection is gone for good
each 15 s     check for alerts (`alerts.runner`): one worker at a time, in a separate thread
each 2 s      step the running replays (`replays.job`); faster while one runs, and in a separate thread, because
              what is due must not wait for a batch
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from dispatcher import clock, log
from dispatcher.background import BackgroundThread
from dispatcher.broker.names import EVENTS
from dispatcher.broker.queue import Queue
from dispatcher.model.replay import StepResult
from dispatcher.pipeline.dispatch import Dispatch
from dispatcher.pipeline.fan_out import FanOutRunner
from dispatcher.pipeline.fault import guarded
from dispatcher.pipeline.heartbeat import BEAT_S, Heartbeat
from dispatcher.pipeline.nudge import Nudger, nudge
from dispatcher.pipeline.prune import prune
from dispatcher.schedule.schedule import Schedule
from dispatcher.settings import Settings
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline.events import any_waiting
from dispatcher.storage.pipeline.listener import NotificationListener
from dispatcher.storage.stats import rollups

logger = logging.getLogger(__name__)

TICK_S = 0.25
PRUNE_S = 3_600.0
ALIVE_S = 5.0
ROLLUP_S, ROLLUP_LAG_S = 5.0, 2.0
"""What has finished less than the lag ago is left for the next time."""
WATCH_S = 10.0
DEAF_S = 25.0
RETRY_S = 1.0
REPLAY_S, REPLAY_RUNNING_S, REPLAY_BUSY_S = 2.0, 0.25, 0.05
"""Between two steps of replays: while none runs, while none can progress, and else."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerState:
    """The Celery worker whose ticks these are: `worker1@host`, and the queues that it takes messages from.

    `taken`: how many messages it has ever taken. `running`: how many tasks run.
    """

    name: str
    queues: Sequence[str]
    taken: Callable[[], int]
    running: Callable[[], int]


class Ticks:
    """The rounds of one worker, until `stop` is set."""

    def __init__(
        self,
        worker: WorkerState,
        storage: Storage,
        schedule: Schedule,
        queue: Queue,
        dispatch: Dispatch,
        heartbeat: Heartbeat,
        fan_outs: FanOutRunner,
        settings: Settings,
    ) -> None:
        self._storage = storage
        self._schedule = schedule
        self._queue = queue
        self._settings = settings
        self._dispatch = dispatch
        self._hears_commits = EVENTS in worker.queues
        self._listener = NotificationListener(storage.engine)
        self._fan_outs = fan_outs
        self._nudger = Nudger(self._listener, self._committed, partial(storage.read, any_waiting))
        self._pruning = BackgroundThread("prune", self._run_prune)
        self._release = Round(TICK_S, dispatch.release_due)
        self._rounds = [
            Round(ALIVE_S, partial(schedule.workers.seen, worker.name)),
            Round(min(BEAT_S, settings.reconcile_s), heartbeat.beat, retry_s=RETRY_S),
            self._release,
            Round(PRUNE_S, self._prune),
            Round(ROLLUP_S, partial(storage.transact, rollups.count, lag_s=ROLLUP_LAG_S)),
            Round(WATCH_S, BrokerWatchdog(queue, worker, lambda: fan_outs.staying).check),
        ]

    def run(self, stop: threading.Event) -> None:
        """Ticks until `stop` is set; a tick under way is finished."""
        self._fan_outs.may_stay = self._hears_commits
        while not stop.is_set():
            now_s = clock.monotonic()
            for each in self._rounds:
                each.run_if_due(now_s)
            self._release.bring_forward(self._dispatch.wakes_s)
            wait_s = max(0.0, min(each.next_s for each in self._rounds) - clock.monotonic())
            if self._hears_commits:
                self._nudger.wait(wait_s, stop)
            else:
                stop.wait(wait_s)
        self._fan_outs.leave()
        self._listener.close()

    def _committed(self) -> None:
        if not self._fan_outs.wake():
            nudge(self._schedule, self._queue)

    def _prune(self) -> None:
        if self._schedule.claim_prune(PRUNE_S):
            self._pruning.start()

    def _run_prune(self, _: threading.Event) -> None:
        """In a separate thread: what is due must not wait until histories are erased."""
        with guarded("tick.failed"):  # the thread's outermost
            settings = self._settings
            prune(self._storage, settings.retention_days, settings.audit_days, settings.outboxes)


def run_replays(step: Callable[[], StepResult], stop: threading.Event) -> None:
    """Steps the running replays until `stop` is set."""
    pause_s = 0.0
    while not stop.wait(pause_s):
        pause_s = REPLAY_S
        with guarded("tick.failed"):
            done = step()
            pause_s = REPLAY_BUSY_S if done.progressed else REPLAY_RUNNING_S if done.running else REPLAY_S


class BrokerWatchdog:
    """Ends a worker that takes no messages although some wait: its connection to the broker is gone for good.

    A supervisor restarts it; what it held comes back when holds and leases end.
    """

    def __init__(self, queue: Queue, worker: WorkerState, staying: Callable[[], int]) -> None:
        """`staying`: how many tasks wait for something else than messages."""
        self._queue = queue
        self._worker = worker
        self._staying = staying
        self._taken_before = -1
        self._idle_since_s: float | None = None

    def check(self) -> None:
        """Kills the process after DEAF_S of messages waiting, none taken and no task running."""
        waiting = sum(self._queue.lengths(self._worker.queues).values())
        taken = self._worker.taken()
        idle = waiting > 0 and self._worker.running() <= self._staying() and taken == self._taken_before
        self._taken_before = taken
        if not idle:
            self._idle_since_s = None
        elif self._idle_since_s is None:
            self._idle_since_s = clock.monotonic()
        elif clock.monotonic() - self._idle_since_s > DEAF_S:
            logger.critical(
                log.line("worker.broker_lost", waiting=waiting, reason="takes no work from the broker; ends itself")
            )
            os._exit(70)


class Round:
    """Something to do at every interval; what is missed is not repeated.

    After a failure it is done again `retry_s` later, by default at the next interval, and not within a second.
    """

    def __init__(self, every_s: float, work: Callable[[], object], retry_s: float | None = None) -> None:
        self._every_s = every_s
        self._retry_s = max(every_s, RETRY_S) if retry_s is None else retry_s
        self._work = work
        self.next_s = 0.0

    def run_if_due(self, now_s: float) -> None:
        """Does it where its time has come, by the monotonic clock."""
        if now_s >= self.next_s:
            self.next_s = now_s + self._retry_s
            with guarded("tick.failed"):  # the thread's outermost loop: a fault must not stop the ticks for good
                self._work()
                self.next_s = now_s + self._every_s

    def bring_forward(self, at_s: float | None) -> None:
        """Makes the next round come at `at_s`, if that is earlier and not over."""
        if at_s is not None and clock.monotonic() < at_s < self.next_s:
            self.next_s = at_s
