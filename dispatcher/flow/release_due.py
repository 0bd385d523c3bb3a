"""Webhooks that are due go out to drains, in chunks, on the queue that suits their health."""

import logging
from collections.abc import Callable, Sequence

from dispatcher import clock, crash, log
from dispatcher.model.health import WindowPolicy
from dispatcher.queue import Queue
from dispatcher.schedule.clock import Schedule

logger = logging.getLogger(__name__)

TAKE_LIMIT = 1_000
SPREAD = 4


class Dispatch:
    """Hands webhooks out. It holds them first, so two tickers or fan-outs at once never hand out the same one."""

    def __init__(
        self,
        schedule: Schedule,
        queue: Queue,
        policy: WindowPolicy,
        *,
        chunk_size: int,
        held_max: int,
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._schedule = schedule
        self._queue = queue
        self._policy = policy
        self._chunk_size = chunk_size
        self._held_max = held_max
        """Webhooks that may be handed out at a time; what is due beyond stays in the clock, not in the broker."""
        self._monotonic = monotonic
        self._head_ms: float | None = None
        self._head_due_s = 0.0

    def hand_out(self, webhook_ids: Sequence[int]) -> int:
        """Webhooks that have work now; returns how many messages were sent."""
        return self.send(self._schedule.hand_out(webhook_ids, self._held_max))

    def release_due(self) -> int:
        """Takes what the clock says is due and sends it; returns how many webhooks that were.

        While nothing changes, a look costs one cheap command: the clock's head is compared with the last one seen.
        """
        head_ms = self._schedule.first_due()
        if head_ms is None or (head_ms == self._head_ms and self._monotonic() < self._head_due_s):
            return 0
        began_s = self._monotonic()
        webhook_ids, next_s = self._schedule.take(TAKE_LIMIT, self._held_max)
        self._head_ms = None if webhook_ids else head_ms
        self._head_due_s = began_s + (next_s or 0.0)
        if webhook_ids:
            crash.reached("after_take")
            messages = self.send(webhook_ids)
            logger.debug(log.line("webhooks.released", webhooks=len(webhook_ids), messages=messages))
        return len(webhook_ids)

    def send(self, webhook_ids: Sequence[int]) -> int:
        """Sends webhooks that are held already to drains; returns how many messages that took."""
        healths = self._schedule.healths(webhook_ids)
        slow = [id_ for id_ in webhook_ids if id_ in healths and healths[id_].is_slow(self._policy)]
        fast = sorted(set(webhook_ids) - set(slow))
        messages = 0
        for ids, is_slow in ((fast, False), (slow, True)):
            # A few webhooks are spread over a few drains: together in one, they would share one thread.
            size = min(self._chunk_size, -(-len(ids) // SPREAD))
            for start in range(0, len(ids), max(1, size)):
                self._queue.deliver(ids[start : start + size], slow=is_slow)
                messages += 1
        return messages
