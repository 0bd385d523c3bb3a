"""Threads of the portable sender: a crew that does work as it comes, and a watchdog over the calls under way.

Not `concurrent.futures`: its threads are waited for when Python exits, and one may be stuck in a name look-up.
"""

import queue
import threading
from collections.abc import Callable

from dispatcher.clock import monotonic
from dispatcher.sender.pinned import Call


class Crew:
    """Up to `size` threads, begun as there is work for them. Daemons: one stuck in a look-up must not hold the exit."""

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._threads: list[threading.Thread] = []
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._open = 0
        self._lock = threading.Lock()

    def take(self, work: Callable[[], None]) -> None:
        """Has `work` done by the next free thread."""
        with self._lock:
            self._open += 1
            if self._open > len(self._threads) < self._size:
                self._threads.append(threading.Thread(target=self._run, name=self._name, daemon=True))
                self._threads[-1].start()
        self._work.put(work)

    def dismiss(self) -> None:
        """Each thread ends when it has finished what it is at; work that waits is dropped."""
        while not self._work.empty():
            self._work.get()
        for _ in self._threads:
            self._work.put(None)

    def join(self, wait_s: float) -> None:
        """Waits up to `wait_s` seconds for all threads to end."""
        until = monotonic() + wait_s
        for thread in self._threads:
            thread.join(max(until - monotonic(), 0))

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            with self._lock:
                self._open -= 1


class Watchdog:
    """Kills calls at their deadline, and all of them when it is closed. One thread, begun with the first call."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls: set[Call] = set()  # as many as threads, so the earliest is found by looking at all
        self._thread: threading.Thread | None = None
        self._closed = False

    def guard(self, call: Call) -> bool:
        """Takes `call` on until `forget`; False where its deadline has passed."""
        with self._changed:
            if self._closed or call.deadline_s <= monotonic():
                return False
            if not self._calls:  # otherwise the thread wakes earlier anyway: requests are taken in their order
                self._changed.notify()
            self._calls.add(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sender-watchdog", daemon=True)
                self._thread.start()
        return True

    def forget(self, call: Call) -> None:
        """Once `call` has ended."""
        with self._changed:
            self._calls.discard(call)

    def close(self) -> None:
        """Kills every call and ends the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                for call in [call for call in self._calls if call.deadline_s <= monotonic()]:
                    self._calls.remove(call)
                    call.kill()
                earliest_s = min((call.deadline_s for call in self._calls), default=None)
                self._changed.wait(None if earliest_s is None else max(earliest_s - monotonic(), 0))
            for call in self._calls:
                call.kill()
