"""On every driver: whatever becomes of transactions and processes, what is delivered is what was committed."""

import itertools
import json
import random
from collections.abc import Iterator
from typing import Any, Self

import psycopg2
import pytest

from dispatcher.local.postgres import Postgres
from dispatcher.local.valkey import Valkey
from tests.e2e.conftest import a_cluster, used
from tests.faults.conftest import bounded
from tests.support import drivers
from tests.support.cluster import Cluster
from tests.support.drivers.base import NAME
from tests.support.places import a_folder
from tests.support.producer import BULK, ORDERS, Producer
from tests.support.receiver import Receiver
from tests.support.servers import execute
from tests.support.waiting import eventually

STEPS = bounded(1_000, 10_000)
KILLS = bounded(6, 60)
_firsts = itertools.count(0, 2 * BULK)

SESSIONS = """
select 1 from pg_stat_activity
where datname = current_database() and application_name <> 'dispatcher' and pid <> pg_backend_pid()
"""
END_SESSIONS = SESSIONS.replace("select 1", "select pg_terminate_backend(pid, 5000)")


class Running:
    """A cluster whose worker delivers to the receiver; `service` has the variables of a service that emits."""

    def __init__(self, cluster: Cluster, receiver: Receiver, service: dict[str, str]) -> None:
        self.cluster = cluster
        self.receiver = receiver
        self.service = service
        self._connection = psycopg2.connect(service["DATABASE_URL"])
        self._connection.autocommit = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Of a statement in the service's database."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def delivered(self, first: int, before: int) -> list[int]:
        """The orders of a producer that have arrived; twice only where an event is there twice.

        `before`: as many requests were there when it began.
        """
        requests = self.receiver.requests[before:]
        bodies = {request.header("Idempotency-Key"): json.loads(request.body) for request in requests}
        counts = (body["body"]["inbox_files"]["count"] for body in bodies.values())
        return sorted(count for count in counts if first <= count < first + 2 * BULK)

    def committed(self, first: int) -> list[int]:
        """The orders of a producer that are in the service's own table."""
        sql = f"select id from orders where id >= {first} and id < {first + 2 * BULK} order by id"
        return [id_ for (id_,) in self.rows(sql)]


@pytest.fixture(scope="module")
def running(mortal_servers: tuple[Postgres, Valkey]) -> Iterator[Running]:
    with a_folder() as folder, Receiver() as receiver:
        for cluster in used(a_cluster(mortal_servers, folder)):
            execute(cluster.env["DATABASE_URL"], ORDERS)
            cluster.webhook(receiver.url("/hook"), NAME)
            cluster.start_worker()
            with Running(cluster, receiver, cluster.env) as made:
                yield made


@pytest.mark.parametrize("name", drivers.NAMES)
def test_what_is_delivered_is_what_was_committed(name: str, running: Running) -> None:
    is_delivered_as_committed(name, running)


def is_delivered_as_committed(name: str, running: Running) -> None:
    rng, first, before = random.Random(name), next(_firsts), len(running.receiver.requests)
    with Producer(name, running.service, first=first) as producer:
        for number, moment in enumerate(sorted(rng.sample(range(STEPS), KILLS))):
            producer.start(rng.getrandbits(30), STEPS, autocommit=number % 7 == 3)
            eventually(lambda at=moment: producer.progress.steps >= at, 60, "the producer's work")
            assert producer.exit_code is None
            if rng.random() < 0.3:
                running.rows(END_SESSIONS)  # its connection is lost, and it ends by that
                producer.wait(5)
            producer.kill()
        producer.start(rng.getrandbits(30), STEPS).wait(60)
        assert producer.exit_code == 0
    eventually(lambda: not running.rows(SESSIONS), what="the end of its sessions")
    running.cluster.wait_until_delivered(running.rows("select count(*) from orders")[0][0], 60)

    committed = running.committed(first)
    assert running.delivered(first, before) == committed
    assert len(committed) > STEPS / 10
