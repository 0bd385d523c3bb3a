"""Channels with news: one worker at a time checks for them, and one task at a time sends.

1. Each EVERY_S seconds one worker compares the state of things with what was sent, in one statement.
2. Where there is news it sends `tasks.alert`. One such task runs at a time, so a mail server that hangs holds up
   one thread of those that wait for slow receivers, and no delivery.
3. The task claims the channels, reads the news of each by now, sends them as one message, and writes down
   that they were sent. What is not taken comes again, with what is the case then, after a pause that doubles.
"""

import logging
import threading
from collections.abc import Sequence

from dispatcher import clock, log
from dispatcher.alerts import operators
from dispatcher.alerts.send import send
from dispatcher.broker.queue import Queue
from dispatcher.errors import AlertChannelNotFound, SecretDecryptionFailed
from dispatcher.model.alert import Alert, AlertChannel
from dispatcher.model.health import WindowPolicy
from dispatcher.pipeline.fault import guarded
from dispatcher.schedule.counters import Counters
from dispatcher.schedule.schedule import Schedule
from dispatcher.sender.pool import SenderPool
from dispatcher.settings import Settings
from dispatcher.storage import alerts
from dispatcher.storage.engine import Storage

logger = logging.getLogger(__name__)

EVERY_S = 15.0
"""Between two checks, over all workers."""
AT_ONCE = 50
"""Channels of one task."""
LIMIT_S = 60.0
"""A task sends nothing more after that."""
LEASE_S = 300.0
"""A task's claim on a channel ends after that."""
RETRY_S, RETRY_MAX_S = 60.0, 86_400.0
"""The pause after a message that was not taken, doubled each time, and the longest."""


class Alerts:
    """Of one process. `run` is for a thread of each worker, `send` for the task."""

    def __init__(
        self,
        storage: Storage,
        schedule: Schedule,
        queue: Queue,
        senders: SenderPool,
        counters: Counters,
        settings: Settings,
    ) -> None:
        self._storage = storage
        self._schedule = schedule
        self._queue = queue
        self._senders = senders
        self._counters = counters
        self._settings = settings
        self._window = WindowPolicy(start=settings.window_start, ceiling=settings.window_max)
        self._every_s = min(EVERY_S, settings.alert_interval_s)

    def run(self, stop: threading.Event) -> None:
        """Checks for alerts until `stop` is set."""
        while not stop.wait(self._every_s):
            with guarded("alerts.failed"):  # the thread's outermost
                self.check()

    def check(self) -> int:
        """Hands channels with news to a task, unless another worker has just done so; returns how many."""
        return self._hand_out() if self._schedule.claim_alerts(self._every_s * 0.9) else 0

    def _hand_out(self) -> int:
        ids = self._storage.transact(alerts.find, self._of_operators(), AT_ONCE)
        if ids:
            self._schedule.hold_alerts(2 * LIMIT_S)
            self._queue.alert(ids)
        return len(ids)

    def send(self, channel_ids: Sequence[int]) -> dict[str, int]:
        """Sends these channels their news, and hands out others; returns how many messages were taken, and were not."""
        counts = {"sent": 0, "failed": 0}
        mine = self._storage.transact(alerts.claim, channel_ids, LEASE_S)
        try:
            messages = self._messages(mine)
            until_s = clock.monotonic() + LIMIT_S
            for id_, error in send(messages, self._senders, self._settings):
                mine.remove(id_)
                with guarded("alerts.not_noted", channel_id=id_):  # its lease keeps the message from following at once
                    self._note(*messages[id_], error)
                counts["sent" if error is None else "failed"] += 1
                if clock.monotonic() > until_s:
                    break
        finally:
            self._storage.transact(alerts.release, mine)
        if not self._hand_out():
            self._schedule.hold_alerts(1.0)
        return counts

    def _messages(self, ids: list[int]) -> dict[int, tuple[AlertChannel, list[Alert]]]:
        """What is to be sent; of `ids` those that cannot be read are taken out."""
        of_operators, messages = self._of_operators(), {}
        for id_ in [*ids]:
            try:
                channel = self._storage.read(alerts.channel, self._storage.secrets, id_)
            except AlertChannelNotFound:  # deleted a moment ago
                continue
            except SecretDecryptionFailed as error:
                logger.warning(log.line("alerts.channel_unreadable", channel_id=id_, reason=error))
                self._storage.transact(alerts.not_sent, id_, str(error), RETRY_S)
                ids.remove(id_)
                continue
            news = self._storage.read(alerts.read, channel, of_operators)
            if news:
                messages[id_] = (channel, news)
        return messages

    def _note(self, channel: AlertChannel, news: Sequence[Alert], error: str | None) -> None:
        if error is None:
            self._storage.transact(alerts.sent, channel.id, news, self._settings.alert_interval_s)
        else:
            pause_s = min(RETRY_S * 2.0 ** min(channel.failures, 30), RETRY_MAX_S)
            self._storage.transact(alerts.not_sent, channel.id, error, pause_s)
        outcome = "sent" if error is None else "failed"
        self._counters.add({f"alerts:{channel.type}:{outcome}": 1})
        line = log.line(f"alerts.{outcome}", channel_id=channel.id, alerts=len(news), reason=error and repr(error))
        logger.log(logging.INFO if error is None else logging.WARNING, line)

    def _of_operators(self) -> list[Alert]:
        if not self._storage.read(alerts.wants_operators):
            return []
        return operators.current(self._storage, self._schedule, self._window)
