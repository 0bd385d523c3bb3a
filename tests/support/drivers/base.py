"""What all drivers share: blocks that nest, and emits."""

import asyncio
import contextvars
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from typing import Any
from urllib.parse import urlsplit

from dispatcher import NewEvent, aemit, aemit_many, emit, emit_many
from dispatcher.model.event import Event
from tests.support.cluster import SLUG

NAME = "inbox_file_removed_all"


class Undo(Exception):
    """Ends a block by rolling it back."""


class Driver(ABC):
    """See the package."""

    def __init__(self, url: str, *, autocommit: bool) -> None:
        self.url = url
        self.autocommit = autocommit
        self._blocks: list[Any] = []

    @property
    def is_async(self) -> bool:
        return False

    @property
    @abstractmethod
    def connection(self) -> Any:
        """What an emit is given."""

    @abstractmethod
    def block(self) -> AbstractContextManager[Any]:
        """A transaction, or a savepoint where `depth` is not 0."""

    @abstractmethod
    def execute(self, sql: str) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    @property
    def depth(self) -> int:
        return len(self._blocks)

    def begin(self) -> None:
        block = self.block()
        block.__enter__()
        self._blocks.append(block)

    def end(self, *, commit: bool) -> None:
        block = self._blocks.pop()
        if commit:
            block.__exit__(None, None, None)
            return
        try:
            raise Undo
        except Undo as undo:
            with suppress(Undo):
                block.__exit__(Undo, undo, undo.__traceback__)

    def emit(self, count: object, **given: Any) -> Event:
        return emit(NAME, account=SLUG, connection=self.connection, inbox_files={"count": count}, **given)

    def emit_many(self, counts: "range | list[int]") -> list[Event]:
        return emit_many(self._many(counts), account=SLUG, connection=self.connection)

    def _many(self, counts: "range | list[int]") -> list[NewEvent]:
        return [NewEvent(name=NAME, body={"inbox_files": {"count": count}}) for count in counts]


class AsyncDriver(Driver):
    """Runs each step on a loop of its own."""

    def __init__(self, url: str, *, autocommit: bool) -> None:
        super().__init__(url, autocommit=autocommit)
        self._runner = asyncio.Runner()
        self._context = contextvars.copy_context()
        self.run(self.open())

    @property
    def is_async(self) -> bool:
        return True

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    def async_block(self) -> AbstractAsyncContextManager[Any]: ...

    @abstractmethod
    async def async_execute(self, sql: str) -> None: ...

    @abstractmethod
    async def async_close(self) -> None: ...

    def run(self, work: Awaitable[Any]) -> Any:
        async def run() -> Any:
            return await work

        loop = self._runner.get_loop()  # `run` of the runner listens for Ctrl-C again each time, which takes as long
        return loop.run_until_complete(loop.create_task(run(), context=self._context))

    def block(self) -> AbstractContextManager[Any]:
        return _Entered(self.async_block(), self.run)

    def execute(self, sql: str) -> None:
        self.run(self.async_execute(sql))

    def close(self) -> None:
        self.run(self.async_close())
        self._runner.close()

    def emit(self, count: object, **given: Any) -> Event:
        emitted = aemit(NAME, account=SLUG, connection=self.connection, inbox_files={"count": count}, **given)
        event: Event = self.run(emitted)
        return event

    def emit_many(self, counts: "range | list[int]") -> list[Event]:
        stored: list[Event] = self.run(aemit_many(self._many(counts), account=SLUG, connection=self.connection))
        return stored


class _Entered(AbstractContextManager[Any]):
    """An asynchronous block, as a synchronous one."""

    def __init__(self, block: AbstractAsyncContextManager[Any], run: Callable[[Awaitable[Any]], Any]) -> None:
        self._block = block
        self._run = run

    def __enter__(self) -> Any:
        return self._run(self._block.__aenter__())

    def __exit__(self, *error: Any) -> Any:
        return self._run(self._block.__aexit__(*error))


def sqlalchemy_url(url: str, driver: str) -> str:
    """`url` for SQLAlchemy over that driver."""
    return urlsplit(url)._replace(scheme=f"postgresql+{driver}").geturl()
