"""Calls that come while one is under way are done together by the next, as in a group commit.

Nobody waits for a batch to fill: who comes first goes at once, alone, and who comes meanwhile shares the next turn. The
busier a process is, the more calls share one.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batcher(Generic[Item, Answer]):
    """Runs `work`, which gives an answer for each item in order, in a thread of its own. For one event loop.

    Where `work` raises over several items, it may be the fault of one: then each is done again, alone. Errors in
    `for_all` would come again, after as long a wait: they are everybody's.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Sequence[Item]], Sequence[Answer]],
        *,
        most: int,
        for_all: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> None:
        self._work = work
        self._most = most
        self._for_all = for_all
        self._waiting: deque[_Call[Item, Answer]] = deque()
        self._busy = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def do(self, item: Item, weight: int = 1) -> Answer:
        """The answer for `item`. Items that weigh more than `most` together do not share a turn."""
        call: _Call[Item, Answer] = _Call(item, weight, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if not self._busy:
            self._busy = True
            self._next()
        return await call.answer

    def _next(self) -> None:
        calls = [self._waiting.popleft()]
        weight = calls[0].weight
        while self._waiting and (weight := weight + self._waiting[0].weight) <= self._most:
            calls.append(self._waiting.popleft())
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._thread, self._work, [call.item for call in calls])
        done.add_done_callback(lambda done: self._finish(calls, done))

    def _finish(self, calls: Sequence["_Call[Item, Answer]"], done: "asyncio.Future[Sequence[Answer]]") -> None:
        error = done.exception()
        if error is None:
            for call, answer in zip(calls, done.result(), strict=True):
                if not call.answer.done():  # whose client has gone
                    call.answer.set_result(answer)
        elif len(calls) == 1 or isinstance(error, self._for_all):
            for call in calls:
                if not call.answer.done():
                    call.answer.set_exception(error)
        else:
            self._waiting.extendleft(reversed([call._replace(weight=self._most + 1) for call in calls]))
        if self._waiting:
            self._next()
        else:
            self._busy = False


class _Call(NamedTuple, Generic[Item, Answer]):
    item: Item
    weight: int
    answer: "asyncio.Future[Answer]"
