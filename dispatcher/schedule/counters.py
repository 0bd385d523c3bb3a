"""Counters, summed over all processes in one hash of Redis.

dispatcher:counters   hash   name → how often, ever; of times also their sum, in microseconds

    attempts:<outcome>       requests that were recorded
    finished:<state>         deliveries that came to their end
    losses                   leases that ran out without a record
    secrets_unreadable       pauses of webhooks whose secrets could not be opened
    duplicates:<step>        what was asked for a second time and not done twice
    alerts:<channel>:<sent or failed>   messages of alerts to people
    <span>:<bucket>, <span>:us     how long something took

A process collects what it has to add and sends it each second, from a thread of its own: a drain never waits, and an
idle process sends nothing. A process that is killed loses what it has not sent, a second at most. What Redis does not
take waits. With Redis emptied the counters begin at 0, which Prometheus takes for a restart.
"""

import atexit
import logging
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from dispatcher import log
from dispatcher.background import DelayedTask
from dispatcher.errors import ScheduleUnavailable
from dispatcher.schedule.connection import connect, translated

logger = logging.getLogger(__name__)

KEY = "dispatcher:counters"
EVERY_S = 1.0


class Counters:
    """This process's part of the counters, and their sums."""

    def __init__(self, url: str, *, timeout_s: float = 1.0, every_s: float = EVERY_S) -> None:
        self._redis = connect(url, timeout_s)
        self._pending: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._sending = DelayedTask("counters", every_s, lambda: not self._send_quietly())

    def add(self, amounts: Mapping[str, int]) -> None:
        """Adds to the sums, within a second or so; returns at once."""
        with self._lock:
            for name, amount in amounts.items():
                self._pending[name] += amount
        if self._sending.ask():
            atexit.unregister(self._send_quietly)
            atexit.register(self._send_quietly)

    def send(self) -> None:
        """Sends what is pending, now; raises ScheduleUnavailable, and then keeps it for the next time."""
        with self._lock:
            amounts, self._pending = self._pending, Counter()
        if not amounts:
            return
        try:
            with translated():
                pipeline: Any = self._redis.pipeline(transaction=True)  # all, or what is sent again would count twice
                for name, amount in amounts.items():
                    pipeline.hincrby(KEY, name, amount)
                pipeline.execute()
        except ScheduleUnavailable:
            with self._lock:
                self._pending.update(amounts)
            raise

    def read(self) -> dict[str, int]:
        """Every counter that was ever added to."""
        with translated():
            sums = self._redis.hgetall(KEY)
        return {name: int(amount) for name, amount in sums.items()}

    def close(self) -> None:
        """Sends what is left and closes the connections."""
        atexit.unregister(self._send_quietly)
        self._send_quietly()
        self._redis.close()

    def _send_quietly(self) -> bool:
        try:
            self.send()
        except ScheduleUnavailable as error:
            logger.debug(log.line("counters.not_sent", reason=error))
            return False
        return True
