"""Figures that only grow, summed over all processes in one hash of Redis.

dispatcher:counters   hash   figure → how often, ever; of times also their sum, in microseconds

    attempts:<outcome>       requests that were recorded
    finished:<state>         deliveries that came to their end
    losses                   leases that ran out without a record
    secrets_unreadable       pauses of webhooks whose secrets could not be opened
    duplicates:<step>        what was asked for a second time and not done twice
    <span>:<bucket>, <span>:us     how long something took

A process gathers what it has to add and sends it each second, from a thread of its own: a drain never waits, and an
idle process sends nothing. A process that is killed loses what it gathered, a second at most; what Redis does not take
waits, and with Redis emptied the figures begin at 0, which Prometheus takes for a restart.
"""

import atexit
import logging
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from dispatcher import log
from dispatcher.background import BackgroundThread
from dispatcher.errors import ScheduleUnavailable
from dispatcher.schedule.schedule import connect, translated

logger = logging.getLogger(__name__)

KEY = "dispatcher:counters"
EVERY_S = 1.0


class Counters:
    """This process's part of the sums, and the sums themselves."""

    def __init__(self, url: str, *, timeout_s: float = 1.0, every_s: float = EVERY_S) -> None:
        self._redis = connect(url, timeout_s)
        self._every_s = every_s
        self._gathered: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._thread = BackgroundThread("counters", self._run)

    def add(self, amounts: Mapping[str, int]) -> None:
        """Adds to the sums, within a second or so; returns at once."""
        with self._lock:
            for figure, amount in amounts.items():
                self._gathered[figure] += amount
        self._wanted.set()
        if self._thread.start():
            atexit.unregister(self._send_quietly)
            atexit.register(self._send_quietly)

    def send(self) -> None:
        """Sends what was gathered, now; raises ScheduleUnavailable, and then keeps it for the next time."""
        with self._lock:
            gathered, self._gathered = self._gathered, Counter()
        if not gathered:
            return
        try:
            with translated():
                pipeline: Any = self._redis.pipeline(transaction=True)  # all, or what is sent again would count twice
                for figure, amount in gathered.items():
                    pipeline.hincrby(KEY, figure, amount)
                pipeline.execute()
        except ScheduleUnavailable:
            with self._lock:
                self._gathered.update(gathered)
            raise

    def read(self) -> dict[str, int]:
        """Every figure that was ever added to."""
        with translated():
            found = self._redis.hgetall(KEY)
        return {figure: int(amount) for figure, amount in found.items()}

    def close(self) -> None:
        """Sends what is left and closes the connections."""
        atexit.unregister(self._send_quietly)
        self._send_quietly()
        self._redis.close()

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._wanted.wait()
            stop.wait(self._every_s)
            self._wanted.clear()
            if not self._send_quietly():
                self._wanted.set()

    def _send_quietly(self) -> bool:
        try:
            self.send()
        except ScheduleUnavailable as error:
            logger.debug(log.line("counters.not_sent", reason=error))
            return False
        return True
