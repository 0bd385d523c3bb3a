"""How long a token is known without a look-up, and what ends that: tokens are known for an hour here, not a second."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dispatcher.access.clients import revoke_client
from dispatcher.access.rate_limit import EMITS
from dispatcher.container import Container
from dispatcher.storage.admin import accounts, tokens
from dispatcher.storage.admin.accounts import Account
from dispatcher.storage.engine import rows
from dispatcher.web import callers
from dispatcher.web.callers import Callers
from tests.support.api import Api
from tests.support.waiting import in_a_loop

SILENTLY = "update tokens set revoked_at = now() where client_id = %(id)s"
"""What tells nobody."""
LISTENERS = (
    "select pid from pg_stat_activity where query = 'listen dispatcher_callers' and datname = current_database()"
)


@pytest.fixture(autouse=True)
def for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "KNOWN_S", 3_600.0)


class Asking:
    """Asks for one token."""

    def __init__(self, container: Container, api: Api) -> None:
        self.container = container
        self.callers = Callers(container)
        assert api.token is not None
        self.token: str = api.token

    async def account(self) -> Account | None:
        admitted = await self.callers.admit(self.token, EMITS)
        return admitted and admitted.caller.account

    async def is_known(self) -> bool:
        """Whether the second answer needs no look-up: whoever is asked then finds nothing."""
        first = await self.account()
        assert first is not None
        return await self.account() is first

    async def until(self, condition: Callable[[], Awaitable[Any]]) -> None:
        async with asyncio.timeout(20):
            while not await condition():
                await asyncio.sleep(0.01)


@contextmanager
def listening(asking: Asking) -> Iterator[None]:
    asking.callers.start()
    try:
        yield
    finally:
        asking.callers.stop()


def ends(container: Container, api: Api, change: Callable[[Asking], object]) -> None:
    """A known token is found afresh after the change."""

    async def scenario() -> None:
        asking = Asking(container, api)
        with listening(asking):
            await asking.until(asking.is_known)
            before = await asking.account()
            await asyncio.to_thread(change, asking)

            async def is_fresh() -> bool:
                return await asking.account() is not before

            await asking.until(is_fresh)

    in_a_loop(scenario())


def test_a_revoked_token_is_refused_once_the_notification_comes(container: Container, api: Api) -> None:
    ends(container, api, lambda asking: container.storage.transact(tokens.revoke, api.client.id, asking.token))
    in_a_loop(refused(container, api))


def test_so_is_a_revoked_clients(container: Container, api: Api) -> None:
    ends(container, api, lambda _: revoke_client(container.storage, api.client.client_id))
    in_a_loop(refused(container, api))


def test_an_account_that_was_edited_is_read_again(container: Container, api: Api) -> None:
    ends(container, api, lambda _: container.storage.transact(accounts.edit, api.account.id, time_zone="Asia/Tokyo"))


async def refused(container: Container, api: Api) -> None:
    assert await Asking(container, api).account() is None


def test_where_nobody_listens_nothing_is_known(container: Container, api: Api) -> None:
    async def scenario() -> None:
        asking = Asking(container, api)
        assert not await asking.is_known()
        container.storage.transact(rows, SILENTLY, id=api.client.id)
        assert await asking.account() is None

    in_a_loop(scenario())


def test_with_the_connection_lost_what_was_known_is_forgotten(container: Container, api: Api) -> None:
    def lose(_: Asking) -> None:
        container.storage.transact(rows, SILENTLY, id=api.client.id)
        container.storage.read(rows, f"select pg_terminate_backend(pid) from ({LISTENERS}) listeners")

    ends(container, api, lose)
    in_a_loop(refused(container, api))


def test_what_was_looked_up_before_a_change_is_not_kept(container: Container, api: Api) -> None:
    async def scenario() -> None:
        asking = Asking(container, api)
        with listening(asking):
            await asking.until(asking.is_known)
            asking.callers.forget(hears=True)
            lookup = asyncio.create_task(asking.account())
            await asyncio.sleep(0)
            asking.callers.forget(hears=True)
            found = await lookup

            assert found is not None
            assert await asking.account() is not found

    in_a_loop(scenario())
