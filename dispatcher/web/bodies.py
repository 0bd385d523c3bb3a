"""A request's body, read only once it is known that it may be sent, and not for longer than it makes progress.

Who it comes from decides how much it may be: with a token as much as any request here, without one no more than a form.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from io import RawIOBase
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from dispatcher.api.http import too_large
from dispatcher.model.event import BODY_LIMIT
from dispatcher.web.connections import Owed, Turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from _typeshed import WriteableBuffer

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

SMALL_BODY = 64 * 1024
"""Bytes. Of larger ones, only as many are in memory at a time as there are threads."""
FORM_LIMIT = SMALL_BODY
"""Bytes of a body that nobody's token stands for."""
SILENCE_S = 10.0
"""The longest wait for the next part of a body."""
RATE = 16 * 1024
"""Bytes a second at which a body must arrive on average, once SILENCE_S is over."""
READ_S = 60.0
"""The longest wait for a whole body; then the request is given up."""
LINGER_S, LINGER_MOST = 5.0, 4 * BODY_LIMIT
"""The seconds and bytes for which an unread body is still received after the response: a client that was cut off while
it sends would not see the response."""


class ClientGone(Exception):
    """The client has closed its connection."""


class BodyTooLarge(Exception):
    """There is more than may be."""


class BodyTooSlow(Exception):
    """It came too slowly, or not at all."""


class Body:
    """Of one request; `length` is what the client said, None where it sends in chunks."""

    def __init__(self, environ: Mapping[str, Any], receive: Receive, turn: Turn) -> None:
        self.length = _length(environ)
        self._receive = receive
        self._turn = turn
        self.is_whole = self.length == 0
        """Whether all of it was read."""

    @property
    def is_small(self) -> bool:
        """Whether there is little of it, or none."""
        return self.length is not None and self.length <= SMALL_BODY

    async def read(self, limit: int, owed: Owed) -> bytes:
        """All of it, which the client owes; raises BodyTooLarge beyond `limit` bytes, BodyTooSlow, or ClientGone."""
        if self.length is not None and self.length > limit:
            raise BodyTooLarge
        parts, size, began_s = [b""], 0, time.monotonic()
        try:
            while not self.is_whole:
                left_s = min(SILENCE_S + size / RATE, READ_S) - (time.monotonic() - began_s)
                self._turn.await_client(owed, READ_S)
                async with asyncio.timeout(min(SILENCE_S, left_s)):
                    parts.append(await self._next())
                size += len(parts[-1])
                if size > limit:
                    raise BodyTooLarge
        except TimeoutError:
            raise BodyTooSlow from None
        finally:
            self._turn.take_over()
        return b"".join(parts)

    async def discard(self) -> None:
        """What is left of it, within bounds; then the connection may be closed, or used again."""
        size = 0
        try:
            async with asyncio.timeout(LINGER_S):
                while not self.is_whole and size <= LINGER_MOST:
                    size += len(await self._next())
        except (TimeoutError, ClientGone):
            pass

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] != "http.request":
            raise ClientGone
        self.is_whole = not message.get("more_body", False)
        return bytes(message.get("body", b""))


def _length(environ: Mapping[str, Any]) -> int | None:
    if "HTTP_TRANSFER_ENCODING" in environ:
        return None
    text = environ.get("CONTENT_LENGTH", "0")
    return int(text[:30]) if text.isdecimal() else None  # of a longer one the beginning is too much already


class Unread(RawIOBase):
    """Stands for a body that must not be read: reading it is refused. A response that needs no body is as always."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def readable(self) -> bool:
        """As a WSGI input is."""
        return True

    def readinto(self, _: "WriteableBuffer") -> int:
        """Raises ApiError."""
        raise too_large(self._limit)


class LargeBodies:
    """How many large bodies may be in memory at a time; one account's are half of these at most. For one event loop."""

    def __init__(self, count: int) -> None:
        self._all = asyncio.Semaphore(count)
        self._share = max(1, count // 2)
        self._by_account: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def place(self, account_id: int) -> "AsyncIterator[None]":
        """One of them, when there is one."""
        share = self._by_account.setdefault(account_id, asyncio.Semaphore(self._share))
        async with share, self._all:
            yield
