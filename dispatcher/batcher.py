"""Calls that come while one is under way are done together by the next, as in a group commit.

Nobody waits for a batch to fill: who comes first goes at once, alone, and who comes meanwhile shares the next turn. The
busier a process is, the more calls share one.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batcher(Generic[Item, Answer]):
    """Runs `work` for the items of many threads; it gives an answer for each item, in order.

    Where `work` raises over several items, it may be the fault of one: then each is done again alone, and raises in its
    own thread. Errors in `for_all` would come again, after as long a wait; they are raised in all threads at once.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Answer]],
        *,
        most: int,
        for_all: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> None:
        self._work = work
        self._most = most
        self._for_all = for_all
        self._lock = threading.Lock()
        self._waiting: list[_Call[Item, Answer]] = []
        self._led = False

    def do(self, item: Item) -> Answer:
        """The answer for `item`."""
        call: _Call[Item, Answer] = _Call(item)
        with self._lock:
            self._waiting.append(call)
            leads, self._led = not self._led, True
        if not leads:
            call.turn.acquire()
        if not call.done:
            self._lead()
        if call.error is not None:
            raise call.error
        return call.answers[0] if call.answers else self._work([item])[0]

    def _lead(self) -> None:
        """Works for those who wait by now, hands the lead to one who came since, and wakes the others."""
        with self._lock:
            calls, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        try:
            answers = self._work([call.item for call in calls])
            for call, answer in zip(calls, answers, strict=True):
                call.answers = (answer,)
        except self._for_all as error:
            for call in calls:
                call.error = error
        except Exception as error:
            if len(calls) == 1:
                calls[0].error = error
        finally:
            with self._lock:
                self._led = bool(self._waiting)
                heir = self._waiting[0] if self._waiting else None
            if heir is not None:
                heir.turn.release()
            for call in calls:
                call.done = True
                call.turn.release()


class _Call(Generic[Item, Answer]):
    """One thread's item, and what became of it: an answer, an error, or neither, where it is to be done alone."""

    __slots__ = ("answers", "done", "error", "item", "turn")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.answers: tuple[Answer, ...] = ()
        self.error: Exception | None = None
        self.done = False
        self.turn = threading.Lock()
        self.turn.acquire()
