"""Threads of the portable sender: a crew that does work as it comes.

Not `concurrent.futures`: its threads are waited for when Python exits, and one may be stuck in a name lookup.
"""

import queue
import threading
from collections.abc import Callable

from dispatcher.clock import monotonic


class DaemonPool:
    """Up to `size` threads, begun as there is work for them. Daemons: one stuck in a lookup must not hold the exit."""

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._threads: list[threading.Thread] = []
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._unfinished = 0
        self._lock = threading.Lock()

    def submit(self, work: Callable[[], None]) -> None:
        """Has `work` done by the next free thread."""
        with self._lock:
            self._unfinished += 1
            if self._unfinished > len(self._threads) < self._size:
                self._threads.append(threading.Thread(target=self._run, name=self._name, daemon=True))
                self._threads[-1].start()
        self._work.put(work)

    def shutdown(self) -> None:
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
                self._unfinished -= 1
