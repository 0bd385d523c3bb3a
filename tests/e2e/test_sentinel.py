"""Redis behind three sentinels, as clock and as broker: its primary dies under load, and all is delivered."""

import time
from collections.abc import Iterator

import pytest

from dispatcher.broker.names import QUEUES
from tests.support.cluster import Cluster, posts_by_key
from tests.support.flower import Flower
from tests.support.places import a_folder
from tests.support.ports import free_port
from tests.support.receiver import Answer, Receiver
from tests.support.sentinel import PASSWORD, Sentinels
from tests.support.waiting import eventually, wait_until


@pytest.fixture
def sentinels() -> Iterator[Sentinels]:
    with a_folder() as folder:
        made = Sentinels(folder / "sentinels", free_port(20))
        try:
            made.start()
            yield made
        finally:
            made.stop()


@pytest.fixture
def cluster_options(sentinels: Sentinels) -> dict[str, str]:
    return {"redis_url": sentinels.url}


def test_a_failover_under_load_loses_nothing_and_flower_finds_the_new_primary(
    sentinels: Sentinels, cluster: Cluster, receiver: Receiver
) -> None:
    cluster.webhook(receiver.script("/hook", Answer(delay_s=0.01)))
    workers = [cluster.start_worker(ready=False), cluster.start_worker()]

    with cluster.emitting(5_000, chunk=10, pause_s=0.1) as emitting:
        receiver.wait_for(100, 20)
        dead = sentinels.kill_primary()
        killed_s = time.monotonic()
        wait_until(sentinels.primary, lambda port: port != dead, 15)
        emitting.enough.set()
    total = len(emitting.accepted)
    cluster.wait_until_delivered(total, 30 - (time.monotonic() - killed_s))

    assert emitting.refused == []
    assert emitting.longest_s < 1
    assert len(posts_by_key(receiver)) == len(receiver.requests) == total
    assert not any(worker.ended for worker in workers)
    cluster.emit(10)
    cluster.wait_until_delivered(total + 10, 10)
    with sentinels.client(sentinels.primary()) as client:  # it is these servers that were used, for both
        assert client.zcard("dispatcher:workers") == 2
        assert client.keys("_kombu.binding.*")
    flower = Flower(free_port(40))
    cluster.start("dispatcher", "flower", **flower.env)
    eventually(lambda: flower.sees("e2e1"), 60, "Flower seeing a worker")
    shown = flower.page("/broker")
    assert all(name in shown for name in QUEUES)
    assert PASSWORD not in shown
