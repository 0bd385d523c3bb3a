"""Connections of psycopg 3."""

from collections.abc import Callable
from typing import Any

from psycopg import AsyncConnection, AsyncCursor, Connection, Cursor, ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from dispatcher.connections.adapter import InsertsOnly, Parameters, Row
from dispatcher.errors import InvalidSetting


def connect(url: str, parameters: Callable[[dict[str, Any]], dict[str, Any]]) -> Connection[Any]:
    """A new connection, which commits each statement; raises InvalidSetting for a URL that libpq does not understand.

    Nothing is prepared on it: a pooler that shares connections by transaction would not know of it.
    """
    try:
        of_url: dict[str, Any] = conninfo_to_dict(url)
    except ProgrammingError:
        raise InvalidSetting("DATABASE_URL", "libpq does not understand it") from None  # its words may hold a password
    return Connection.connect(autocommit=True, prepare_threshold=None, **parameters(of_url))


class Psycopg(InsertsOnly):
    """Its cursors are plain ones: the connection's own may make dicts of rows, or take `$1` parameters only."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection

    async def rows(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        with Cursor(self._connection, row_factory=tuple_row) as cursor:
            cursor.execute(sql.encode(), parameters)
            return list(cursor) if cursor.description else []

    async def commits_each(self) -> bool:
        return _commits_each(self._connection)


class AsyncPsycopg(InsertsOnly):
    """The same for its asynchronous ones."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection

    async def rows(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        async with AsyncCursor(self._connection, row_factory=tuple_row) as cursor:
            await cursor.execute(sql.encode(), parameters)
            return [*await cursor.fetchall()] if cursor.description else []

    async def commits_each(self) -> bool:
        return _commits_each(self._connection)


def _commits_each(connection: Connection[Any] | AsyncConnection[Any]) -> bool:
    return bool(connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE)
