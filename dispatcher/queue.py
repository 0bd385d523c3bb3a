"""Nudges: puts a task's name and ids on the broker. A nudge says "there is work"; losing or doubling one costs time.

Holds the names of tasks and queues. It knows Celery's message, not the worker's app: a process that only emits loads
neither the tasks nor what they need.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from amqp.exceptions import ChannelError
from celery import Celery
from kombu.entity import Exchange
from kombu.entity import Queue as KombuQueue
from kombu.exceptions import OperationalError

from dispatcher.errors import QueueUnavailable

FAN_OUT = "tasks.fan_out"
DELIVER = "tasks.deliver"
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
    app.conf.update(
        broker_url=broker_url,
        broker_transport_options=REDIS_OPTIONS if redis else {"confirm_publish": True},
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


class Queue:
    """The broker, for sending. Raises QueueUnavailable where it does not take a message."""

    def __init__(self, broker_url: str) -> None:
        self._app = Celery("dispatcher.queue", set_as_current=False)
        configure(self._app, broker_url)
        # Loads the transport now: an emitter's first nudge, which may take 100 ms, must not spend them on imports.
        self._transport = (self._app.amqp.producer_pool, self._app.connection_for_write().transport_cls)

    def fan_out(self) -> None:
        """Sends `tasks.fan_out()`."""
        with _translated():
            self._app.send_task(FAN_OUT, queue=EVENTS, ignore_result=True)

    def deliver(self, webhook_ids: Sequence[int], *, slow: bool) -> None:
        """Sends `tasks.deliver(webhook_ids)` for webhooks that are held for it."""
        with _translated():
            self._app.send_task(
                DELIVER, args=[list(webhook_ids)], queue=DELIVERIES_SLOW if slow else DELIVERIES, ignore_result=True
            )

    def lengths(self, names: Sequence[str] = QUEUES) -> dict[str, int]:
        """How many messages wait in each queue."""
        with _translated(), self._app.connection_for_read() as connection:
            try:
                return {name: _length(connection, name) for name in names}
            except connection.connection_errors as error:  # the transport's own
                raise OperationalError(str(error)) from error

    def close(self) -> None:
        """Closes the connections."""
        self._app.close()


def _length(connection: Any, name: str) -> int:
    with connection.channel() as channel:
        try:
            return int(channel.queue_declare(queue=name, passive=True).message_count)
        except ChannelError:
            return 0  # to Redis an empty list is no list; to RabbitMQ a queue that no worker has declared yet


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, OSError) as error:
        raise QueueUnavailable(f"the broker does not take messages: {type(error).__name__}") from error
