"""One event becomes a delivery for each webhook that subscribed to it, up to 500 events a transaction.

NOTIFY ▶ take from the outbox ▶ make deliveries ┬▶ first attempts, here and now (first_attempts.py)
                                                └▶ the schedule, a `deliver` message, a drain (dispatch.py)
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from dispatcher import clock, failpoints, log
from dispatcher.broker.queue import Queue
from dispatcher.connections.errors import asked_too_much
from dispatcher.errors import StorageUnavailable
from dispatcher.model.fan_out import FanOut
from dispatcher.pipeline.deliver import DrainRunner
from dispatcher.pipeline.dispatch import Dispatch
from dispatcher.pipeline.drain.judging import Counts
from dispatcher.pipeline.fault import kind
from dispatcher.pipeline.first_attempts import FirstAttempts
from dispatcher.pipeline.nudge import nudge
from dispatcher.pipeline.trace import TracesFanOut
from dispatcher.schedule.schedule import Schedule
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline import events
from dispatcher.storage.pipeline import leasing as quiet
from dispatcher.storage.pipeline.deliveries import Claim
from dispatcher.storage.pipeline.leasing import Leasing

logger = logging.getLogger(__name__)

BATCH_SIZE, MOST_BATCHES = 500, 20
"""Events in a transaction; full batches after which a task ends, and another goes on."""
LINGER_S, TURN_S = 2.0, 30.0
"""A fan-out that is notified of commits goes on until there was none for LINGER_S, and at most TURN_S in all."""
FLAG_S = 0.5
"""How often it renews its claim that no other fan-out is needed."""
NOTHING = Claim(claimed=(), targets={})


@dataclass(slots=True)
class FanOutSummary:
    """What one task did."""

    events: int = 0
    deliveries: int = 0
    webhook_ids: set[int] = field(default_factory=set)
    behind: int | None = None
    """As in `FanOut`, of the last transaction."""

    def add(self, batch: FanOut, claim: Claim) -> None:
        """One more transaction."""
        self.events += batch.event_count
        self.deliveries += batch.delivery_count
        self.webhook_ids.update(batch.webhook_ids, claim.targets)
        self.behind = batch.behind


class FanOutRunner:
    """Runs `fan_out` messages: empties the outbox, and makes first attempts of what goes to webhooks that are well.

    `keep_current` is called before it takes events, for the event types that are stored.
    While events keep coming, one such task of a process stays: `wake` notifies it of commits, so that an event costs
    no message. It says so in Redis, so that no other process sends one meanwhile.
    """

    def __init__(
        self,
        storage: Storage,
        schedule: Schedule,
        queue: Queue,
        dispatch: Dispatch,
        drains: DrainRunner,
        *,
        batch_size: int = BATCH_SIZE,
        trace: TracesFanOut | None = None,
        keep_current: Callable[[], None] = lambda: None,
    ) -> None:
        self._storage = storage
        self._schedule = schedule
        self._queue = queue
        self._dispatch = dispatch
        self._drains = drains
        self._batch_size = batch_size
        self._trace = trace
        self._keep_current = keep_current
        self._waits = threading.Lock()
        self._stays = threading.Lock()
        self._staying: FirstAttempts | None = None
        self._wakes = threading.Lock()  # or what is woken might be another's by then
        self._woken = threading.Event()
        self.may_stay = False
        """Whether this process hears of commits, and does not end."""

    def wake(self) -> bool:
        """Something was committed. False where no task stays in this process."""
        with self._wakes:
            if self._staying is None:
                return False
            self._woken.set()
            self._staying.wake()
            return True

    def leave(self) -> None:
        """The process ends: a task that stays does not any more."""
        self.may_stay = False
        self.wake()

    @property
    def staying(self) -> int:
        """How many tasks of this process wait for commits: 0 or 1."""
        return int(self._staying is not None)

    def run(self) -> tuple[FanOutSummary, Counts]:
        """What was fanned out, and what came of the deliveries sent here; nudges where it stopped before the end."""
        self._schedule.fan_out_begun()
        done = FanOutSummary()
        with self._drains.first_attempts() as first:
            is_empty = self._empty_outbox(first, done)
            if is_empty and self.may_stay and self._stays.acquire(blocking=False):
                try:
                    self._stay(first, done)
                    self._schedule.fan_out_begun()  # what is committed from now on needs a message
                    is_empty = self._empty_outbox(first, done)
                finally:
                    self._stays.release()
            if not is_empty:
                nudge(self._schedule, self._queue)
        if done.behind is not None:
            self._come_back_after(done.behind)
        return done, first.counts

    def _stay(self, first: FirstAttempts, done: FanOutSummary) -> None:
        """Goes on with what is committed, until nothing is any more, or there is more than one task can do."""
        self._staying = first
        try:
            began_s = worked_s = now_s = clock.monotonic()
            flag_s = 0.0
            while self.may_stay and now_s - began_s < TURN_S and now_s - worked_s < LINGER_S and done.behind is None:
                if now_s >= flag_s:
                    if not self._schedule.keep_fan_out():
                        break
                    flag_s = now_s + FLAG_S
                if self._wait(first, flag_s):
                    count = done.events
                    if not self._empty_outbox(first, done):
                        break
                    worked_s = clock.monotonic() if done.events > count else worked_s
                now_s = clock.monotonic()
        finally:
            with self._wakes:
                self._staying = None

    def _wait(self, first: FirstAttempts, until_s: float) -> bool:
        """Whether something was committed before `until_s`; meanwhile first attempts go on."""
        if not first.done:
            first.step(0.0)  # also where commits never let it wait
        while not self._woken.is_set():
            left_s = until_s - clock.monotonic()
            if left_s <= 0:
                return False
            if first.done:
                self._woken.wait(left_s)
            elif first.in_flight:
                first.step(left_s)
            else:
                self._woken.wait(min(left_s, first.next_step_s))
                first.step(0.0)
        self._woken.clear()
        return True

    def _empty_outbox(self, first: FirstAttempts, done: FanOutSummary) -> bool:
        """A batch at a time; after each commit its deliveries go their ways. False where it is not empty at the end.

        Where a batch is too much for Postgres, those after it are smaller. Stops after MOST_BATCHES, so that a task
        ends, and where some must come behind what another fan-out has in its hands (`behind`); then another is to be
        asked for.
        """
        self._keep_current()
        leasing, size = first.leasing(), self._batch_size
        for _ in range(MOST_BATCHES):
            try:
                batch, claim = take_batch(self._storage, size, leasing, self._trace)
            except Exception as error:  # bodies of 5 MiB that are read for filters: one account must not stop all
                if size == 1 or not asked_too_much(error):
                    raise
                size = max(1, size // 10)
                logger.warning(log.line("fan_out.smaller", events=size, reason=kind(error)))
                continue
            first.begin(claim)
            done.add(batch, claim)
            if batch.webhook_ids:
                self._dispatch.hand_out(batch.webhook_ids, batch.delivery_count - len(claim.claimed))
            if batch.event_count:
                logger.debug(log.line("event.fanned_out", events=batch.event_count, deliveries=batch.delivery_count,
                                      webhooks=len({*batch.webhook_ids, *claim.targets})))  # fmt: skip
            if batch.behind is not None or batch.event_count < size:
                return True
            self._schedule.fan_out_begun()  # others are welcome
            first.step(0.0)
            leasing = None  # drains are faster with many
        return False

    def _come_back_after(self, event_id: int) -> None:
        """A `fan_out` for what was left in the outbox, as soon as the event is out of another fan-out's hands.

        One thread of a process waits for that at most: it comes back for all.
        """
        if self._waits.acquire(blocking=False):
            try:
                is_over = wait_for(self._storage, event_id)
            finally:
                self._waits.release()
            if is_over:
                nudge(self._schedule, self._queue)


def take_batch(
    storage: Storage, limit: int, leasing: Leasing | None = None, trace: TracesFanOut | None = None
) -> tuple[FanOut, Claim]:
    """Up to `limit` events of the outbox become deliveries, of which those that it may are leased to the caller.

    Events of accounts whose order would be lost are left (`FanOut.behind`). At debug level each
    delivery's key is logged; traces are looked up only for `trace`.
    """
    began_at, now_s = clock.now(), clock.monotonic()
    batch, claim = FanOut(event_count=0, delivery_count=0, webhook_ids=(), in_order=True), NOTHING
    if leasing is not None:
        batch, claim = storage.autocommit(
            lambda connection: quiet.fan_out(connection, storage.secrets, limit, leasing, now_s=now_s)
        )
    if batch.in_order:
        batch = _sum(batch, _in_order(storage, limit))
    failpoints.hit("after_fan_out")
    if batch.event_ids and logger.isEnabledFor(logging.DEBUG):
        for one in storage.read(events.new_deliveries, batch.event_ids):
            logger.debug(log.line("delivery.created", **one._asdict()))
    if trace is not None and batch.event_ids and (traces := storage.read(events.traces, batch.event_ids)):
        trace(traces, batch.delivery_count, began_at)
    return batch, claim


def _in_order(storage: Storage, limit: int) -> FanOut:
    """A batch, without the accounts whose order would be lost."""
    without: set[int] = set()
    behind: int | None = None
    while True:
        try:
            return replace(storage.transact(events.fan_out, limit, without=without), behind=behind)
        except events.Overtaken as error:
            without.update(error.account_ids)
            behind = error.event_id


def _sum(one: FanOut, other: FanOut) -> FanOut:
    return FanOut(
        event_count=one.event_count + other.event_count,
        delivery_count=one.delivery_count + other.delivery_count,
        webhook_ids=tuple({*one.webhook_ids, *other.webhook_ids}),
        event_ids=one.event_ids + other.event_ids,
        behind=other.behind,
    )


def wait_for(storage: Storage, event_id: int) -> bool:
    """Until no other fan-out has the event in its hands; False where that takes too long: `reconcile` comes back."""
    try:
        storage.autocommit(events.wait_for_lock, event_id=event_id)
    except StorageUnavailable as error:
        logger.warning(log.line("event.locked", event_id=event_id, reason=error))
        return False
    return True
