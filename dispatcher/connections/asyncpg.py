"""Connections of asyncpg."""

from typing import Any

from dispatcher.connections.adapter import InsertsOnly, Parameters, Row, numbered


class Asyncpg(InsertsOnly):
    """Of the connection itself, or of a pool."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def rows(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        return [tuple(record) for record in await self._connection.fetch(*as_text(sql, parameters or {}))]

    async def commits_each(self) -> bool:
        return not self._connection.is_in_transaction()


def as_text(sql: str, parameters: Parameters) -> tuple[Any, ...]:
    """The statement with `$1` for `%(name)s`, and its parameters in that order.

    All of them go as text, which Postgres converts: a codec that the service has set for `json` or for an array would
    make something else of them.
    """
    text, names = numbered(sql, "::text")
    values = (parameters[name] for name in names)
    return text, *(None if value is None else str(value) for value in values)
