"""Figures that only grow: summed over processes, kept while Redis is down."""

import socket
import threading

import pytest

from dispatcher.errors import ScheduleUnavailable
from dispatcher.schedule.counters import TALLY, Tally
from dispatcher.schedule.schedule import Schedule
from tests.support.waiting import eventually


@pytest.fixture
def make(redis_url):
    made = []

    def tally(url=redis_url, every_s=0.01):
        made.append(Tally(url, every_s=every_s))
        return made[-1]

    yield tally
    for one in made:
        one.close()


def test_what_two_processes_add_is_one_sum(make):
    first, second = make(), make()
    first.add({"attempts:2xx": 2, "losses": 1})
    second.add({"attempts:2xx": 3})

    eventually(lambda: make().read() == {"attempts:2xx": 5, "losses": 1}, what="the sum")


def test_threads_lose_nothing(make, redis_client):
    tally = make()
    threads = [threading.Thread(target=lambda: [tally.add({"x": 1}) for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    eventually(lambda: tally.read() == {"x": 2_000}, what="the sum")


def test_a_thousand_additions_are_few_commands(make, redis_client):
    tally = make(every_s=0.2)
    before = redis_client.info("commandstats").get("cmdstat_hincrby", {}).get("calls", 0)
    for _ in range(1_000):
        tally.add({"attempts:2xx": 1, "attempts:5xx": 1})

    eventually(lambda: tally.read().get("attempts:5xx") == 1_000, what="the sum")
    assert redis_client.info("commandstats")["cmdstat_hincrby"]["calls"] - before <= 6


def test_an_idle_process_sends_nothing(make, redis_client):
    make()

    assert redis_client.exists(TALLY) == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "tally" and not thread.daemon]


def test_what_redis_does_not_take_waits(make, redis_url):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    tally = make(f"redis://127.0.0.1:{port}/0", every_s=60)
    tally.add({"losses": 2})

    with pytest.raises(ScheduleUnavailable):
        tally.send()
    tally._redis = Schedule(redis_url)._redis
    tally.send()
    assert tally.read() == {"losses": 2}


def test_closing_sends_what_is_left(make):
    tally = make(every_s=60)
    tally.add({"losses": 1})
    tally.close()

    assert make().read() == {"losses": 1}
