"""Figures that only grow: summed over processes, kept while Redis is down."""

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dispatcher.errors import ScheduleUnavailable
from dispatcher.schedule.counters import KEY, Counters
from dispatcher.schedule.schedule import Schedule
from tests.support.waiting import eventually


@pytest.fixture
def make(redis_url: str) -> Iterator[Callable[..., Counters]]:
    made = []

    def counters(url: str = redis_url, every_s: float = 0.01) -> Counters:
        made.append(Counters(url, every_s=every_s))
        return made[-1]

    yield counters
    for one in made:
        one.close()


def test_what_two_processes_add_is_one_sum(make: Callable[..., Counters]) -> None:
    first, second = make(), make()
    first.add({"attempts:2xx": 2, "losses": 1})
    second.add({"attempts:2xx": 3})

    eventually(lambda: make().read() == {"attempts:2xx": 5, "losses": 1}, what="the sum")


def test_threads_lose_nothing(make: Callable[..., Counters], redis_client: Any) -> None:
    counters = make()
    threads = [threading.Thread(target=lambda: [counters.add({"x": 1}) for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    eventually(lambda: counters.read() == {"x": 2_000}, what="the sum")


def test_a_thousand_additions_are_few_commands(make: Callable[..., Counters], redis_client: Any) -> None:
    counters = make(every_s=0.2)
    before = redis_client.info("commandstats").get("cmdstat_hincrby", {}).get("calls", 0)
    for _ in range(1_000):
        counters.add({"attempts:2xx": 1, "attempts:5xx": 1})

    eventually(lambda: counters.read().get("attempts:5xx") == 1_000, what="the sum")
    assert redis_client.info("commandstats")["cmdstat_hincrby"]["calls"] - before <= 6


def test_an_idle_process_sends_nothing(make: Callable[..., Counters], redis_client: Any) -> None:
    make()

    assert redis_client.exists(KEY) == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "counters" and not thread.daemon]


def test_what_redis_does_not_take_waits(make: Callable[..., Counters], redis_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    counters = make(f"redis://127.0.0.1:{port}/0", every_s=60)
    counters.add({"losses": 2})

    with pytest.raises(ScheduleUnavailable):
        counters.send()
    counters._redis = Schedule(redis_url)._redis
    counters.send()
    assert counters.read() == {"losses": 2}


def test_closing_sends_what_is_left(make: Callable[..., Counters]) -> None:
    counters = make(every_s=60)
    counters.add({"losses": 1})
    counters.close()

    assert make().read() == {"losses": 1}
