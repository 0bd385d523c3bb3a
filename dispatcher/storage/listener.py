"""Hears Postgres' notifications: an event was committed at a time we did not see (`events.insert`, `announced`)."""

import logging
import select
import threading
from typing import Any

import psycopg2
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from dispatcher import clock, log
from dispatcher.storage.events import CHANNEL

logger = logging.getLogger(__name__)

_RECONNECT_S = 5.0


class Listener:
    """One connection outside the pool that waits for notifications; costs no query while nothing happens.

    Behind a pooler that hands connections out by transaction nothing arrives; then `reconcile` finds the events.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Any = None
        self._try_at_s = 0.0

    def wait(self, wait_s: float, stop: threading.Event) -> bool:
        """Waits up to `wait_s`; true where a notification came, or may have been missed before."""
        connected_now = self._connect()
        if self._connection is None:
            stop.wait(wait_s)
            return False
        try:
            readable, _, _ = select.select([self._connection], [], [], 0.0 if connected_now else wait_s)
            if readable:
                self._connection.poll()
        except (psycopg2.Error, OSError, ValueError) as error:
            logger.warning(log.line("listener.lost", reason=type(error).__name__))
            self.close()
            return False
        heard = bool(self._connection.notifies) or connected_now
        self._connection.notifies.clear()
        return heard

    def close(self) -> None:
        """Closes the connection; `wait` opens a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _connect(self) -> bool:
        """Whether a new connection was made."""
        if self._connection is not None or clock.monotonic() < self._try_at_s:
            return False
        self._try_at_s = clock.monotonic() + _RECONNECT_S
        try:
            fairy = self._engine.raw_connection()
            connection: Any = fairy.dbapi_connection
            fairy.detach()
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"listen {CHANNEL}")
        except (DBAPIError, psycopg2.Error) as error:
            logger.warning(log.line("listener.unconnected", reason=type(error).__name__))
            return False
        self._connection = connection
        return True
