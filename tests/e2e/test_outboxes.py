"""Services with databases of their own: what they commit is delivered, each event once, whatever dies or is away."""

import random
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import psycopg2
import pytest

from dispatcher.settings import Outbox
from tests.support.cluster import Cluster, posts_by_key
from tests.support.drivers.base import NAME
from tests.support.outboxes import an_outbox, put, rows_in
from tests.support.receiver import Receiver
from tests.support.servers import execute
from tests.support.waiting import eventually

EACH = 250
IN_AN_INTAKE = ("before_intake_commit", "after_intake_commit", "after_outbox_delete")
COUNTS = "select (body #>> '{inbox_files,count}')::int from dispatcher.events order by 1"


@pytest.fixture
def outboxes(cluster: Cluster) -> Iterator[tuple[Outbox, Outbox]]:
    """Two services, `orders` and `stock`, whose outboxes the cluster's workers drain."""
    orders, stock = an_outbox(cluster.postgres.url, "orders"), an_outbox(cluster.postgres.url, "stock")
    both = next(orders), next(stock)
    cluster.env["DISPATCHER_OUTBOXES"] = " ".join(f"{one.name}={one.url}" for one in both)
    yield both
    for programs in cluster.workers:
        programs.kill()
    for rest in (orders, stock):
        next(rest, None)


@pytest.mark.parametrize("point", IN_AN_INTAKE)
def test_an_event_is_stored_once_though_the_worker_that_takes_it_in_dies(
    point: str, cluster: Cluster, receiver: Receiver, outboxes: tuple[Outbox, Outbox]
) -> None:
    cluster.webhook(receiver.url("/hook"), NAME)
    put(outboxes[0], 1)
    flawed = cluster.start_worker(ready=False, DISPATCHER_FAILPOINT=point)

    assert flawed.wait(30) == -signal.SIGKILL
    cluster.start_worker(ready=False)
    cluster.wait_until_delivered(1)
    put(outboxes[0], 2)
    cluster.wait_until_delivered(2)

    assert cluster.rows(COUNTS) == [(1,), (2,)]
    assert len(posts_by_key(receiver)) == 2
    eventually(lambda: rows_in(outboxes[0], "select id from dispatcher_outbox.events") == [], 20)


def test_what_two_services_commit_is_delivered_though_workers_are_killed_all_the_time(
    cluster: Cluster, receiver: Receiver, outboxes: tuple[Outbox, Outbox]
) -> None:
    cluster.webhook(receiver.url("/hook"), NAME)
    workers = [cluster.start_worker(), cluster.start_worker()]
    services = [Service(outbox, first) for outbox, first in zip(outboxes, (0, EACH), strict=True)]
    rng = random.Random(1)

    for service in services:
        service.thread.start()
    for arrived in (50, 150, 250, 350):
        receiver.wait_for(arrived, 60)
        victim = rng.randrange(2)
        workers[victim].kill()
        workers[victim] = cluster.start_worker(ready=arrived == 250)
    for service in services:
        service.thread.join()
    committed = [count for service in services for count in service.committed]
    cluster.wait_until_delivered(len(committed), 90)

    assert len(committed) == 2 * EACH
    assert cluster.rows(COUNTS) == [(count,) for count in sorted(committed)]
    assert len(posts_by_key(receiver)) == len(committed)
    for outbox in outboxes:
        eventually(lambda outbox=outbox: rows_in(outbox, "select id from dispatcher_outbox.events") == [], 20)


class Service:
    """Emits in transactions of 1 to 5 events, of which some are rolled back, until EACH events are committed."""

    def __init__(self, outbox: Outbox, first: int) -> None:
        self.committed: list[int] = []
        self._outbox = outbox
        self._counts = iter(range(first, first + EACH))
        self._rng = random.Random(first)
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        pause, pending = threading.Event(), list(self._counts)
        with closing(psycopg2.connect(self._outbox.url)) as connection, connection.cursor() as cursor:
            while pending:
                counts = pending[: self._rng.randint(1, 5)]
                for count in counts:
                    cursor.execute(
                        "insert into dispatcher_outbox.events (account, name, body)"
                        f" values ('applecorp', '{NAME}', '{{\"inbox_files\": {{\"count\": {count}}}}}')"
                    )
                if self._rng.random() < 0.2:
                    connection.rollback()
                    continue
                connection.commit()
                self.committed += counts
                del pending[: len(counts)]
                pause.wait(0.02)


def test_a_database_that_is_away_keeps_nobody_else_and_is_drained_when_it_is_back(
    cluster: Cluster, receiver: Receiver, outboxes: tuple[Outbox, Outbox]
) -> None:
    orders, stock = outboxes
    cluster.webhook(receiver.url("/hook"), NAME)
    worker = cluster.start_worker()
    put(orders, 1)
    put(stock, 2)
    cluster.wait_until_delivered(2)
    put(stock, 3)
    cluster.wait_until_delivered(3)
    name = urlsplit(stock.url).path.strip("/")
    execute(
        cluster.postgres.url,
        f"alter database {name} allow_connections false",
        f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'",
    )
    eventually(lambda: "outbox.down outbox=stock" in worker.output, 20)

    put(orders, 4)
    cluster.wait_until_delivered(4)
    execute(cluster.postgres.url, f"alter database {name} allow_connections true")
    put(stock, 5)
    cluster.wait_until_delivered(5)

    assert cluster.rows(COUNTS) == [(1,), (2,), (3,), (4,), (5,)]
    assert worker.output.count("outbox.down outbox=stock") == 1
