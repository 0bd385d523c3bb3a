"""What only the clock in Redis can suffer: emptied, unreachable, hung, wrongly set up."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from dispatcher.broker.names import QUEUES
from dispatcher.errors import ScheduleUnavailable, UnsafeRedisConfig
from dispatcher.model.health import Health
from dispatcher.schedule.schedule import DUE, FAN_OUT, HELD, HOLDERS, OWNERS, PAUSED, RECONCILE, Schedule
from dispatcher.schedule.workers import WORKERS
from tests.support.builders import DRAIN, released
from tests.support.servers import a_valkey


def shall_reconcile(schedule: Schedule) -> bool:
    return schedule.beat(silence_s=60, reconciled_s=3_600).reconcile


@pytest.fixture
def make_schedule(redis_url: str) -> Iterator[Callable[..., Schedule]]:
    made = []

    def make(url: str = redis_url, **options: Any) -> Schedule:
        made.append(Schedule(url, **options))
        return made[-1]

    yield make
    for schedule in made:
        schedule.close()


@pytest.fixture
def schedule(make_schedule: Callable[..., Schedule]) -> Schedule:
    return make_schedule()


@pytest.fixture
def hung_redis(redis_client: Any) -> Iterator[None]:
    """Redis keeps its connections and answers nothing."""
    process = int(redis_client.info("server")["process_id"])
    os.kill(process, signal.SIGSTOP)
    yield
    os.kill(process, signal.SIGCONT)


def test_two_takers_never_get_the_same_webhook(make_schedule: Callable[..., Schedule]) -> None:
    make_schedule().due(dict.fromkeys(range(1, 1_001), 0))

    with ThreadPoolExecutor(8) as pool:
        taken = [id_ for mine, _ in pool.map(lambda _: make_schedule().take(200, 10_000), range(8)) for id_ in mine]

    assert sorted(taken) == list(range(1, 1_001))


def test_two_fan_outs_at_once_hand_a_webhook_out_once(make_schedule: Callable[..., Schedule]) -> None:
    with ThreadPoolExecutor(8) as pool:
        handed = [
            id_ for mine in pool.map(lambda _: make_schedule().hand_out(range(50), 100), range(8)) for id_ in mine
        ]

    assert sorted(handed) == list(range(50))


def test_an_emptied_redis_harms_no_step(schedule: Schedule, redis_client: Any) -> None:
    schedule.due({1: 0, 2: 0})
    schedule.take(1, 100)
    redis_client.flushall()

    assert schedule.take(10, 100) == ([], None)
    schedule.renew([1], DRAIN)
    assert schedule.release(released({1: 20.0, 2: None}), DRAIN) == []
    assert schedule.healths([1]) == {}
    schedule.fan_out_begun()
    schedule.due({2: 0})
    assert schedule.take(10, 100)[0] == [2]


def test_scripts_are_loaded_again_where_redis_forgot_them(schedule: Schedule, redis_client: Any) -> None:
    schedule.due({1: 0})
    redis_client.script_flush()

    assert schedule.take(1, 100)[0] == [1]


def test_more_webhooks_than_a_script_takes_at_once(schedule: Schedule) -> None:
    schedule.due(dict.fromkeys(range(5000), 0.0))
    schedule.hand_out(range(5_000, 10_000), 20_000)

    assert schedule.sizes() == {"due": 10_000, "held": 5_000}
    assert schedule.release(released(dict.fromkeys(range(5_000, 10_000))), DRAIN) == []


@pytest.mark.parametrize(
    "step",
    [
        lambda schedule: schedule.due({1: 0}),
        lambda schedule: schedule.hand_out([1], 10),
        lambda schedule: schedule.take(1, 10),
        lambda schedule: schedule.first_due(),
        lambda schedule: schedule.renew([1], DRAIN),
        lambda schedule: schedule.release(released({1: None}), DRAIN),
        lambda schedule: schedule.claim_fan_out(),
        lambda schedule: schedule.fan_out_begun(),
        lambda schedule: shall_reconcile(schedule),
        lambda schedule: schedule.free([1]),
        lambda schedule: schedule.empty(),
        lambda schedule: schedule.healths([1]),
        lambda schedule: schedule.store_healths({1: Health(window=1.0)}),
        lambda schedule: schedule.workers.seen("w"),
        lambda schedule: schedule.workers.names(),
        lambda schedule: schedule.sizes(),
        lambda schedule: schedule.check(),
        lambda schedule: schedule.delete_broker_keys(QUEUES),
    ],
)
def test_a_redis_that_is_down_is_our_error(
    make_schedule: Callable[..., Schedule], step: Callable[[Schedule], Any]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(ScheduleUnavailable):
        step(make_schedule(f"redis://127.0.0.1:{port}/0"))


def test_a_hung_redis_is_our_error_after_its_time_limit(
    make_schedule: Callable[..., Schedule], hung_redis: None
) -> None:
    with pytest.raises(ScheduleUnavailable, match="Redis does not answer: TimeoutError"):
        make_schedule(timeout_s=0.1).claim_fan_out()


def test_a_wrong_password_is_our_error_and_not_shown(make_schedule: Callable[..., Schedule], redis_url: str) -> None:
    wrong = redis_url.replace("redis://:", "redis://:hunter2")

    with pytest.raises(ScheduleUnavailable) as caught:
        make_schedule(wrong).take(1, 10)
    assert "hunter2" not in str(caught.value)


def test_a_redis_that_evicts_is_refused(schedule: Schedule, redis_client: Any) -> None:
    schedule.check()
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(UnsafeRedisConfig, match="maxmemory-policy allkeys-lru; set it to noeviction"):
            schedule.check()
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")


def test_workers_are_known_for_thirty_seconds(schedule: Schedule, redis_client: Any) -> None:
    schedule.workers.seen("celery@one")
    redis_client.zincrby("dispatcher:workers", -31_000, "celery@one")
    schedule.workers.seen("celery@two")

    assert schedule.workers.names() == ["celery@two"]
    assert redis_client.zcard("dispatcher:workers") == 1


def test_celerys_keys_are_deleted_apart_from_the_clocks(schedule: Schedule, redis_client: Any) -> None:
    schedule.due({1: 10})
    redis_client.lpush("deliveries", "rubbish")
    redis_client.set("_kombu.binding.events", "not even a set")

    assert schedule.delete_broker_keys(QUEUES) == 2
    assert redis_client.keys() == [DUE]
    assert redis_client.zcard(HELD) == 0


@pytest.mark.parametrize("key", [DUE, HELD, PAUSED, HOLDERS, OWNERS, FAN_OUT, RECONCILE, WORKERS])
def test_an_emptied_clock_works_whatever_was_in_it(schedule: Schedule, redis_client: Any, key: str) -> None:
    redis_client.hset(key, "no", "sense") if key != HOLDERS else redis_client.set(key, "no sense")

    schedule.empty()

    schedule.due({1: 0})
    assert schedule.take(10, 100)[0] == [1]
    assert schedule.renew([1], DRAIN) == []
    assert schedule.release(released({1: None}), DRAIN) == []
    assert schedule.claim_fan_out()
    assert shall_reconcile(schedule)
    schedule.workers.seen("celery@one")
    assert schedule.workers.names() == ["celery@one"]


RUBBISH = ["word", "-5", "0", "1.5", "1e3", "2147483648", "99999999999999999999", "", " 7", b"\xff\xfe"]


@pytest.mark.parametrize("rubbish", RUBBISH)
def test_what_is_no_id_is_dropped_and_holds_up_nobody(
    schedule: Schedule, redis_client: Any, rubbish: bytes | str
) -> None:
    redis_client.zadd(DUE, {rubbish: 0, 7: 1})
    redis_client.zadd(PAUSED, {rubbish: 9e15})
    redis_client.zadd(OWNERS, {rubbish: redis_client.time()[0] * 1000 - 60_000})

    assert schedule.first_due() == 0
    assert schedule.overdue(10) == [7]
    assert schedule.take(10, 100)[0] == [7]
    assert redis_client.zrange(DUE, 0, -1) == ["7"]
    assert schedule.pauses() == {}
    assert all(0 < owner < 2**63 for owner in schedule.beat(silence_s=1, reconciled_s=1).silent)


@pytest.mark.parametrize("rubbish", ["garbage", "x 0 0 0", "nan 0 0 0", "inf 0 0 0", "1 2 3", b"\xff"])
def test_a_health_that_is_none_is_unknown(schedule: Schedule, redis_client: Any, rubbish: bytes | str) -> None:
    redis_client.set("dispatcher:health:42", rubbish)

    assert schedule.healths([42]) == {}
    assert schedule.survey([42]).healths == {}


def test_a_bucket_that_is_none_is_a_fresh_one(schedule: Schedule, redis_client: Any) -> None:
    redis_client.set("dispatcher:bucket:42", "x")
    redis_client.hset("dispatcher:bucket:43", "x", "y")

    assert schedule.spend({42: (5, 3), 43: (5, 3)}) == {42: (1, 0.0), 43: (1, 0.0)}
    assert schedule.spend({42: (5, 3), 43: (5, 3)})[42][0] == 0


@pytest.mark.parametrize("last", ["1", "unknown 99999999999999999", ""])
def test_a_mark_of_reconciling_that_is_none_of_ours_does_not_stop_it(
    schedule: Schedule, redis_client: Any, last: str
) -> None:
    redis_client.set(RECONCILE, last)

    assert shall_reconcile(schedule)
    assert not shall_reconcile(schedule)


def test_one_worker_reconciles_to_a_redis_that_was_emptied_or_has_started_anew(
    make_schedule: Callable[..., Schedule],
) -> None:
    for server in a_valkey():
        one, other = make_schedule(server.url), make_schedule(server.url)
        assert shall_reconcile(one)
        assert not shall_reconcile(other)

        server.kill()
        server.restart()
        assert [shall_reconcile(other), shall_reconcile(one)] == [True, False]

        with redis.Redis.from_url(server.url) as client:
            client.flushall()
        assert [shall_reconcile(one), shall_reconcile(other)] == [True, False]
