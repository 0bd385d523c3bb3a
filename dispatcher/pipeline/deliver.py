"""Runs a drain for a `deliver` message, and keeps its slow requests from holding up the worker's thread.

1. Borrow a sender and run the drain until all is recorded or only slow requests are in flight.
2. Send the webhooks that still have work to another drain.
3. Wait for the slow requests in a thread aside; where too many hang already, in this one.
"""

import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from dispatcher import clock
from dispatcher.broker.flower import AttemptEvent
from dispatcher.pipeline.dispatch import Dispatch
from dispatcher.pipeline.drain.counters import DrainCounters
from dispatcher.pipeline.drain.judging import Counts
from dispatcher.pipeline.drain.loop import STRAGGLING_S, Drain
from dispatcher.pipeline.drain.policy import DrainPolicy
from dispatcher.pipeline.drain.tools import Tools
from dispatcher.pipeline.fault import guarded
from dispatcher.pipeline.first_attempts import FirstAttempts
from dispatcher.pipeline.trace import TracesAttempts
from dispatcher.schedule.counters import Counters
from dispatcher.schedule.schedule import Schedule
from dispatcher.sender.contract import Sender
from dispatcher.sender.pool import SenderPool
from dispatcher.storage.engine import Storage

STRAGGLERS_MAX = 256
"""Drains of this process that wait aside, each in a thread of its own, for slow responses."""
BUSY_DRAINS, BUSY_PATIENCE_S = 4, 0.05
"""While this many drains run, a slow response is waited for aside after this short a time: others need the thread."""


class DrainMetrics(Protocol):
    """What a process reports to Prometheus of its drains (`metrics.worker`)."""

    def observe_drain(self, deliveries: int, took_s: float) -> None: ...  # noqa: D102
    def observe_flush(self, results: int, took_s: float) -> None: ...  # noqa: D102


class DrainRunner:
    """Runs the drains of one process, in the threads of its callers.

    `publish` is called with each attempt that Flower shows; `trace` makes what traces the attempts of one drain.
    """

    def __init__(
        self,
        storage: Storage,
        schedule: Schedule,
        senders: SenderPool,
        dispatch: Dispatch,
        policy: DrainPolicy,
        counters: Counters,
        *,
        publish: Callable[[AttemptEvent], None] | None = None,
        metrics: DrainMetrics | None = None,
        trace: Callable[[], TracesAttempts] | None = None,
    ) -> None:
        self._storage = storage
        self._schedule = schedule
        self._senders = senders
        self._dispatch = dispatch
        self._policy = policy
        self._publish = publish
        self._metrics = metrics
        self._trace = trace
        self._counters = DrainCounters(counters, metrics.observe_flush if metrics else None)
        self._running: list[Drain] = []
        self._stragglers = threading.Semaphore(STRAGGLERS_MAX)

    @property
    def running(self) -> int:
        """Drains at work; those that only wait for slow responses left out."""
        return len(self._running)

    def run(self, webhook_ids: Sequence[int]) -> Counts:
        """One drain over webhooks that are held for it. What only waits for slow responses is finished aside."""
        sender = self._senders.borrow()
        with _closed_on_error(sender):
            drain = Drain(self._storage, self._schedule, sender, self._policy, webhook_ids, self._tools())
            counts = self._run(drain)
            self._pass_on(drain.take_unfinished())
            self._end(drain, sender)
        return counts

    @contextmanager
    def first_attempts(self) -> Iterator[FirstAttempts]:
        """For a fan-out, which leases. At the end of the block what only waits for slow responses is finished aside.

        Also after a fault in the block: what was leased is sent.
        """
        sender = self._senders.borrow()
        first = FirstAttempts(self._storage, self._schedule, sender, self._policy, self._tools(), self._pass_on)
        try:
            yield first
        finally:
            with _closed_on_error(sender):
                first.wind_down()
                self._end(first, sender)

    def _tools(self) -> Tools:
        return Tools(
            rng=random.Random(os.urandom(8)),  # noqa: S311 - jitter, no secret
            owner=self._schedule.owner,
            publish=self._publish,
            counters=self._counters,
            traces=self._trace() if self._trace is not None else None,
        )

    def _run(self, drain: Drain) -> Counts:
        self._running.append(drain)
        began_s = clock.monotonic()
        try:
            counts = drain.run(self._patience_s)
        finally:
            self._running.remove(drain)
        if self._metrics is not None:
            self._metrics.observe_drain(counts.delivered + counts.retrying + counts.failed, clock.monotonic() - began_s)
        return counts

    def _patience_s(self) -> float:
        return BUSY_PATIENCE_S if self.running >= BUSY_DRAINS else STRAGGLING_S

    def _end(self, work: Drain | FirstAttempts, sender: Sender) -> None:
        if work.done or not self._is_finished_aside(work, sender):
            work.finish(self._pass_on)
            self._senders.give_back(sender)

    def _is_finished_aside(self, work: Drain | FirstAttempts, sender: Sender) -> bool:
        """False where STRAGGLERS_MAX wait already, or the system has no thread left: then this thread waits itself."""
        if not self._stragglers.acquire(blocking=False):
            return False
        try:
            threading.Thread(target=self._finish_aside, args=(work, sender), name="stragglers").start()
        except RuntimeError:  # the system has no thread left
            self._stragglers.release()
            return False
        return True

    def _finish_aside(self, work: Drain | FirstAttempts, sender: Sender) -> None:
        try:
            with guarded("drain.unfinished"), _closed_on_error(sender):  # holds and leases end by themselves
                work.finish(self._pass_on)
                self._senders.give_back(sender)  # with its connections
        finally:
            self._stragglers.release()

    def _pass_on(self, webhook_ids: list[int]) -> None:
        """What is still held goes to another drain."""
        if webhook_ids:
            with guarded("drain.not_passed_on"):  # the holds end by themselves
                self._dispatch.send(webhook_ids)


@contextmanager
def _closed_on_error(sender: Sender) -> Iterator[None]:
    """With what is in flight: nobody would collect it."""
    try:
        yield
    except BaseException:  # also SystemExit
        sender.close()
        raise
