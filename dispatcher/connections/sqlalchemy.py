"""Connections and sessions of SQLAlchemy, over psycopg2, psycopg 3 or asyncpg."""

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from dispatcher.connections.adapter import Adapter, InsertsOnly, Parameters, Row
from dispatcher.connections.asyncpg import as_text

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
    from sqlalchemy.orm import Session, scoped_session


class SqlAlchemy:
    """A Connection. One over asyncpg is met inside `run_sync`, and in event listeners of an asynchronous session."""

    def __init__(self, connection: Connection) -> None:
        _check(connection)
        self._connection = connection

    async def rows(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        return rows(self._connection, sql, parameters)

    async def commits_each(self) -> bool:
        return _commits_each(self._connection)

    def copies(self) -> bool:
        return self._connection.dialect.driver == "psycopg2"

    async def copy(self, table: str, columns: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
        await self._driver.copy(table, columns, lines)

    @property
    def _driver(self) -> Adapter:
        """psycopg2's adapter, loaded where psycopg2 is."""
        adapter: Adapter = import_module("dispatcher.connections.psycopg2").Psycopg2(
            self._connection.connection.dbapi_connection
        )
        return adapter


class AsyncSqlAlchemy(InsertsOnly):
    """An AsyncConnection."""

    def __init__(self, connection: "AsyncConnection") -> None:
        _check(connection)
        self._connection = connection

    async def rows(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        return await self._connection.run_sync(rows, sql, parameters)

    async def commits_each(self) -> bool:
        return await self._connection.run_sync(_commits_each)


def of_session(session: "Session | scoped_session[Session]") -> SqlAlchemy:
    """The connection of a session's transaction, which is begun if there is none."""
    return SqlAlchemy(session.connection())


async def of_async_session(session: "AsyncSession | async_scoped_session[AsyncSession]") -> AsyncSqlAlchemy:
    """The same."""
    return AsyncSqlAlchemy(await session.connection())


def rows(connection: Connection, sql: str, parameters: Parameters | None = None) -> list[Row]:
    """The rows of one statement."""
    if connection.dialect.paramstyle == "pyformat":
        result = connection.exec_driver_sql(sql, parameters)
    else:
        text, *values = as_text(sql, parameters or {})
        result = connection.exec_driver_sql(text, tuple(values))
    if not result.returns_rows:
        return []
    fetched = list(result.cursor.fetchall())  # the driver's own tuples: SQLAlchemy's rows cost more than the reading
    result.close()
    return fetched


def _commits_each(connection: Connection) -> bool:
    driver: Any = connection.connection.dbapi_connection
    return bool(driver.autocommit)


def _check(connection: "Connection | AsyncConnection") -> None:
    """Raises TypeError where it is none of Postgres', or over a driver with parameters of another kind."""
    dialect = connection.dialect
    if dialect.name != "postgresql" or dialect.paramstyle not in ("pyformat", "numeric_dollar"):
        raise TypeError(
            f"connection is SQLAlchemy's over {dialect.name}+{dialect.driver}; an emit needs postgresql"
            " with psycopg2, psycopg or asyncpg"
        )
