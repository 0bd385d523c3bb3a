"""A new release goes out under load: workers are replaced one after the other, and migrations run while they work."""

import signal
import threading
from typing import Any

from alembic import command

from dispatcher.storage import migrate
from tests.support.cluster import Cluster, posts_by_key
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually

SENT = ("200", None)
PATIENT: Any = {"DISPATCHER_TIMEOUT_S": "10", "DISPATCHER_LEASE_S": "20"}
"""A repetition shall come from the change of workers, not from a receiver that had no turn on a busy machine."""


def test_workers_replaced_in_turn_lose_nothing_and_repeat_nothing(cluster: Cluster, receiver: Receiver) -> None:
    cluster.env |= PATIENT
    for number in range(4):
        cluster.webhook(receiver.script(f"/{number}", Answer(delay_s=0.05)))
    old = [cluster.start_worker(ready=False) for _ in range(2)] + [cluster.start_worker()]

    with cluster.emitting(20_000, chunk=10, pause_s=0.1) as emitting:
        for worker in old:
            receiver.wait_for(len(receiver.requests) + 200, 20)
            worker.send(signal.SIGTERM)
            cluster.start_worker()
            assert worker.wait(15) == 0
        receiver.wait_for(len(receiver.requests) + 200, 20)
        emitting.enough.set()
    total = 4 * len(emitting.accepted)
    cluster.wait_until_delivered(total)

    assert emitting.refused == []
    assert len(receiver.requests) == len(posts_by_key(receiver)) == total
    assert cluster.attempts() == [SENT] * total


def test_migrations_run_while_workers_work(cluster: Cluster, receiver: Receiver) -> None:
    cluster.env |= PATIENT
    cluster.webhook(receiver.script("/hook", Answer(delay_s=0.02)))
    workers = [cluster.start_worker(ready=False), cluster.start_worker()]

    with cluster.emitting(20_000, chunk=10, pause_s=0.05) as emitting:
        for _ in range(3):
            receiver.wait_for(len(receiver.requests) + 100, 20)
            migrate_newest_again(cluster)
        by_command = cluster.start("dispatcher", "migrate")
        assert by_command.wait(60) == 0, by_command.output
        receiver.wait_for(len(receiver.requests) + 100, 20)
        emitting.enough.set()
    total = len(emitting.accepted)
    cluster.wait_until_delivered(total)

    assert emitting.refused == []
    assert emitting.longest_s < 5
    assert len(receiver.requests) == len(posts_by_key(receiver)) == total
    assert cluster.attempts() == [SENT] * total
    assert not any(worker.ended for worker in workers)


def test_a_worker_of_the_former_release_starts_on_a_database_that_is_ahead(
    cluster: Cluster, receiver: Receiver
) -> None:
    cluster.webhook(receiver.url("/hook"))
    cluster.rows("update dispatcher.dispatcher_version set version_num = '9999'")

    cluster.start_worker()
    cluster.emit()

    cluster.wait_until_delivered(1)


def migrate_newest_again(cluster: Cluster) -> None:
    """The newest migration is undone and done in one transaction: workers see its locks, as at the first time."""
    done = threading.Event()

    def again() -> None:
        with cluster.container.storage.transaction() as connection:
            config = migrate.config(connection, cluster.container.storage.schema)
            command.downgrade(config, "-1")
            command.upgrade(config, "head")
        done.set()

    thread = threading.Thread(target=again)
    thread.start()
    thread.join(20)
    eventually(done.is_set, 1, "the migration")
