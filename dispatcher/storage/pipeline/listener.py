"""Hears Postgres' notifications, by which each commit of events makes itself known: on `CHANNEL`, or an outbox's."""

import logging
import select
import threading
from contextlib import closing
from typing import Any

import psycopg2
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from dispatcher import clock, log
from dispatcher.storage.engine import detached
from dispatcher.storage.pipeline.emits import CHANNEL

logger = logging.getLogger(__name__)

_RECONNECT_S = 1.0
_ECHO_S = 2.0
"""A new connection is notified by another: if it hears nothing by then, it never will."""


class NotificationListener:
    """One connection outside the pool that waits for notifications; costs no query while nothing happens."""

    def __init__(self, engine: Engine, channel: str = CHANNEL, reconnect_s: float = _RECONNECT_S) -> None:
        self._engine = engine
        self._channel = channel
        self._reconnect_s = reconnect_s
        self._connection: Any = None
        self._try_at_s = 0.0
        self._echo_by_s: float | None = None
        self.is_deaf = False
        """Behind a pooler that shares connections by transaction nothing arrives: poll the outbox instead."""

    def wait(self, wait_s: float, stop: threading.Event) -> bool:
        """Waits up to `wait_s`; true where a notification came, or may have been missed before."""
        self._connect()
        if self._connection is None:
            stop.wait(wait_s)
            return False
        try:
            if not self._connection.notifies and select.select([self._connection], [], [], wait_s)[0]:
                self._connection.poll()
        except (psycopg2.Error, OSError, ValueError) as error:
            logger.warning(log.line("listener.lost", reason=type(error).__name__))
            self.close()
            return False
        heard = bool(self._connection.notifies)
        self._connection.notifies.clear()
        self._judge(heard)
        return heard

    def close(self) -> None:
        """Closes the connection; `wait` opens a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _judge(self, heard: bool) -> None:
        if heard:
            self._echo_by_s, self.is_deaf = None, False
        elif self._echo_by_s is not None and clock.monotonic() > self._echo_by_s:
            self._echo_by_s, self.is_deaf = None, True
            reason = "no notification arrives; give workers a connection that no pooler shares by transaction"
            logger.warning(log.line("listener.not_notified", reason=repr(reason)))

    def _connect(self) -> None:
        if self._connection is not None or clock.monotonic() < self._try_at_s:
            return
        self._try_at_s = clock.monotonic() + self._reconnect_s
        try:
            self._connection = detached(self._engine)
            with self._connection.cursor() as cursor:
                cursor.execute(f"listen {self._channel}")
            # On another connection: a pooler hands on what comes with the response to a statement. The echo stands for
            # all that was committed before, too.
            with closing(detached(self._engine)) as other, other.cursor() as cursor:
                cursor.execute(f"select pg_notify('{self._channel}', '')")
        except (DBAPIError, psycopg2.Error) as error:
            logger.warning(log.line("listener.connect_failed", reason=type(error).__name__))
            self.close()
        self._echo_by_s = clock.monotonic() + _ECHO_S
