"""One event becomes a delivery for each webhook that subscribed to it, 500 events a transaction."""

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from dispatcher import clock, failpoints, log
from dispatcher.broker.queue import Queue
from dispatcher.errors import StorageUnavailable
from dispatcher.model.event import FanOut
from dispatcher.pipeline.dispatch import Dispatch
from dispatcher.pipeline.drain.judging import Counts
from dispatcher.pipeline.nudge import nudge
from dispatcher.pipeline.trace import TracesFanOut
from dispatcher.schedule.schedule import Schedule
from dispatcher.storage.engine import Connection, Storage
from dispatcher.storage.pipeline import events

logger = logging.getLogger(__name__)

BATCH_SIZE, MOST_BATCHES = 500, 20


class HandOut(Protocol):
    """What is done with webhooks that have work now (`Dispatch.hand_out`)."""

    def __call__(self, webhook_ids: tuple[int, ...], delivery_count: int) -> object: ...  # noqa: D102


class FanOutRunner:
    """Runs a `fan_out` message: empties the outbox, and drains in the same task what is too little for another.

    `deliver` drains webhooks that are held for it.
    """

    def __init__(
        self,
        storage: Storage,
        schedule: Schedule,
        queue: Queue,
        dispatch: Dispatch,
        deliver: Callable[[Sequence[int]], Counts],
        *,
        batch_size: int = BATCH_SIZE,
        trace: TracesFanOut | None = None,
    ) -> None:
        self._storage = storage
        self._schedule = schedule
        self._queue = queue
        self._dispatch = dispatch
        self._deliver = deliver
        self._batch_size = batch_size
        self._trace = trace
        self._waits = threading.Lock()

    def run(self) -> tuple[FanOut, Counts]:
        """What was fanned out, and what came of the deliveries drained here; nudges where it stopped before the end."""
        self._schedule.fan_out_begun()
        kept: list[int] = []
        done = fan_out(
            self._storage,
            lambda webhook_ids, delivery_count: kept.extend(self._dispatch.hand_out(webhook_ids, delivery_count)),
            self._batch_size,
            self._trace,
        )
        if done.event_count >= self._batch_size * MOST_BATCHES:
            nudge(self._schedule, self._queue)
        counts = self._deliver(kept) if kept else Counts()
        if done.behind is not None:
            self._come_back_after(done.behind)
        return done, counts

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


def fan_out(storage: Storage, hand_out: HandOut, batch_size: int, trace: TracesFanOut | None = None) -> FanOut:
    """Empties the outbox, a batch at a time; after each commit its webhooks are handed out. Returns the sums.

    Stops after MOST_BATCHES, so that a task ends, and where some must come behind what another fan-out has in its hands
    (`FanOut.behind`); whoever calls then asks for another.
    """
    event_count = delivery_count = 0
    webhook_ids: set[int] = set()
    for _ in range(MOST_BATCHES):
        batch = _take(storage, batch_size, trace)
        event_count += batch.event_count
        delivery_count += batch.delivery_count
        webhook_ids.update(batch.webhook_ids)
        if batch.webhook_ids:
            hand_out(batch.webhook_ids, batch.delivery_count)
        if batch.event_count:
            logger.info(
                log.line(
                    "event.fanned_out",
                    events=batch.event_count,
                    deliveries=batch.delivery_count,
                    webhooks=len(batch.webhook_ids),
                )
            )
        if batch.behind is not None or batch.event_count < batch_size:
            break
    return FanOut(
        event_count=event_count,
        delivery_count=delivery_count,
        webhook_ids=tuple(webhook_ids),
        behind=batch.behind,
    )


def wait_for(storage: Storage, event_id: int) -> bool:
    """Until no other fan-out has the event in its hands; False where that takes too long: `reconcile` comes back."""
    try:
        storage.autocommit(events.wait_for_lock, event_id=event_id)
    except StorageUnavailable as error:
        logger.warning(log.line("event.locked", event_id=event_id, reason=error))
        return False
    return True


def _take(storage: Storage, batch_size: int, trace: TracesFanOut | None) -> FanOut:
    """A batch, without the accounts whose order would be lost."""
    without: set[int] = set()
    behind: int | None = None
    while True:
        try:
            return replace(_taken(storage, batch_size, trace, without), behind=behind)
        except events.Overtaken as error:
            without.update(error.account_ids)
            behind = error.event_id


def _taken(storage: Storage, batch_size: int, trace: TracesFanOut | None, without: Collection[int]) -> FanOut:
    """One transaction; at debug level a line tells each delivery's key, and traces are looked up where it is wished."""
    began_at = clock.now()
    tells = logger.isEnabledFor(logging.DEBUG)

    def work(connection: Connection) -> tuple[FanOut, Sequence[events.NewDelivery], Mapping[int, str]]:
        batch = events.fan_out(connection, batch_size, without=without)
        made = events.new_deliveries(connection, batch.event_ids) if tells else ()
        return batch, made, events.traces(connection, batch.event_ids) if trace and batch.event_ids else {}

    batch, made, traceparents = storage.transact(work)
    failpoints.hit("after_fan_out")
    for one in made:
        logger.debug(log.line("delivery.created", **one._asdict()))
    if trace is not None and traceparents:
        trace(traceparents, batch.delivery_count, began_at)
    return batch
