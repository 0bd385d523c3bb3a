"""Rebuilds the clock from the rows: what Redis lost, or never heard of, is found here within one interval."""

import logging
from dataclasses import dataclass

from dispatcher import log
from dispatcher.broker.queue import Queue
from dispatcher.schedule.schedule import Schedule
from dispatcher.storage.admin import webhooks
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline import deliveries, events, order

logger = logging.getLogger(__name__)

PAGE = 2_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Reconciled:
    """Whether events waited for a fan-out, and how many webhooks have deliveries that wait."""

    events_waiting: bool
    webhook_count: int


def reconcile(storage: Storage, schedule: Schedule, queue: Queue) -> Reconciled:
    """Harmless when doubled, and when nothing was lost: due times only ever move forward.

    1. Events in the outbox: a `fan_out` message, whatever the coalescing flag says (its message may be lost).
    2. Deliveries held back behind an earlier one of their resource that is finished: due now.
    3. Every active webhook with waiting deliveries: due at the earliest of them. A lease that ran out is simply due.
    4. What waits for deleted webhooks, which is more than their deletion cancelled at once: cancelled.
    """
    waiting = storage.transact(events.any_waiting)
    if waiting:
        queue.fan_out()
    storage.autocommit(order.settle_all)
    after = count = 0
    deleted: list[int] = []
    while True:
        page = storage.transact(deliveries.all_due, after=after, limit=PAGE)
        waits = {one.webhook_id: one.wait_s for one in page if one.active and not one.deleted}
        schedule.due(waits)
        count += len(waits)
        deleted += [one.webhook_id for one in page if one.deleted]
        if len(page) < PAGE:
            break
        after = page[-1].webhook_id
    if deleted:
        storage.transact(webhooks.cancel, webhook_ids=deleted)
    logger.debug(log.line("reconciled", events_waiting=waiting, webhooks=count))
    return Reconciled(events_waiting=waiting, webhook_count=count)
