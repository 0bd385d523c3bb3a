"""Threads in the background of whatever else a process does."""

import logging
import threading
from collections.abc import Callable

from dispatcher import log

logger = logging.getLogger(__name__)


class BackgroundThread:
    """Starts when it is first needed, and again in a process that was forked, to which threads are not copied.

    `run` is given an event that is set when the thread is to stop. The thread does not keep the process alive.
    """

    def __init__(self, name: str, run: Callable[[threading.Event], None]) -> None:
        self._name = name
        self._run = run
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def start(self) -> bool:
        """Whether the thread was started; false, at next to no cost, where it runs already."""
        if self._thread is not None and self._thread.is_alive():
            return False
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return False
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._stop,), name=self._name, daemon=True)
            self._thread.start()
            return True

    def stop(self, timeout_s: float) -> None:
        """Asks the thread to stop, and waits for it up to `timeout_s` seconds."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout_s)


class DelayedTask:
    """Does `work` in the background `delay_s` seconds after it is asked for, once for all who ask meanwhile.

    `work` returns whether it is to be done again; what it raises is logged, and it is done when somebody asks again.
    """

    def __init__(self, name: str, delay_s: float, work: Callable[[], bool]) -> None:
        self._name = name
        self._delay_s = delay_s
        self._work = work
        self._is_requested = threading.Event()
        self._thread = BackgroundThread(name, self._run)

    def ask(self) -> bool:
        """Returns at once: whether a thread was started for it."""
        self._is_requested.set()
        return self._thread.start()

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._is_requested.wait()
            stop.wait(self._delay_s)
            self._is_requested.clear()
            try:
                if self._work():
                    self._is_requested.set()
            except Exception:  # the thread goes on, for those who ask later
                logger.exception(log.line("background.failed", task=self._name))
