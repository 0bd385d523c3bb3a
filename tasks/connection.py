"""The workers' connection to the broker: one that comes back is found at once."""

from typing import Any

from celery.app.amqp import AMQP
from kombu.connection import Connection

PAUSES = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 2.0}
"""Seconds between two attempts to connect. By default they grow by two up to 30."""


class PromptConnection(Connection):
    """Tries again soon, however long the broker was away."""

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        """As kombu's, whose own pauses are for callers that name none."""
        return super().ensure_connection(*args, **(PAUSES | options))


class Amqp(AMQP):
    """What the worker's app connects by."""

    Connection = PromptConnection
