"""Nudges: puts a task's name and ids on the broker. A nudge says "there is work"; losing or doubling one costs time.

It knows Celery's message, not the worker's app: a process that only emits loads neither the tasks nor what they need.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from amqp.exceptions import ChannelError
from celery import Celery
from kombu.exceptions import OperationalError

from dispatcher.broker.config import RETRY, configure
from dispatcher.broker.names import ALERT, DELIVER, DELIVERIES, DELIVERIES_SLOW, EVENTS, FAN_OUT, QUEUES
from dispatcher.errors import QueueUnavailable

CONFIRM_S = 5.0
"""The longest wait for RabbitMQ to confirm a message: one that is short of memory or disk confirms none."""


class Queue:
    """The broker, for sending. Raises QueueUnavailable where it does not take a message."""

    def __init__(self, broker_url: str) -> None:
        self._app = Celery("dispatcher", set_as_current=False)
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

    def alert(self, channel_ids: Sequence[int]) -> None:
        """Sends `tasks.alert(channel_ids)`, where slow receivers are waited for: a mail server may be one."""
        with _translated():
            self._app.send_task(
                ALERT,
                args=[list(channel_ids)],
                queue=DELIVERIES_SLOW,
                ignore_result=True,
                confirm_timeout=CONFIRM_S,
            )

    def lengths(self, names: Sequence[str] = QUEUES) -> dict[str, int]:
        """How many messages wait in each queue."""
        with _translated(), self._app.connection_for_read() as connection:
            try:
                connection.ensure_connection(**RETRY)
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
