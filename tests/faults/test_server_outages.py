"""Redis is emptied, killed and restarted, Postgres crashes, again and again and under load."""

import random
from typing import Any

import redis

from dispatcher.errors import StorageUnavailable
from tests.faults.conftest import bounded
from tests.support.cluster import Cluster, posts_by_key
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually, wait_until


def arrived_since(receiver: Receiver, before: int) -> bool:
    return len(receiver.requests) > before


def test_a_redis_that_is_emptied_and_killed_in_turn_loses_nothing(cluster: Cluster, receiver: Receiver) -> None:
    cluster.webhook(receiver.script("/hook", Answer(delay_s=0.01)))
    cluster.start_worker()
    cluster.start_worker()

    with cluster.emitting(1_000_000, chunk=10, pause_s=bounded(0.15, 0.01)) as emitting:
        for turn in range(bounded(4, 12)):
            receiver.wait_for(len(receiver.requests) + bounded(50, 800), 60)
            if turn % 2:
                cluster.valkey.kill()
                cluster.valkey.restart()
            else:
                with redis.Redis.from_url(cluster.valkey.url) as client:
                    client.flushall()
            before = len(receiver.requests)
            eventually(lambda b=before: arrived_since(receiver, b), 15, "deliveries again")
        emitting.enough.set()
    events = len(emitting.accepted)
    cluster.wait_until_delivered(events, 60)

    assert emitting.refused == []
    assert len(posts_by_key(receiver)) == len(receiver.requests) == events


def test_workers_take_work_again_after_each_restart_of_redis(cluster: Cluster, receiver: Receiver) -> None:
    cluster.webhook(receiver.url("/hook"))
    workers = [cluster.start_worker(), cluster.start_worker()]

    total = 0
    for _ in range(bounded(4, 20)):
        cluster.valkey.kill()
        cluster.emit(20)
        cluster.valkey.restart()
        total += 20
        cluster.wait_until_delivered(total, 30)
        eventually(lambda: len(cluster.container.schedule.workers.names()) == 2, 30, "both workers")

    assert not any(worker.ended for worker in workers)
    assert len(receiver.requests) == total


def test_a_postgres_that_crashes_again_and_again_loses_nothing_it_has_accepted(
    cluster: Cluster, receiver: Receiver, rng: random.Random
) -> None:
    cluster.webhook(receiver.script("/hook", Answer(delay_s=0.01)))
    longer: Any = {"DISPATCHER_LEASE_S": "10"}
    workers = [cluster.start_worker(**longer), cluster.start_worker(**longer)]
    crashes = bounded(2, 5)

    with cluster.emitting(crashes * 400, chunk=10, pause_s=0.05) as emitting:
        for crash in range(crashes):
            receiver.wait_for((crash + 1) * 100, 30)
            cluster.postgres.restart(immediate=True)
    wait_until(cluster.states, lambda states: set(states) == {"delivered"}, 60)

    assert all(isinstance(error, StorageUnavailable) for error in emitting.refused)
    delivered = {row[0] for row in cluster.rows("select event_id from dispatcher.deliveries where state = 'delivered'")}
    assert set(emitting.accepted) <= delivered
    assert not any(worker.ended for worker in workers)
