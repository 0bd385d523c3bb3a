"""Two databases on one server: the dispatcher's, and that of a service with an outbox."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from dispatcher.container import Container
from dispatcher.pipeline.intake import Intake
from dispatcher.settings import Outbox
from dispatcher.storage.engine import Storage
from dispatcher.storage.outboxes import registry
from dispatcher.storage.outboxes.database import OutboxDatabase
from dispatcher.storage.outboxes.tables import INSTALL
from tests.support.builders import an_account
from tests.support.outboxes import an_outbox
from tests.support.servers import execute

TakeIn = Callable[..., int | None]
TAKER = 7
END_SESSIONS = """
select pg_terminate_backend(pid, 10000) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid()
"""
STORED = """
select (body #>> '{inbox_files,count}')::int
from dispatcher.events join dispatcher.events_waiting on event_id = id order by id
"""


@pytest.fixture(scope="module")
def outbox_of_module(migrated_server: str) -> Iterator[Outbox]:
    yield from an_outbox(migrated_server)


@pytest.fixture
def outbox(outbox_of_module: Outbox) -> Iterator[Outbox]:
    """Is called `orders`; nothing is in it, and nobody is connected."""
    yield outbox_of_module
    execute(outbox_of_module.url, END_SESSIONS, "drop schema if exists dispatcher_outbox cascade", INSTALL)


@pytest.fixture
def database(outbox: Outbox) -> Iterator[OutboxDatabase]:
    with closing(OutboxDatabase(outbox)) as database:
        yield database


@pytest.fixture
def account(storage: Storage) -> Any:
    return an_account(storage)


@pytest.fixture
def take_in(outbox: Outbox, database: OutboxDatabase, container: Container, account: Any) -> TakeIn:
    """Takes a batch in, as the process `taker`, which has claimed the outbox unless another has."""

    intakes: dict[int, Intake] = {}

    def batch(taker: int = TAKER) -> int | None:
        for _ in range(2):  # the first time makes it known
            container.storage.autocommit(registry.claim, [outbox.name], taker, 60.0)
        if taker not in intakes:
            intakes[taker] = Intake(outbox, container.storage, container.counters, taker)
        return intakes[taker].take_in(database)

    return batch


@pytest.fixture
def stored(storage: Storage) -> Callable[[], list[int]]:
    """The counts that events in the dispatcher's database have, in the order of their ids."""

    def counts() -> list[int]:
        with storage.engine.connect() as connection:
            return [count for (count,) in connection.exec_driver_sql(STORED)]

    return counts
