"""Who makes a request, found out before its body is read. Requests that come together share the query.

For a twentieth of a second after it was looked up a token is known without asking: so long, a revoked one may pass.
"""

from collections.abc import Callable

from dispatcher import clock
from dispatcher.access.authenticate import Admission, count
from dispatcher.container import Container
from dispatcher.errors import StorageUnavailable
from dispatcher.storage.admin import tokens
from dispatcher.storage.admin.tokens import Caller
from dispatcher.web.batcher import Batcher

CALLERS_MOST = 100
"""In one query."""
KNOWN_S = 0.05
"""A token is known so long."""
KNOWN_MOST = 10_000
"""Tokens that are."""


class Callers:
    """For one event loop."""

    def __init__(self, container: Container, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self._container = container
        self._monotonic = monotonic
        self._lookups: Batcher[str, Caller | None] = Batcher(
            "callers",
            lambda asked: container.storage.read(tokens.callers, asked),
            most=CALLERS_MOST,
            for_all=StorageUnavailable,
        )
        self._known: dict[str, tuple[Caller, float]] = {}
        """Token → whose it is, and until when that is known."""

    async def admit(self, token: str, quota: str) -> Admission | None:
        """Whose token it is, with this request counted in `quota`; None: nobody's. Raises StorageUnavailable."""
        return count(self._container.access.limiter, await self._caller(token), quota)

    async def _caller(self, token: str) -> Caller | None:
        asked_s = self._monotonic()
        known, until_s = self._known.get(token, (None, 0.0))
        if known is not None and asked_s < until_s:
            return known
        caller = await self._lookups.do(token)
        if caller is not None:
            if len(self._known) >= KNOWN_MOST:
                self._known.clear()
            self._known[token] = (caller, asked_s + KNOWN_S)  # from before the answer: it may be of that moment
        else:
            self._known.pop(token, None)
        return caller
