"""How long a token is known without a look-up."""

from dispatcher.access.rate_limit import EMITS
from dispatcher.container import Container
from dispatcher.storage.engine import rows
from dispatcher.web.callers import KNOWN_MOST, KNOWN_S, Callers
from tests.support.api import Api
from tests.support.fakes import FakeClock
from tests.support.waiting import in_a_loop

REVOKE = "update dispatcher.tokens set revoked_at = now() where client_id = %(id)s"


async def is_admitted(callers: Callers, token: str) -> bool:
    return await callers.admit(token, EMITS) is not None


def test_a_token_is_known_for_a_moment_and_refused_after_it(container: Container, api: Api) -> None:
    clock = FakeClock()
    token = api.token or ""

    async def scenario() -> None:
        callers = Callers(container, clock)
        assert await is_admitted(callers, token)
        container.storage.transact(rows, REVOKE, id=api.client.id)
        clock.advance(KNOWN_S * 0.9)
        assert await is_admitted(callers, token)
        clock.advance(KNOWN_S * 0.2)
        assert not await is_admitted(callers, token)

    in_a_loop(scenario())


def test_a_token_that_is_nobodys_is_asked_for_each_time(container: Container, api: Api) -> None:
    token = api.token or ""

    async def scenario() -> None:
        callers = Callers(container, FakeClock())
        container.storage.transact(rows, REVOKE, id=api.client.id)
        assert not await is_admitted(callers, token)
        container.storage.transact(rows, REVOKE.replace("now()", "null"), id=api.client.id)
        assert await is_admitted(callers, token)

    in_a_loop(scenario())


def test_what_is_known_is_bounded(container: Container, api: Api) -> None:
    token = api.token or ""

    async def scenario() -> None:
        callers = Callers(container, FakeClock())
        assert await is_admitted(callers, token)
        (known,) = callers._principals._known.values()
        callers._principals._known |= {str(number): known for number in range(KNOWN_MOST)}
        assert await is_admitted(callers, api.another().token or "")
        assert len(callers._principals._known) == 1

    in_a_loop(scenario())
