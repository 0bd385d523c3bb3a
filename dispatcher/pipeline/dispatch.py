"""Webhooks that are due go out to drains, in chunks, on the queue that suits their health."""

import logging
from collections.abc import Callable, Sequence

from dispatcher import clock, failpoints, log
from dispatcher.broker.queue import Queue
from dispatcher.model.health import WindowPolicy
from dispatcher.schedule.schedule import Schedule

logger = logging.getLogger(__name__)

TAKE_LIMIT = 1_000
HELD_MAX = 10_000
"""Webhooks that wait for a drain or are in one, over all workers; what is due beyond stays in Redis, not in the broker.
"""
SPREAD = 4
"""Drains over which a few webhooks are spread."""
FEW_WEBHOOKS, FEW_DELIVERIES = 10, 50
"""What one drain does as fast as several."""
RESERVED = 1_000
"""Further webhooks that may be held for few deliveries: one account's first does not wait for another's thousands."""


class Dispatch:
    """Hands webhooks out. It holds them first, so two tickers or fan-outs at once never hand out the same one."""

    def __init__(
        self,
        schedule: Schedule,
        queue: Queue,
        policy: WindowPolicy,
        *,
        chunk_size: int,
        held_max: int = HELD_MAX,
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._schedule = schedule
        self._queue = queue
        self._policy = policy
        self._chunk_size = chunk_size
        self._held_max = held_max
        self._monotonic = monotonic
        self._head_ms: float | None = None
        self._head_due_s = 0.0
        self.wakes_s: float | None = None
        """When the next webhook is due, by the monotonic clock, as of the last read of the schedule."""

    def hand_out(self, webhook_ids: Sequence[int], delivery_count: int) -> None:
        """Webhooks that have work now: sends the free ones to drains."""
        are_few = len(webhook_ids) <= FEW_WEBHOOKS and delivery_count <= FEW_DELIVERIES
        mine = self._schedule.hand_out(webhook_ids, self._held_max + (RESERVED if are_few else 0))
        self.send(mine, drains=-(-delivery_count // FEW_DELIVERIES))

    def release_due(self) -> int:
        """Takes what is due in the schedule and sends it; returns how many webhooks that were.

        While nothing changes, this costs one cheap command, which compares the schedule's head with the last one seen.
        """
        head_ms = self._schedule.first_due()
        if head_ms is None or (head_ms == self._head_ms and self._monotonic() < self._head_due_s):
            return 0
        began_s = self._monotonic()
        webhook_ids, next_s = self._schedule.take(TAKE_LIMIT, self._held_max)
        self._head_ms = None if webhook_ids else head_ms
        self._head_due_s = began_s + (next_s or 0.0)
        self.wakes_s = self._head_due_s if next_s else None
        if webhook_ids:
            failpoints.hit("after_take")
            messages = self.send(webhook_ids)
            logger.debug(log.line("webhooks.released", webhooks=len(webhook_ids), messages=messages))
        return len(webhook_ids)

    def send(self, webhook_ids: Sequence[int], drains: int = SPREAD) -> int:
        """Sends webhooks that are held already to at least `drains` drains; returns how many messages that took."""
        messages = 0
        for ids, is_slow in zip(self._by_health(webhook_ids), (False, True), strict=True):
            # A few webhooks with much work are spread: together in one drain they would share one thread.
            size = min(self._chunk_size, -(-len(ids) // max(1, min(drains, SPREAD))))
            for start in range(0, len(ids), max(1, size)):
                self._queue.deliver(ids[start : start + size], slow=is_slow)
                messages += 1
        return messages

    def _by_health(self, webhook_ids: Sequence[int]) -> tuple[list[int], list[int]]:
        """The webhooks that are well, and those that belong on the slow queue."""
        healths = self._schedule.healths(webhook_ids)
        slow = {id_ for id_ in webhook_ids if id_ in healths and healths[id_].is_slow(self._policy)}
        return sorted(set(webhook_ids) - slow), sorted(slow)
