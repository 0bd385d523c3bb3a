from typing import Any

import pytest

from dispatcher.access.sign_in import LOCAL_MOST, SKIP_S, WINDOW_S, FallbackSignInCounter, LocalSignInCounter
from dispatcher.errors import ScheduleUnavailable
from tests.support.fakes import FakeClock


class Shared:
    """The counts in Redis; `down` while it is away."""

    def __init__(self, clock: FakeClock) -> None:
        self.tries = LocalSignInCounter(WINDOW_S, clock)
        self.down = False
        self.asked = 0

    def _ask(self) -> None:
        self.asked += 1
        if self.down:
            raise ScheduleUnavailable

    def count(self, limits: Any) -> tuple[int, float] | None:
        self._ask()
        return self.tries.count(limits)

    def forgive(self, names: Any) -> None:
        self._ask()
        self.tries.forgive(names)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shared(clock: FakeClock) -> Shared:
    return Shared(clock)


@pytest.fixture
def tries(shared: Shared, clock: FakeClock) -> FallbackSignInCounter:
    return FallbackSignInCounter(shared, clock)


def test_while_redis_is_away_tries_are_counted_here_and_not_without_limit(
    tries: FallbackSignInCounter, shared: Shared, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    assert tries.count([("ann", 2)]) is None
    shared.down = True

    assert [tries.count([("ann", 2)]) for _ in range(3)] == [None, None, (0, WINDOW_S)]
    assert (shared.asked, len(caplog.records)) == (2, 1)

    clock.advance(SKIP_S + 0.1)
    shared.down = False
    assert tries.count([("ann", 2)]) is None
    assert (tries.count([("ann", 2)]) or [None])[0] == 0


def test_what_is_forgiven_is_forgiven_here_too(tries: FallbackSignInCounter, shared: Shared) -> None:
    shared.down = True
    for _ in range(3):
        assert tries.count([("address", 9), ("ann", 2)]) is None
        tries.forgive(["ann", "address"])


def test_of_too_many_names_the_oldest_are_forgotten(clock: FakeClock) -> None:
    tries = LocalSignInCounter(WINDOW_S, clock)
    for number in range(LOCAL_MOST + 1):
        assert tries.count([(f"name {number}", 1)]) is None

    assert tries.count([(f"name {LOCAL_MOST}", 1)]) is not None
    assert tries.count([("name 0", 1)]) is None
