"""Rebuilds the schedule from the rows: what Redis lost, or never heard of, is restored within one interval."""

import logging
from dataclasses import dataclass

from dispatcher import log
from dispatcher.broker.names import QUEUES
from dispatcher.broker.queue import Queue
from dispatcher.schedule.schedule import Schedule
from dispatcher.storage.admin import webhooks
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline import deliveries, events, order

logger = logging.getLogger(__name__)

PAGE = 2_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconcileSummary:
    """Whether events waited for a fan-out, and how many webhooks have deliveries that wait."""

    events_waiting: bool
    webhook_count: int


class Reconciler:
    """Compares the schedule in Redis with the rows. Harmless when doubled."""

    def __init__(self, storage: Storage, schedule: Schedule, queue: Queue) -> None:
        self._storage = storage
        self._schedule = schedule
        self._queue = queue

    def reconcile(self) -> ReconcileSummary:
        """Changes nothing when nothing was lost: due times only ever move forward.

        1. Events in the outbox: a `fan_out` message, whatever the coalescing flag says (its message may be lost).
        2. Deliveries held back behind an earlier one of their resource that is finished: due now.
        3. Every active webhook with pending deliveries: due at the earliest of them. An expired lease is simply due.
        4. Pending deliveries of deleted webhooks, more than their deletion cancelled at once: cancelled.
        """
        events_waiting = self._storage.transact(events.any_waiting)
        if events_waiting:
            self._queue.fan_out()
        self._storage.autocommit(order.settle_all)
        count = self._reschedule()
        logger.debug(log.line("reconciled", events_waiting=events_waiting, webhooks=count))
        return ReconcileSummary(events_waiting=events_waiting, webhook_count=count)

    def repair(self) -> int:
        """Deletes Celery's keys and the schedule, which may hold what makes workers crash, and rebuilds the schedule.

        Returns how many keys of Celery's there were.
        """
        deleted = self._schedule.delete_broker_keys(QUEUES)
        self._schedule.empty()
        self.reconcile()
        return deleted

    def _reschedule(self) -> int:
        after = count = 0
        deleted: list[int] = []
        while True:
            page = self._storage.transact(deliveries.all_due, after=after, limit=PAGE)
            waits = {one.webhook_id: one.wait_s for one in page if one.active and not one.deleted}
            self._schedule.due(waits)
            count += len(waits)
            deleted += [one.webhook_id for one in page if one.deleted]
            if len(page) < PAGE:
                break
            after = page[-1].webhook_id
        if deleted:
            self._storage.transact(webhooks.cancel, webhook_ids=deleted)
        return count
