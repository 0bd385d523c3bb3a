"""Requests that wait until a polled webhook has something to fetch. They wait on the event loop, and hold no thread.

All that wait in a process share one query to Postgres, every ASK_S while any waits. Their number is limited, for each
webhook and over all; a request beyond is answered at once.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from dispatcher import log
from dispatcher.api.v1.polls import EmptyPoll
from dispatcher.errors import StorageUnavailable

logger = logging.getLogger(__name__)

ASK_S = 0.25
WAITING_OF_WEBHOOK = 4

Ready = Callable[[Sequence[tuple[int, int]]], set[int]]
"""Of pairs of a webhook and a place, the indexes of those with more to fetch."""


class LongPolls:
    """For one event loop. `ready` is called in `threads`; `most` may wait at a time."""

    def __init__(self, ready: Ready, threads: Executor, most: int) -> None:
        self._ready = ready
        self._threads = threads
        self._most = most
        self._waiting: dict[asyncio.Future[bool], EmptyPoll] = {}
        self._of_webhook: Counter[int] = Counter()
        self._asking: asyncio.Task[None] | None = None

    async def wait(self, poll: EmptyPoll) -> bool:
        """Whether there is something to fetch before its time is over; False at once where too many wait."""
        if len(self._waiting) >= self._most or self._of_webhook[poll.webhook_id] >= WAITING_OF_WEBHOOK:
            return False
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[future] = poll
        self._of_webhook[poll.webhook_id] += 1
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        try:
            return await asyncio.wait_for(future, poll.wait_s)
        except TimeoutError:
            return False
        finally:
            del self._waiting[future]
            self._of_webhook -= Counter((poll.webhook_id,))

    async def _ask(self) -> None:
        """While anybody waits. Nobody is notified where Postgres does not answer: their time ends by itself."""
        try:
            while self._waiting:
                await asyncio.sleep(ASK_S)
                await self._wake(list(self._waiting.items()))
        finally:
            self._asking = None

    async def _wake(self, waiting: "Sequence[tuple[asyncio.Future[bool], EmptyPoll]]") -> None:
        readers = [(poll.webhook_id, poll.after) for _, poll in waiting]
        if not readers:
            return
        try:
            indexes = await asyncio.get_running_loop().run_in_executor(self._threads, self._ready, readers)
        except StorageUnavailable as error:
            logger.warning(log.line("polls.not_asked", reason=error))
            return
        for index in indexes:
            future = waiting[index][0]
            if not future.done():
                future.set_result(True)
