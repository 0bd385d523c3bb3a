"""The ticks of a worker: what one round takes long over keeps no other waiting."""

import threading

import pytest

from dispatcher.background import BackgroundThread
from dispatcher.container import Container
from dispatcher.pipeline.ticks import Ticks, WorkerState
from dispatcher.storage.engine import Storage, rows, scalar
from tests.support.waiting import eventually

WAITING = "select count(*) from pg_locks where relation = 'dispatcher.idempotent_requests'::regclass and not granted"


@pytest.mark.usefixtures("queue")
def test_what_is_due_does_not_wait_until_histories_are_pruned(container: Container, storage: Storage) -> None:
    """An account's history is erased for up to 30 s, and there are thousands of accounts."""
    watched = threading.Event()

    def taken() -> int:
        """Asked for by the round after the prune's."""
        watched.set()
        return 0

    worker = WorkerState(name="worker1@here", queues=[], taken=taken, running=lambda: 0)
    parts = storage, container.schedule, container.queue, container.dispatch, container.heartbeat
    thread = BackgroundThread("ticker", Ticks(worker, *parts, container.fan_out_runner, container.settings).run)
    with storage.engine.connect() as connection, connection.begin():
        rows(connection, "lock table dispatcher.idempotent_requests in access exclusive mode")
        thread.start()
        eventually(lambda: storage.read(scalar, WAITING), what="a prune that waits")

        assert watched.wait(10)
        assert storage.read(scalar, WAITING) == 1
        thread.stop(10)
    eventually(lambda: "prune" not in {one.name for one in threading.enumerate()}, what="the end of the prune")
