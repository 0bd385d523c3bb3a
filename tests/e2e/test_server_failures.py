"""Redis loses everything, Redis dies, Postgres dies: whatever was accepted is delivered."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from dispatcher.errors import StorageUnavailable
from dispatcher.local.valkey import Valkey
from tests.support.cluster import Cluster, posts_by_key
from tests.support.receiver import Answer, Receiver
from tests.support.servers import resume, suspend
from tests.support.waiting import eventually, wait_until


def test_a_redis_emptied_three_times_loses_nothing(cluster: Cluster, receiver: Receiver) -> None:
    cluster.webhook(receiver.script("/hook", Answer(delay_s=0.01)))
    cluster.start_worker()
    cluster.start_worker()

    with cluster.emitting(800) as emitting, redis.Redis.from_url(cluster.valkey.url) as client:
        for arrived in (100, 300, 500):
            receiver.wait_for(arrived, 30)
            client.flushall()
    cluster.wait_until_delivered(800, 60)

    assert emitting.refused == []
    assert len(posts_by_key(receiver)) == len(receiver.requests) == 800  # no process died: none is sent twice
    assert cluster.attempts() == [("200", None)] * 800


@pytest.mark.parametrize(("begin", "end"), [(Valkey.kill, Valkey.restart), (suspend, resume)])
def test_an_outage_of_redis_loses_nothing_and_no_emit_fails(
    begin: Callable[[Valkey], None], end: Callable[[Valkey], None], cluster: Cluster, receiver: Receiver
) -> None:
    cluster.webhook(receiver.script("/hook", Answer(delay_s=0.01)))
    workers = [cluster.start_worker(), cluster.start_worker()]

    with cluster.emitting(400) as emitting:
        receiver.wait_for(100, 20)
        begin(cluster.valkey)
        emitting.thread.join(20)
        finished = not emitting.thread.is_alive()
        eventually(lambda: all("tick.failed" in worker.output for worker in workers), 20, "workers without a clock")
        end(cluster.valkey)
    cluster.wait_until_delivered(400, 60)

    assert finished
    assert emitting.refused == []
    assert emitting.longest_s < 1  # it waits for Redis for a tenth of a second; the rest is for a busy machine
    assert len(posts_by_key(receiver)) == len(receiver.requests) == 400
    assert not any(worker.ended for worker in workers)


def test_a_postgres_that_dies_loses_nothing_it_has_accepted(cluster: Cluster, receiver: Receiver) -> None:
    cluster.webhook(receiver.script("/hook", Answer(delay_s=0.01)))
    longer: Any = {"DISPATCHER_LEASE_S": "10"}  # a result that waits for Postgres must be stored within it
    workers = [cluster.start_worker(**longer), cluster.start_worker(**longer)]

    with cluster.emitting(800, chunk=10) as emitting:
        receiver.wait_for(200, 20)
        cluster.postgres.restart(immediate=True)
    wait_until(cluster.states, lambda states: set(states) == {"delivered"}, 60)

    assert emitting.refused
    assert all(isinstance(error, StorageUnavailable) for error in emitting.refused)
    delivered = {row[0] for row in cluster.rows("select event_id from dispatcher.deliveries where state = 'delivered'")}
    assert set(emitting.accepted) - delivered == set()
    assert set(posts_by_key(receiver)) == {
        str(row[0]) for row in cluster.rows("select idempotency_key from dispatcher.deliveries")
    }
    assert not any(worker.ended for worker in workers)
    assert len(receiver.requests) <= len(cluster.attempts())
    assert set(posts_by_key(receiver).values()) == {1}  # no process of ours died


def test_a_postgres_that_is_away_for_longer_than_a_lease_loses_nothing(cluster: Cluster, receiver: Receiver) -> None:
    cluster.env |= {"DISPATCHER_TIMEOUT_S": "1", "DISPATCHER_LEASE_S": "2", "DISPATCHER_HOLD_S": "1"}
    cluster.webhook(receiver.script("/hook", Answer(delay_s=0.05)))
    workers = [cluster.start_worker(), cluster.start_worker()]

    with cluster.emitting(400, chunk=10) as emitting:
        receiver.wait_for(100, 20)
        cluster.postgres.kill()
        # Each drain gives up what it holds when its lease is over.
        eventually(lambda: any("drain.results_lost" in worker.output for worker in workers), 20, "a drain giving up")
        cluster.postgres.restart()
    wait_until(cluster.states, lambda states: set(states) == {"delivered"}, 60)

    delivered = {row[0] for row in cluster.rows("select event_id from dispatcher.deliveries where state = 'delivered'")}
    assert set(emitting.accepted) - delivered == set()
    assert not any(worker.ended for worker in workers)
    assert len(receiver.requests) <= len(cluster.attempts())
