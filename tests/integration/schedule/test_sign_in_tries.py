"""Tries to sign in are counted in Redis, and in this process while it is away: by the same rules."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dispatcher.access.sign_in import LocalSignInCounter
from dispatcher.errors import ScheduleUnavailable
from dispatcher.schedule.sign_ins import SharedSignInCounter
from tests.support.fakes import FakeClock
from tests.support.waiting import eventually

WINDOW_S = 60.0


@pytest.fixture(params=["redis", "memory"])
def kind(
    request: pytest.FixtureRequest,
) -> Iterator[tuple[LocalSignInCounter | SharedSignInCounter, Callable[[], None]]]:
    """The counts, and how their windows end."""
    if request.param == "memory":
        clock = FakeClock()
        yield LocalSignInCounter(WINDOW_S, clock), lambda: clock.advance(WINDOW_S)
        return
    client = request.getfixturevalue("redis_client")
    real = SharedSignInCounter(request.getfixturevalue("redis_url"), window_s=WINDOW_S, timeout_s=5.0)

    def end() -> None:
        for key in client.keys("dispatcher:sign_ins:*"):
            client.pexpire(key, 1)
        eventually(lambda: not client.keys("dispatcher:sign_ins:*"), what="the windows' end")

    yield real, end
    real.close()


@pytest.fixture
def tries(
    kind: tuple[LocalSignInCounter | SharedSignInCounter, Callable[[], None]],
) -> LocalSignInCounter | SharedSignInCounter:
    return kind[0]


@pytest.fixture
def end_windows(kind: tuple[LocalSignInCounter | SharedSignInCounter, Callable[[], None]]) -> Callable[[], None]:
    return kind[1]


def test_what_is_beyond_the_limit_is_refused_until_the_window_ends(
    tries: LocalSignInCounter | SharedSignInCounter, end_windows: Callable[[], None]
) -> None:
    assert [tries.count([("ann", 2)]) for _ in range(2)] == [None, None]
    place, left_s = tries.count([("ann", 2)]) or (None, 0.0)
    assert place == 0
    assert 50 < left_s <= WINDOW_S
    assert tries.count([("bob", 2)]) is None

    end_windows()
    assert tries.count([("ann", 2)]) is None


def test_what_one_limit_refuses_the_later_ones_do_not_see(tries: LocalSignInCounter | SharedSignInCounter) -> None:
    found = [tries.count([("address", 2), ("name", 3)]) for _ in range(9)]

    assert [place and place[0] for place in found] == [None, None, 0, 0, 0, 0, 0, 0, 0]
    assert tries.count([("elsewhere", 2), ("name", 3)]) is None
    assert (tries.count([("elsewhere", 2), ("name", 3)]) or [None])[0] == 1


def test_a_right_password_is_forgiven_and_takes_no_more_than_itself_from_others(
    tries: LocalSignInCounter | SharedSignInCounter, end_windows: Callable[[], None]
) -> None:
    for _ in range(3):
        tries.count([("address", 9), ("ann", 9)])

    tries.forgive(["ann", "address"])

    assert [tries.count([("ann", 2)]) for _ in range(2)] == [None, None]
    assert [tries.count([("address", 3)]) is None for _ in range(2)] == [True, False]

    end_windows()
    tries.forgive(["ann", "address"])
    assert [tries.count([("address", 1)]) is None for _ in range(2)] == [True, False]


def test_names_are_in_redis_as_hashes_only_and_always_expire(redis_client: Any, redis_url: str) -> None:
    tries = SharedSignInCounter(redis_url, window_s=WINDOW_S, timeout_s=5.0)
    tries.count([("ann@example.com", 9)])
    (key,) = redis_client.keys("*")
    assert "ann" not in key
    redis_client.persist(key)

    tries.count([("ann@example.com", 9)])
    assert 0 < redis_client.pttl(key) <= WINDOW_S * 1000
    tries.close()


def test_a_redis_that_is_away_is_told(redis_url: str) -> None:
    tries = SharedSignInCounter("redis://127.0.0.1:1/0", window_s=WINDOW_S, timeout_s=0.1)
    with pytest.raises(ScheduleUnavailable):
        tries.count([("ann", 1)])
    with pytest.raises(ScheduleUnavailable):
        tries.forgive(["ann"])
