"""Connections of psycopg2."""

from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, connection, cursor, parse_dsn

from dispatcher.connections.adapter import Parameters, Planned, Row
from dispatcher.errors import InvalidSetting

_COPY_SIZE = 256 * 1024  # bytes that psycopg2 asks for at a time


def connect(url: str, parameters: Callable[[dict[str, Any]], dict[str, Any]]) -> connection:
    """A new connection, which commits each statement; raises InvalidSetting for a URL."""
    opened: connection = psycopg2.connect(**parameters(parse(url)))
    opened.autocommit = True
    return opened


def parse(url: str, variable: str = "DATABASE_URL") -> dict[str, Any]:
    """The parameters in it; raises InvalidSetting, which names `variable`, for a URL that libpq does not understand.

    It is libpq that reads `url`, and not SQLAlchemy, which knows nothing of several hosts.
    """
    try:
        return parse_dsn(url)
    except psycopg2.ProgrammingError:
        raise InvalidSetting(variable, "libpq does not understand it") from None  # its words may hold a password


class Psycopg2:
    """Its cursors are plain ones: the connection's own may make dicts of rows."""

    def __init__(self, driver_connection: connection) -> None:
        self._connection = driver_connection

    async def rows(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        return rows(self._connection, sql, parameters)

    async def commits_each(self) -> bool:
        driver_connection = self._connection
        return driver_connection.autocommit and driver_connection.info.transaction_status == TRANSACTION_STATUS_IDLE

    def copies(self) -> bool:
        return True

    async def copy(self, table: str, columns: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
        text = BytesIO(b"".join([b"\t".join(map(_cell, line)) + b"\n" for line in lines]))
        with self._connection.cursor(cursor_factory=cursor) as plain:
            # The client may have another encoding: it is a service's own connection.
            plain.copy_expert(f"copy {table} ({', '.join(columns)}) from stdin (encoding 'utf8')", text, _COPY_SIZE)


def rows(driver_connection: connection, sql: str, parameters: Parameters | None = None) -> list[Row]:
    """The rows of one statement."""
    with driver_connection.cursor(cursor_factory=cursor) as plain:
        plain.execute(planned(driver_connection, sql), parameters)
        return plain.fetchall() if plain.description else []


def planned(driver_connection: Any, sql: str) -> str:
    """What to send in the place of `sql`: its name, where the connection has had it planned (`storage.planned`)."""
    return (
        driver_connection.execution(sql)
        if isinstance(sql, Planned) and hasattr(driver_connection, "execution")
        else sql
    )


def _cell(value: object) -> bytes:
    """`value` as COPY reads it: https://www.postgresql.org/docs/current/sql-copy.html, "Text Format"."""
    if value is None:
        return b"\\N"
    text = value if isinstance(value, bytes) else str(value).encode()
    return text.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\t", b"\\t").replace(b"\r", b"\\r")
