"""One driver after another, on a database that the tests of a module share: most of them need little time."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from dispatcher.container import Container
from dispatcher.storage.engine import Storage
from tests.support import drivers
from tests.support.builders import an_account
from tests.support.drivers.base import Driver
from tests.support.servers import a_database, execute

Open = Callable[..., Driver]

# To truncate them would make new files for every day's partition: ten times what most of these tests take.
EMPTY = "; ".join(f"delete from dispatcher.{table}" for table in ("events_waiting", "events", "users", "accounts"))


@pytest.fixture(scope="module")
def database_url(migrated_server: str) -> Iterator[str]:
    yield from a_database(migrated_server)


@pytest.fixture
def account(storage: Storage, database_url: str) -> Any:
    """The only one, and no event is stored yet."""
    execute(database_url, EMPTY)
    return an_account(storage)


@pytest.fixture(params=drivers.NAMES)
def opened(request: pytest.FixtureRequest, container: Container, account: Any, database_url: str) -> Iterator[Open]:
    """Opens the driver; `autocommit=True` for one whose statements commit themselves."""
    with ExitStack() as stack:
        yield lambda *, autocommit=False: stack.enter_context(
            closing(drivers.a_driver(request.param, database_url, autocommit=autocommit))
        )


@pytest.fixture
def driver(opened: Open) -> Driver:
    return opened()
