"""Who makes a request, found out before its body is read. Requests that come together share the query.

For a second after it was looked up a token is known without asking, unless Postgres notifies that anybody's has been
revoked. Where that could not be heard, because the connection is lost or a pooler swallows it, nothing is kept.
"""

import asyncio
import threading
import time
from contextlib import closing

from dispatcher.access.authenticate import Admission, count
from dispatcher.background import BackgroundThread
from dispatcher.container import Container
from dispatcher.errors import StorageUnavailable
from dispatcher.storage.admin import tokens
from dispatcher.storage.admin.clients import CALLERS_CHANNEL
from dispatcher.storage.admin.tokens import Caller
from dispatcher.storage.pipeline.listener import NotificationListener
from dispatcher.web.batcher import Batcher

CALLERS_MOST = 100
"""In one query."""
KNOWN_S = 1.0
"""A token is known so long."""
KNOWN_MOST = 10_000
"""Tokens that are."""
_LISTEN_S = 1.0
_STOP_S = 2.0


class Callers:
    """For one event loop."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._lookups: Batcher[str, Caller | None] = Batcher(
            "callers",
            lambda asked: container.storage.read(tokens.callers, asked),
            most=CALLERS_MOST,
            for_all=StorageUnavailable,
        )
        self._known: dict[str, tuple[Caller, float]] = {}
        """Token → whose it is, and until when that is known."""
        self._changes = 0
        self._hears = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = BackgroundThread("callers' changes", self._listen)

    def start(self) -> None:
        """Begins to listen."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """Ends listening."""
        self._thread.stop(_STOP_S)

    async def admit(self, token: str, quota: str) -> Admission | None:
        """Whose token it is, with this request counted in `quota`; None: nobody's. Raises StorageUnavailable."""
        return count(self._container.access.limiter, await self._caller(token), quota)

    async def _caller(self, token: str) -> Caller | None:
        now_s, changes = time.monotonic(), self._changes
        known, until_s = self._known.get(token, (None, 0.0))
        if known is not None and now_s < until_s:
            return known
        caller = await self._lookups.do(token)
        if caller is not None and self._hears and changes == self._changes:  # else it may have been revoked meanwhile
            if len(self._known) >= KNOWN_MOST:
                self._known.clear()
            self._known[token] = (caller, now_s + KNOWN_S)
        return caller

    def forget(self, *, hears: bool) -> None:
        """What is known may be wrong. `hears`: whether the next change will be heard of."""
        self._hears = hears
        self._changes += 1
        self._known.clear()

    def _listen(self, stop: threading.Event) -> None:
        with closing(NotificationListener(self._container.storage.engine, channel=CALLERS_CHANNEL)) as listener:
            while not stop.is_set():
                if listener.wait(_LISTEN_S, stop) or listener.hears != self._hears:
                    self._tell(hears=listener.hears)

    def _tell(self, *, hears: bool) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: self.forget(hears=hears))
