"""Webhooks that are due go out to drains, in chunks, on the queue that suits their health."""

import logging
from collections.abc import Sequence

from dispatcher import crash, log
from dispatcher.model.health import WindowPolicy
from dispatcher.queue import Queue
from dispatcher.schedule.clock import Schedule

logger = logging.getLogger(__name__)

TAKE_LIMIT = 1_000


class Dispatch:
    """Hands webhooks out. It holds them first, so two tickers or fan-outs at once never hand out the same one."""

    def __init__(
        self, schedule: Schedule, queue: Queue, policy: WindowPolicy, *, chunk_size: int, held_max: int
    ) -> None:
        self._schedule = schedule
        self._queue = queue
        self._policy = policy
        self._chunk_size = chunk_size
        self._held_max = held_max
        """Webhooks that may wait or be drained in all: what is due beyond that stays in the clock, not in the broker."""

    def hand_out(self, webhook_ids: Sequence[int]) -> int:
        """Webhooks that have work now; returns how many messages were sent."""
        return self._send(self._schedule.hand_out(webhook_ids, self._held_max))

    def release_due(self) -> float | None:
        """Takes what the clock says is due and sends it; returns the seconds until the next (None: none is known)."""
        webhook_ids, next_s = self._schedule.take(TAKE_LIMIT, self._held_max)
        if webhook_ids:
            crash.reached("after_take")
            messages = self._send(webhook_ids)
            logger.debug(log.line("webhooks.released", webhooks=len(webhook_ids), messages=messages))
        return next_s

    def _send(self, webhook_ids: Sequence[int]) -> int:
        healths = self._schedule.healths(webhook_ids)
        slow = [id_ for id_ in webhook_ids if id_ in healths and healths[id_].is_slow(self._policy)]
        fast = sorted(set(webhook_ids) - set(slow))
        messages = 0
        for ids, is_slow in ((fast, False), (slow, True)):
            for start in range(0, len(ids), self._chunk_size):
                self._queue.deliver(ids[start : start + self._chunk_size], slow=is_slow)
                messages += 1
        return messages
