"""The same into an outbox: a service with a database of its own, on one driver of each library."""

from collections.abc import Iterator

import pytest

from dispatcher.local.postgres import Postgres
from dispatcher.local.valkey import Valkey
from tests.e2e.conftest import a_cluster, used
from tests.faults.test_every_driver import Running, is_delivered_as_committed
from tests.support.drivers.base import NAME
from tests.support.outboxes import an_outbox
from tests.support.places import a_folder
from tests.support.producer import ORDERS
from tests.support.receiver import Receiver
from tests.support.servers import execute

DRIVERS = (
    "of_psycopg2.Psycopg2",
    "of_psycopg.AsyncPsycopg",
    "of_asyncpg.Asyncpg",
    "of_sqlalchemy.SessionOverPsycopg",
    "of_async_sqlalchemy.SessionOverAsyncpg",
    "of_django.Django",
)


@pytest.fixture(scope="module")
def apart(mortal_servers: tuple[Postgres, Valkey]) -> Iterator[Running]:
    with a_folder() as folder, Receiver() as receiver:
        for cluster in used(a_cluster(mortal_servers, folder)):
            for outbox in an_outbox(cluster.postgres.url):
                execute(outbox.url, ORDERS)
                cluster.webhook(receiver.url("/hook"), NAME)
                cluster.start_worker(DISPATCHER_OUTBOXES=f"orders={outbox.url}")
                service = cluster.env | {"DATABASE_URL": outbox.url, "DISPATCHER_OUTBOX": "1"}
                with Running(cluster, receiver, service) as made:
                    yield made


@pytest.mark.parametrize("name", DRIVERS)
def test_what_is_delivered_is_what_was_committed_in_the_services_own_database(name: str, apart: Running) -> None:
    is_delivered_as_committed(name, apart)
