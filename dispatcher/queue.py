"""Nudges: puts a task's name and ids on the broker. A nudge says "there is work"; losing or doubling one costs time.

Also tells Flower of deliveries that fail, as if each were a task. Holds the names of tasks and queues. It knows
Celery's message, not the worker's app: a process that only emits loads neither the tasks nor what they need.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Full
from queue import Queue as Waiting
from typing import Any
from urllib.parse import quote

from amqp.exceptions import ChannelError
from celery import Celery
from kombu.entity import Exchange
from kombu.entity import Queue as KombuQueue
from kombu.exceptions import OperationalError

from dispatcher import clock, log
from dispatcher.errors import QueueUnavailable
from dispatcher.settings import sentinels_of

logger = logging.getLogger(__name__)

FAN_OUT = "tasks.fan_out"
DELIVER = "tasks.deliver"
WAITING_MAX, PAUSE_S = 1_000, 5.0
"""Task events that wait to be sent, and the pause after the broker refused one."""
CONFIRM_S = 5.0
"""For so long RabbitMQ may take to confirm a message: one that is short of memory or disk confirms none at all."""
CHUNK_MAX = 1_000
"""Webhooks in one `tasks.deliver`."""
QUEUES = (EVENTS, DELIVERIES, DELIVERIES_SLOW) = ("events", "deliveries", "deliveries.slow")

# Without a socket timeout a half-open connection hangs a worker for good. Emulated acks make a worker exit when Redis
# drops and cost seven more commands a task; a nudge may be lost, so they buy nothing. One priority, or each queue would
# be four keys.
REDIS_OPTIONS: dict[str, Any] = {
    "ack_emulation": False,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "priority_steps": [0],
}


def configure(app: Celery, broker_url: str) -> None:
    """The settings that every process needs which touches the broker: workers, Flower and emitters."""
    redis = broker_url.startswith(("redis", "sentinel"))
    queue_arguments = None if redis else {"x-queue-type": "quorum"}
    urls, options = _of_sentinels(broker_url) or (broker_url, REDIS_OPTIONS if redis else {"confirm_publish": True})
    app.conf.update(
        broker_url=urls,
        broker_transport_options=options,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_limit=10,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        result_backend=None,
        task_publish_retry=True,  # without it a publish to a broker that is down takes 6 s to fail
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1},
        task_send_sent_event=False,
        task_create_missing_queues=False,
        task_default_queue=EVENTS,
        # An exchange of its own for each: on a shared one RabbitMQ would put every message into all three.
        task_queues=[KombuQueue(name, Exchange(name), name, queue_arguments=queue_arguments) for name in QUEUES],
        task_routes={FAN_OUT: {"queue": EVENTS}, DELIVER: {"queue": DELIVERIES}},
    )


def _of_sentinels(broker_url: str) -> tuple[str, dict[str, Any]] | None:
    """A `sentinel://` URL as kombu wants it: a whole URL for each sentinel, and what they are asked as options."""
    found = sentinels_of(broker_url)
    if found is None:
        return None
    login = ":".join(quote(word or "", safe="") for word in (found.username, found.password))
    urls = [
        f"sentinel://{login}@{f'[{host}]' if ':' in host else host}:{port}/{found.database}"
        for host, port in found.addresses
    ]
    of_sentinels = {name: REDIS_OPTIONS[name] for name in ("socket_timeout", "socket_connect_timeout")}
    of_sentinels["password"] = found.sentinel_password
    return ";".join(urls), REDIS_OPTIONS | {"master_name": found.master, "sentinel_kwargs": of_sentinels}


def acceptable(webhook_ids: Sequence[object]) -> list[int]:
    """Those of a message's webhooks that can be some: ids of Postgres, and no more than one message of ours has."""
    return [id_ for id_ in webhook_ids if type(id_) is int and 0 < id_ < 2**31][:CHUNK_MAX]


class Queue:
    """The broker, for sending. Raises QueueUnavailable where it does not take a message."""

    def __init__(self, broker_url: str) -> None:
        self._app = Celery("dispatcher.queue", set_as_current=False)
        configure(self._app, broker_url)

    def fan_out(self) -> None:
        """Sends `tasks.fan_out()`."""
        with _translated():
            self._app.send_task(FAN_OUT, queue=EVENTS, ignore_result=True, confirm_timeout=CONFIRM_S)

    def deliver(self, webhook_ids: Sequence[int], *, slow: bool) -> None:
        """Sends `tasks.deliver(webhook_ids)` for webhooks that are held for it."""
        with _translated():
            self._app.send_task(
                DELIVER,
                args=[list(webhook_ids)],
                queue=DELIVERIES_SLOW if slow else DELIVERIES,
                ignore_result=True,
                confirm_timeout=CONFIRM_S,
            )

    def lengths(self, names: Sequence[str] = QUEUES) -> dict[str, int]:
        """How many messages wait in each queue."""
        with _translated(), self._app.connection_for_read() as connection:
            try:
                return dict(_lengths(connection, names))
            except connection.connection_errors as error:  # the transport's own
                raise OperationalError(str(error)) from error

    def close(self) -> None:
        """Closes the connections."""
        self._app.close()


def _lengths(connection: Any, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    """On one channel, which costs more than the question; on another after RabbitMQ has closed it over an error."""
    channel = connection.channel()
    for name in names:
        if not getattr(channel, "is_open", True):  # those of Redis do not say, and stay open
            channel = connection.channel()
        try:
            yield name, int(channel.queue_declare(queue=name, passive=True).message_count)
        except ChannelError:
            yield name, 0  # to Redis an empty list is no list; to RabbitMQ a queue that no worker has declared yet


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, OSError) as error:
        raise QueueUnavailable(f"the broker does not take messages: {type(error).__name__}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One judged attempt. `retry_in_s` is None where there is no next try, `state` the delivery's."""

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
        FAILURE    the tries are used up
        SUCCESS    it went well after it had failed, or, where that is wished for, at once

    Events go to the broker, as Celery's own do, from a thread of their own and at a limited rate: Flower's memory and
    the broker are safe at 10,000 failures a second, and a drain never waits. What is beyond the rate is left out.
    `hostname` is the worker's, under which the tasks are shown.
    """

    def __init__(self, broker_url: str, *, per_second: float) -> None:
        self.hostname = "dispatcher"
        self._broker_url = broker_url
        self._gap_s = 1 / per_second
        self._waiting: Waiting[Told] = Waiting(WAITING_MAX)
        self._left_out = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def tell(self, told: Told) -> None:
        """Returns at once, whatever the broker does."""
        try:
            self._waiting.put_nowait(told)
        except Full:
            self._left_out += 1
        if self._thread is None or not self._thread.is_alive():  # also in a process that was forked
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="task-events", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        app = Celery("dispatcher.task_events", set_as_current=False)
        configure(app, self._broker_url)
        of_transport = app.connection_for_write().connection_errors
        faults: tuple[type[Exception], ...] = (OperationalError, OSError, *of_transport)
        while True:
            first = self._waiting.get()
            try:
                with (
                    app.connection_for_write() as connection,
                    app.events.Dispatcher(connection, hostname=self.hostname, buffer_while_offline=False) as events,
                ):
                    _send(events, first)
                    while True:
                        pause.wait(self._gap_s)
                        _send(events, self._waiting.get())
            except faults as error:
                logger.warning(log.line("task_events.failed", reason=type(error).__name__, left_out=self._left_out))
                pause.wait(PAUSE_S)


def _send(events: Any, told: Told) -> None:
    """A task's life in Flower: received and started when it is first told of, then what came of the attempt."""
    common = {"uuid": told.key, "timestamp": clock.now().timestamp()}
    events.send(
        "task-received",
        name=f"delivery:{told.event_name}",
        args=f"(webhook {told.webhook_id})",
        kwargs="{}",
        retries=told.attempt - 1,
        **common,
    )
    events.send("task-started", **common)
    if told.state == "delivered":
        events.send("task-succeeded", result=f"{told.status}, attempt {told.attempt}", runtime=0.0, **common)
    elif told.retry_in_s is not None:
        reason = f"{told.status}, attempt {told.attempt}; next attempt in {told.retry_in_s:.0f} s"
        events.send("task-retried", exception=reason, traceback="", **common)
    else:
        reason = f"{told.status}, attempt {told.attempt}; no attempts left"
        events.send("task-failed", exception=reason, traceback="", **common)
