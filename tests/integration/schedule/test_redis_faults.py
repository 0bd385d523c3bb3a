"""What only the clock in Redis can suffer: emptied, unreachable, hung, wrongly set up."""

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from dispatcher.errors import ScheduleUnavailable, ScheduleUnsafe
from dispatcher.model.health import Health
from dispatcher.queue import QUEUES
from dispatcher.schedule.clock import DUE, HELD, Schedule
from tests.builders import released


@pytest.fixture
def make_schedule(redis_url):
    made = []

    def make(url=redis_url, **options):
        made.append(Schedule(url, **options))
        return made[-1]

    yield make
    for schedule in made:
        schedule.close()


@pytest.fixture
def schedule(make_schedule):
    return make_schedule()


@pytest.fixture
def hung_redis(redis_client):
    """Redis keeps its connections and answers nothing."""
    process = int(redis_client.info("server")["process_id"])
    os.kill(process, signal.SIGSTOP)
    yield
    os.kill(process, signal.SIGCONT)


def test_two_takers_never_get_the_same_webhook(make_schedule):
    make_schedule().due(dict.fromkeys(range(1_000), 0))

    with ThreadPoolExecutor(8) as pool:
        taken = [id_ for mine, _ in pool.map(lambda _: make_schedule().take(200, 10_000), range(8)) for id_ in mine]

    assert sorted(taken) == list(range(1_000))


def test_two_fan_outs_at_once_hand_a_webhook_out_once(make_schedule):
    with ThreadPoolExecutor(8) as pool:
        handed = [
            id_ for mine in pool.map(lambda _: make_schedule().hand_out(range(50), 100), range(8)) for id_ in mine
        ]

    assert sorted(handed) == list(range(50))


def test_an_emptied_redis_harms_no_step(schedule, redis_client):
    schedule.due({1: 0, 2: 0})
    schedule.take(1, 100)
    redis_client.flushall()

    assert schedule.take(10, 100) == ([], None)
    schedule.renew([1])
    assert schedule.release(released({1: 20.0, 2: None})) == []
    assert schedule.healths([1]) == {}
    schedule.fan_out_begun()
    schedule.due({2: 0})
    assert schedule.take(10, 100)[0] == [2]


def test_scripts_are_loaded_again_where_redis_forgot_them(schedule, redis_client):
    schedule.due({1: 0})
    redis_client.script_flush()

    assert schedule.take(1, 100)[0] == [1]


def test_more_webhooks_than_a_script_takes_at_once(schedule):
    schedule.due(dict.fromkeys(range(5000), 0.0))
    schedule.hand_out(range(5_000, 10_000), 20_000)

    assert schedule.sizes() == {"due": 10_000, "held": 5_000}
    assert schedule.release(released(dict.fromkeys(range(5_000, 10_000)))) == []


@pytest.mark.parametrize(
    "step",
    [
        lambda schedule: schedule.due({1: 0}),
        lambda schedule: schedule.hand_out([1], 10),
        lambda schedule: schedule.take(1, 10),
        lambda schedule: schedule.first_due(),
        lambda schedule: schedule.renew([1]),
        lambda schedule: schedule.release(released({1: None})),
        lambda schedule: schedule.claim_fan_out(),
        lambda schedule: schedule.fan_out_begun(),
        lambda schedule: schedule.claim_reconcile(15),
        lambda schedule: schedule.healths([1]),
        lambda schedule: schedule.store_healths({1: Health(window=1.0)}),
        lambda schedule: schedule.worker_seen("w"),
        lambda schedule: schedule.workers(),
        lambda schedule: schedule.sizes(),
        lambda schedule: schedule.check(),
        lambda schedule: schedule.delete_broker_keys(QUEUES),
    ],
)
def test_a_redis_that_is_down_is_our_error(make_schedule, step):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(ScheduleUnavailable):
        step(make_schedule(f"redis://127.0.0.1:{port}/0"))


def test_a_hung_redis_is_our_error_after_its_time_limit(make_schedule, hung_redis):
    with pytest.raises(ScheduleUnavailable, match="Redis does not answer: TimeoutError"):
        make_schedule(timeout_s=0.1).claim_fan_out()


def test_a_wrong_password_is_our_error_and_not_shown(make_schedule, redis_url):
    wrong = redis_url.replace("redis://:", "redis://:hunter2")

    with pytest.raises(ScheduleUnavailable) as caught:
        make_schedule(wrong).take(1, 10)
    assert "hunter2" not in str(caught.value)


def test_a_redis_that_evicts_is_refused(schedule, redis_client):
    schedule.check()
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(ScheduleUnsafe, match="maxmemory-policy allkeys-lru; set it to noeviction"):
            schedule.check()
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")


def test_workers_are_known_for_thirty_seconds(schedule, redis_client):
    schedule.worker_seen("celery@one")
    redis_client.zincrby("dispatcher:workers", -31_000, "celery@one")
    schedule.worker_seen("celery@two")

    assert schedule.workers() == ["celery@two"]
    assert redis_client.zcard("dispatcher:workers") == 1


def test_repair_deletes_celerys_keys_and_leaves_the_clock(schedule, redis_client):
    schedule.due({1: 10})
    redis_client.lpush("deliveries", "rubbish")
    redis_client.set("_kombu.binding.events", "not even a set")

    assert schedule.delete_broker_keys(QUEUES) == 2
    assert redis_client.keys() == [DUE]
    assert redis_client.zcard(HELD) == 0
