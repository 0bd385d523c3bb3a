"""SQLAlchemy, asynchronous: connections and sessions."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine

from dispatcher import emit, emit_many
from dispatcher.model.event import Event
from tests.support.cluster import SLUG
from tests.support.drivers.base import NAME, AsyncDriver, sqlalchemy_url


class _SqlAlchemy(AsyncDriver):
    """`connection` begins, nests and executes; sessions and connections do so alike."""

    over: str

    async def open(self) -> None:
        options = {"isolation_level": "AUTOCOMMIT"} if self.autocommit else {}
        self.engine = create_async_engine(sqlalchemy_url(self.url, self.over), **options)
        self.opened = await self.connect()

    async def connect(self) -> Any:
        raise NotImplementedError

    @property
    def connection(self) -> Any:
        return self.opened

    def async_block(self) -> AbstractAsyncContextManager[Any]:
        block: AbstractAsyncContextManager[Any] = self.opened.begin_nested() if self.depth else self.opened.begin()
        return block

    async def async_execute(self, sql: str) -> None:
        await self.opened.execute(text(sql))

    async def async_close(self) -> None:
        await self.opened.close()
        await self.engine.dispose()


class OverAsyncpg(_SqlAlchemy):
    """An AsyncConnection."""

    over = "asyncpg"

    async def connect(self) -> Any:
        return await self.engine.connect()


class OverPsycopg(OverAsyncpg):
    """The same over psycopg 3."""

    over = "psycopg"


class SessionOverAsyncpg(_SqlAlchemy):
    """An AsyncSession."""

    over = "asyncpg"

    async def connect(self) -> Any:
        return AsyncSession(self.engine)


class SessionOverPsycopg(SessionOverAsyncpg):
    """The same over psycopg 3."""

    over = "psycopg"


class ScopedSession(_SqlAlchemy):
    """The session of a request."""

    over = "asyncpg"

    async def connect(self) -> Any:
        return async_scoped_session(async_sessionmaker(self.engine), scopefunc=lambda: "request")


class SyncSession(SessionOverAsyncpg):
    """The synchronous session within an asynchronous one, which `run_sync` and event listeners are given."""

    def emit(self, count: object, **given: Any) -> Event:
        def emitted(session: Any) -> Event:
            return emit(NAME, account=SLUG, connection=session, inbox_files={"count": count}, **given)

        event: Event = self.run(self.opened.run_sync(emitted))
        return event

    def emit_many(self, counts: "range | list[int]") -> list[Event]:
        def emitted(session: Any) -> list[Event]:
            return emit_many(self._many(counts), account=SLUG, connection=session)

        stored: list[Event] = self.run(self.opened.run_sync(emitted))
        return stored
