"""The API as a process: `dispatcher serve` on a free port, with a Postgres database and a Valkey that only it uses.

server          one for the whole session; tests share it and make accounts of their own
serve           starts more of them for one test, with settings of its own
container       the container of the session's database and Valkey in this process, for what a test prepares
account         a new account of this test
api             a client of that account with a token, which calls `server`
known           a client with things of its own, for all tests of a module that change nothing
"""

import itertools
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dispatcher.container import Container
from dispatcher.local.valkey import Valkey
from dispatcher.model.account import Account
from dispatcher.settings import Settings
from tests.support.api import Api, Server, running
from tests.support.builders import SECRET_KEY, an_account
from tests.support.places import a_folder
from tests.support.routes import things_of
from tests.support.servers import a_database, a_valkey

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def api_valkey() -> Iterator[Valkey]:
    """Not the one of the other tests, who empty it."""
    yield from a_valkey()


@pytest.fixture(scope="session")
def api_database_url(migrated_server: str) -> Iterator[str]:
    yield from a_database(migrated_server)


@pytest.fixture(scope="session")
def _container(api_database_url: str, api_valkey: Valkey) -> Iterator[Container]:
    url = api_valkey.url
    made = Container(
        Settings(
            database_url=api_database_url,
            redis_url=url,
            broker_url=url,
            secret_keys=(SECRET_KEY,),
            allowed_networks=(ip_network("127.0.0.0/8"),),
            pool_size=10,
        )
    )
    yield made
    made.close()


@pytest.fixture
def container(_container: Container) -> Container:
    return _container


@pytest.fixture(scope="session")
def server(_container: Container, forking: None) -> Iterator[Server]:
    with a_folder() as folder, running(_container, folder, DISPATCHER_WEB_WORKERS="1") as made:
        yield made


@pytest.fixture
def serve(container: Container, tmp_path: Path, forking: None) -> Iterator[Callable[..., Server]]:
    """`serve(DISPATCHER_QUOTA="3")` starts another one, which ends with the test; one process, so it is up soon."""
    started: list[Any] = []

    def start(**env: str) -> Server:
        block = running(container, tmp_path, **({"DISPATCHER_WEB_WORKERS": "1"} | env))
        started.append(block)
        return block.__enter__()

    yield start
    for block in started:
        block.__exit__(None, None, None)


@pytest.fixture
def account(container: Container) -> Account:
    return an_account(container.storage, f"acme{next(_numbers)}")


@pytest.fixture
def api(server: Server, container: Container, account: Account) -> "Api":
    return Api.of(server, container, account)


class Known(NamedTuple):
    """A client and things of its own, by the names in the paths of `routes.py`."""

    api: Api
    things: dict[str, Any]


@pytest.fixture(scope="module")
def known(server: Server, _container: Container) -> Known:
    """One for all tests of a module whose requests change nothing."""
    api = Api.of(server, _container, an_account(_container.storage, f"acme{next(_numbers)}"))
    return Known(api, things_of(api))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failure shows what the servers said last."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        used = getattr(item, "funcargs", {})
        for server in [used.get("server"), getattr(used.get("api"), "server", None)]:
            if server is not None:
                report.sections.append((server.log.name, "\n".join(server.output.splitlines()[-40:])))
