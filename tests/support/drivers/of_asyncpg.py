"""asyncpg: each statement outside a transaction is one, whatever is asked for."""

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncpg

from tests.support.drivers.base import AsyncDriver


class Asyncpg(AsyncDriver):
    """With the codec for JSON that its documentation shows."""

    async def open(self) -> None:
        self.opened: Any = await asyncpg.connect(self.url)
        await self.opened.set_type_codec("json", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")

    @property
    def connection(self) -> Any:
        return self.opened

    def async_block(self) -> AbstractAsyncContextManager[Any]:
        block: AbstractAsyncContextManager[Any] = self.opened.transaction()
        return block

    async def async_execute(self, sql: str) -> None:
        await self.opened.execute(sql)

    async def async_close(self) -> None:
        await self.opened.close()


class AsyncpgPool(Asyncpg):
    """What a pool lends."""

    async def open(self) -> None:
        self.pool = await asyncpg.create_pool(self.url, min_size=1, max_size=1)
        self.opened = await self.pool.acquire()

    async def async_close(self) -> None:
        await self.pool.release(self.opened)
        await self.pool.close()
