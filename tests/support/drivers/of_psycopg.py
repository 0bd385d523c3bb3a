"""psycopg 3, synchronous and asynchronous."""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.support.drivers.base import AsyncDriver, Driver


class Psycopg(Driver):
    """As it comes."""

    options: dict[str, Any] = {}  # noqa: RUF012 - never changed

    def __init__(self, url: str, *, autocommit: bool) -> None:
        super().__init__(url, autocommit=autocommit)
        self._connection = psycopg.connect(url, autocommit=autocommit, **self.options)

    @property
    def connection(self) -> Any:
        return self._connection

    def block(self) -> AbstractContextManager[Any]:
        return self._connection.transaction()

    def execute(self, sql: str) -> None:
        self._connection.execute(sql.encode())

    def close(self) -> None:
        self._connection.close()


class DictsOfPsycopg(Psycopg):
    """Whose rows are dicts, and whose parameters are `$1`."""

    options = {"row_factory": dict_row, "cursor_factory": psycopg.RawCursor}  # noqa: RUF012 - never changed


class AsyncPsycopg(AsyncDriver):
    """An AsyncConnection."""

    async def open(self) -> None:
        self.opened = await psycopg.AsyncConnection.connect(self.url, autocommit=self.autocommit)

    @property
    def connection(self) -> Any:
        return self.opened

    def async_block(self) -> AbstractAsyncContextManager[Any]:
        return self.opened.transaction()

    async def async_execute(self, sql: str) -> None:
        await self.opened.execute(sql.encode())

    async def async_close(self) -> None:
        await self.opened.close()
