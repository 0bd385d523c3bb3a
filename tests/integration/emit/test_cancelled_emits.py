"""The task of an emit may be cancelled at any of its statements."""

import asyncio
from typing import Any

import asyncpg
import pytest

from dispatcher.connections.adapter import Parameters, Row
from dispatcher.connections.asyncpg import Asyncpg
from dispatcher.model.event import EventDraft
from dispatcher.storage.pipeline.emits import Emit, insert_by
from tests.support.drivers.base import NAME

DRAFT = EventDraft(name=NAME, body_json=b'{"inbox_files": {"count": 3}}', idempotency_key="k")


class CancelledAt(Asyncpg):
    """Postgres has run BEGIN by then, or has not been sent COMMIT yet."""

    def __init__(self, given: Any, statement: str) -> None:
        super().__init__(given)
        self._statement = statement

    async def rows(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        if sql != self._statement:
            return await super().rows(sql, parameters)
        if sql == "begin":
            await super().rows(sql, parameters)
        raise asyncio.CancelledError


@pytest.mark.parametrize("statement", ["begin", "commit"])
def test_it_leaves_no_transaction_open(account: Any, database_url: str, statement: str) -> None:
    async def emit() -> bool:
        connection = await asyncpg.connect(database_url)
        with pytest.raises(asyncio.CancelledError):
            await insert_by(CancelledAt(connection, statement), Emit(account.id, [DRAFT]))
        is_open = connection.is_in_transaction()
        await connection.close()
        return is_open

    assert asyncio.run(emit()) is False
