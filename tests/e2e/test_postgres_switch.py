"""The Postgres primary dies and its standby is promoted; DATABASE_URL names both. Nothing that was accepted is lost."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from dispatcher.errors import StorageUnavailable
from dispatcher.local.postgres import Postgres
from dispatcher.local.valkey import Valkey
from tests.e2e.conftest import used
from tests.support.builders import SECRET_KEY
from tests.support.cluster import Cluster, posts_by_key
from tests.support.places import a_folder
from tests.support.postgres_pair import Pair
from tests.support.processes import Program, run
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually, wait_until


@pytest.fixture
def pair() -> Iterator[Pair]:
    with a_folder() as folder:
        made = Pair(folder)
        yield made
        made.stop()


@pytest.fixture
def cluster(pair: Pair, mortal_servers: tuple[Postgres, Valkey], programs: list[Program]) -> Iterator[Cluster]:
    with a_folder() as folder:
        _, valkey = mortal_servers
        env = {"DATABASE_URL": pair.url, "REDIS_URL": valkey.url, "SECRET_KEYS": SECRET_KEY}
        migrate = run(programs, folder, "migrate", **env)
        assert migrate.wait(30) == 0, migrate.output
        yield from used(Cluster(pair.primary, valkey, pair.url, folder))


def test_workers_go_on_with_the_standby_that_was_promoted(pair: Pair, cluster: Cluster, receiver: Receiver) -> None:
    cluster.webhook(receiver.script("/hook", Answer(delay_s=0.01)))
    longer: Any = {"DISPATCHER_LEASE_S": "15"}  # a result that waits for Postgres must be stored within it
    workers = [cluster.start_worker(ready=False, **longer), cluster.start_worker(**longer)]

    with cluster.emitting(5_000, chunk=10, pause_s=0.05) as emitting:
        receiver.wait_for(100, 20)
        pair.primary.kill()
        killed_s = time.monotonic()
        eventually(lambda: emitting.refused, 10, "an emit without a primary")
        pair.standby.promote()
        receiver.wait_for(len(receiver.requests) + 100, 25)
        emitting.enough.set()
    wait_until(cluster.states, lambda states: set(states) == {"delivered"}, 30 - (time.monotonic() - killed_s))

    assert all(isinstance(error, StorageUnavailable) for error in emitting.refused)
    assert not any("postgres:" in str(error) for error in emitting.refused)  # nobody's password
    delivered = {row[0] for row in cluster.rows("select event_id from dispatcher.deliveries where state = 'delivered'")}
    assert len(emitting.accepted) > 100
    assert set(emitting.accepted) - delivered == set()
    assert set(posts_by_key(receiver).values()) == {1}  # no process of ours died
    assert not any(worker.ended for worker in workers)
    came = len(receiver.requests)
    cluster.emit(10)  # in a transaction of its own, and announced by the new primary's NOTIFY
    receiver.wait_for(came + 10, 10)
