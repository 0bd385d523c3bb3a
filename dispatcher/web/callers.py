"""Who makes a request, and in which account, known before its body is read. Requests together share the query.

A token or an account that was looked up is known for 50 ms without asking again. One that is revoked or deleted may
pass until then.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from dispatcher import clock
from dispatcher.access.authenticate import Admission, Principal, principals
from dispatcher.container import Container
from dispatcher.errors import StorageUnavailable
from dispatcher.storage.admin import tenants
from dispatcher.storage.admin.tenants import EmitAccount
from dispatcher.storage.engine import Connection
from dispatcher.web.batcher import Batcher

Value = TypeVar("Value")

CALLERS_MOST = 100
"""In one query."""
KNOWN_S = 0.05
"""How long a token or an account is known."""
KNOWN_MOST = 10_000
"""Tokens, and accounts, that are known at a time."""


class Callers:
    """For one event loop."""

    def __init__(self, container: Container, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self._container = container
        self._principals: _Known[Principal] = _Known("callers", container, principals, monotonic)
        self._accounts: _Known[EmitAccount] = _Known("accounts", container, tenants.emit_accounts, monotonic)

    async def admit(self, token: str, quota: str) -> Admission | None:
        """Whose token it is, with this request counted in `quota`; None: nobody's. Raises StorageUnavailable."""
        return self._container.access.count(await self._principals.get(token), quota)

    async def account(self, external_id: str) -> EmitAccount | None:
        """The account that the company knows by this id. Raises StorageUnavailable."""
        return await self._accounts.get(external_id)


class _Known(Generic[Value]):
    """What `query` returns for each of several texts; what exists is kept for a moment."""

    def __init__(
        self,
        name: str,
        container: Container,
        query: Callable[[Connection, Sequence[str]], list[Value | None]],
        monotonic: Callable[[], float],
    ) -> None:
        self._monotonic = monotonic
        self._lookups: Batcher[str, Value | None] = Batcher(
            name,
            lambda texts: container.storage.read(query, texts),
            most=CALLERS_MOST,
            for_all=StorageUnavailable,
        )
        self._known: dict[str, tuple[Value, float]] = {}
        """Text → what it stands for, and until when that is known."""

    async def get(self, text: str) -> Value | None:
        started_s = self._monotonic()
        known, until_s = self._known.get(text, (None, 0.0))
        if known is not None and started_s < until_s:
            return known
        value = await self._lookups.do(text)
        if value is not None:
            if len(self._known) >= KNOWN_MOST:
                self._known.clear()
            self._known[text] = (value, started_s + KNOWN_S)  # from before the query: its row may be of that moment
        else:
            self._known.pop(text, None)
        return value
