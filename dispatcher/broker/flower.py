"""Publishes deliveries that fail to Flower, as if each were a task."""

import logging
import threading
from dataclasses import dataclass
from queue import Full, Queue
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from dispatcher import clock, log
from dispatcher.background import BackgroundThread
from dispatcher.broker.config import RETRY, configure

logger = logging.getLogger(__name__)

PENDING_MAX, GAP_S, PAUSE_S = 1_000, 0.02, 5.0
"""Task events that wait to be sent, the gap between two of them, and the pause after the broker refused one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptEvent:
    """An attempt and what follows. `retry_in_s` is None if it is the last; `state` is the delivery's."""

    key: str
    event_name: str
    webhook_id: int
    attempt: int
    status: str
    state: str
    retry_in_s: float | None


class TaskEvents:
    """Deliveries in Flower: what failed appears there as a task, its Idempotency-Key as the task's id.

        RETRY      an attempt failed; its exception says how, and when the next attempt is
        FAILURE    no attempts are left
        SUCCESS    it went well after it had failed, or, with DISPATCHER_FLOWER_DELIVERIES=all, at once

    Events go to the broker, as Celery's own do, from a thread of their own and at a limited rate: Flower's memory and
    the broker are safe at 10,000 failures a second, and a drain never waits. What is beyond the rate is left out.
    `hostname` is the worker's, under which the tasks are shown.
    """

    def __init__(self, broker_url: str, *, gap_s: float = GAP_S) -> None:
        self.hostname = "dispatcher"
        self._broker_url = broker_url
        self._gap_s = gap_s
        self._pending: Queue[AttemptEvent] = Queue(PENDING_MAX)
        self._dropped = 0
        self._thread = BackgroundThread("task-events", self._run)

    def publish(self, attempt: AttemptEvent) -> None:
        """Returns at once, whatever the broker does."""
        try:
            self._pending.put_nowait(attempt)
        except Full:
            self._dropped += 1
        self._thread.start()

    def _run(self, stop: threading.Event) -> None:
        app = Celery("dispatcher.task_events", set_as_current=False)
        configure(app, self._broker_url)
        transport_errors = app.connection_for_write().connection_errors
        faults: tuple[type[Exception], ...] = (OperationalError, OSError, *transport_errors)
        while not stop.is_set():
            first = self._pending.get()
            try:
                with (
                    app.connection_for_write() as connection,
                    app.events.Dispatcher(connection, hostname=self.hostname, buffer_while_offline=False) as events,
                ):
                    connection.ensure_connection(**RETRY)
                    _send(events, first)
                    while True:
                        stop.wait(self._gap_s)
                        _send(events, self._pending.get())
            except faults as error:
                logger.warning(log.line("task_events.failed", reason=type(error).__name__, dropped=self._dropped))
                stop.wait(PAUSE_S)


def _send(events: Any, attempt: AttemptEvent) -> None:
    """A task's life in Flower: received and started when it is first published, then what came of the attempt."""
    common = {"uuid": attempt.key, "timestamp": clock.now().timestamp()}
    events.send(
        "task-received",
        name=f"delivery:{attempt.event_name}",
        args=f"(webhook {attempt.webhook_id})",
        kwargs="{}",
        retries=attempt.attempt - 1,
        **common,
    )
    events.send("task-started", **common)
    if attempt.state == "delivered":
        events.send("task-succeeded", result=f"{attempt.status}, attempt {attempt.attempt}", runtime=0.0, **common)
    elif attempt.retry_in_s is not None:
        reason = f"{attempt.status}, attempt {attempt.attempt}; next attempt in {attempt.retry_in_s:.0f} s"
        events.send("task-retried", exception=reason, traceback="", **common)
    else:
        reason = f"{attempt.status}, attempt {attempt.attempt}; no attempts left"
        events.send("task-failed", exception=reason, traceback="", **common)
