"""One driver after another, on a database and connections that the tests of a module share: opening costs most."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from dispatcher.container import Container
from dispatcher.storage.engine import Storage, rows
from dispatcher.storage.secrets import SecretBox
from tests.support import drivers
from tests.support.builders import SECRET_KEY, an_account
from tests.support.drivers.base import Driver
from tests.support.servers import a_database

Open = Callable[..., Driver]

# To truncate them would make new files for every day's partition: ten times what most of these tests take.
EMPTY = "; ".join(f"delete from dispatcher.{table}" for table in ("events_waiting", "events", "users", "accounts"))
SERVER = "TESTS_MIGRATED_SERVER"


class Connections:
    """The driver's connection, as long as tests ask for the same."""

    def __init__(self, name: str, url: str) -> None:
        self._name = name
        self._url = url
        self._driver: Driver | None = None

    def open(self, *, autocommit: bool = False) -> Driver:
        if self._driver is None or self._driver.autocommit != autocommit:
            self.close()
            self._driver = drivers.a_driver(self._name, self._url, autocommit=autocommit)
        return self._driver

    def leave(self) -> None:
        """After a test; one that failed may have left a transaction open, which the next would wait for."""
        if self._driver is not None and self._driver.depth:
            self.close()

    def close(self) -> None:
        if self._driver is not None:
            self._driver.close()
            self._driver = None


@pytest.fixture(scope="session")
def migrated_server(request: pytest.FixtureRequest) -> str:
    """Its own, or that of the tests that have started these (`test_django_on_psycopg2`)."""
    return os.environ.get(SERVER) or request.getfixturevalue("migrated_server")


@pytest.fixture(scope="module")
def database_url(migrated_server: str) -> Iterator[str]:
    yield from a_database(migrated_server)


@pytest.fixture(scope="module")
def storage(database_url: str) -> Iterator[Storage]:
    with closing(Storage(database_url, SecretBox((SECRET_KEY,)))) as storage:
        yield storage


@pytest.fixture
def account(storage: Storage) -> Any:
    """The only one, and no event is stored yet."""
    storage.transact(rows, EMPTY)
    return an_account(storage)


@pytest.fixture(scope="module", params=drivers.NAMES)
def connections(request: pytest.FixtureRequest, database_url: str) -> Iterator[Connections]:
    with closing(Connections(request.param, database_url)) as connections:
        yield connections


@pytest.fixture
def opened(connections: Connections, container: Container, account: Any) -> Iterator[Open]:
    """Opens the driver; `autocommit=True` for one whose statements commit themselves."""
    yield connections.open
    connections.leave()


@pytest.fixture
def driver(opened: Open) -> Driver:
    return opened()
