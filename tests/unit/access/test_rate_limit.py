from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dispatcher.access.rate_limit import DEFAULT, EMITS, SKIP_S, Allowance, Key, Limiter
from dispatcher.errors import ScheduleUnavailable
from tests.support.fakes import FakeClock

WHOLE = Allowance(quota=3, left=3, reset_s=60)


class Counts:
    """A count for each client and quota; `down` while Redis is."""

    def __init__(self) -> None:
        self.down = False
        self.asked = 0
        self.counted: Counter[Key] = Counter()
        self.left_s = 12.2

    def add(self, counts: Mapping[Key, int]) -> dict[Key, tuple[int, float]]:
        self.asked += 1
        if self.down:
            raise ScheduleUnavailable
        self.counted.update(counts)
        return {key: (self.counted[key], self.left_s) for key in counts}


class Later:
    """Settlements that are due, each once."""

    def __init__(self) -> None:
        self.due: list[Callable[[], bool]] = []

    def __call__(self, delay_s: float, work: Callable[[], bool]) -> Callable[[], None]:
        def ask() -> None:
            if work not in self.due:
                self.due.append(work)

        return ask

    def come(self) -> None:
        due, self.due = self.due, []
        for work in due:
            work()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def later() -> Later:
    return Later()


def a_process(counts: Any, clock: FakeClock, later: Later) -> Limiter:
    return Limiter(counts, {DEFAULT: 3, EMITS: 5}, window_s=60, monotonic=clock, later=later)


@pytest.fixture
def limiter(counts: Counts, clock: FakeClock, later: Later) -> Limiter:
    return a_process(counts, clock, later)


def test_the_quota_is_used_up_request_by_request_without_asking_anybody(limiter: Limiter, counts: Counts) -> None:
    assert [limiter.spend(7, DEFAULT) for _ in range(5)] == [
        Allowance(quota=3, left=2, reset_s=60),
        Allowance(quota=3, left=1, reset_s=60),
        Allowance(quota=3, left=0, reset_s=60),
        Allowance(quota=3, left=0, reset_s=60, exceeded=True),
        Allowance(quota=3, left=0, reset_s=60, exceeded=True),
    ]
    assert limiter.spend(8, DEFAULT).left == 2
    assert counts.asked == 0


def test_what_was_counted_in_a_while_is_settled_at_once(limiter: Limiter, counts: Counts, later: Later) -> None:
    for client_id in (7, 7, 8):
        limiter.spend(client_id, DEFAULT)
    later.come()

    assert counts.counted == {(7, DEFAULT): 2, (8, DEFAULT): 1}
    assert counts.asked == 1
    assert limiter.spend(7, DEFAULT) == Allowance(quota=3, left=0, reset_s=13)
    later.come()
    assert counts.counted[7, DEFAULT] == 3
    assert later.due == []


def test_the_counts_of_several_processes_converge(counts: Counts, clock: FakeClock, later: Later) -> None:
    here, there = (a_process(counts, clock, later) for _ in range(2))
    assert [each.spend(7, DEFAULT).left for each in (here, there)] == [2, 2]
    later.come()

    assert here.spend(7, DEFAULT).left == 1  # it was settled first, and does not know of the other's
    later.come()
    assert [each.spend(7, DEFAULT) for each in (here, there)] == [
        Allowance(quota=3, left=0, reset_s=13, exceeded=True),
        Allowance(quota=3, left=0, reset_s=13),
    ]


def test_what_is_counted_during_a_settlement_is_settled_by_the_next(
    limiter: Limiter, counts: Counts, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter.spend(7, DEFAULT)
    add = counts.add

    def meanwhile(asked: Mapping[Key, int]) -> dict[Key, tuple[int, float]]:
        monkeypatch.setattr(counts, "add", add)
        limiter.spend(7, DEFAULT)
        return add(asked)

    monkeypatch.setattr(counts, "add", meanwhile)
    later.come()
    assert counts.counted[7, DEFAULT] == 1
    later.come()
    assert counts.counted[7, DEFAULT] == 2
    assert limiter.spend(7, DEFAULT).left == 0


def test_a_window_ends_here_when_it_ends_in_redis(
    limiter: Limiter, counts: Counts, clock: FakeClock, later: Later
) -> None:
    for _ in range(4):
        limiter.spend(7, DEFAULT)
    later.come()
    counts.counted.clear()

    clock.advance(12.1)
    assert limiter.spend(7, DEFAULT).exceeded
    clock.advance(0.2)
    assert limiter.spend(7, DEFAULT) == Allowance(quota=3, left=2, reset_s=60)


def test_a_redis_that_is_down_lets_through_and_is_left_alone_for_a_while(
    limiter: Limiter, counts: Counts, clock: FakeClock, later: Later, caplog: pytest.LogCaptureFixture
) -> None:
    counts.down = True
    limiter.spend(7, DEFAULT)
    later.come()

    assert [limiter.spend(7, DEFAULT) for _ in range(10)] == [WHOLE] * 10
    assert later.due == []
    assert len(caplog.records) == 1

    clock.advance(SKIP_S + 0.1)
    counts.down = False
    assert limiter.spend(7, DEFAULT).left == 2


def test_who_has_made_no_request_has_the_whole_quota(limiter: Limiter) -> None:
    assert limiter.unused == {DEFAULT: WHOLE, EMITS: Allowance(name="emits", quota=5, left=5, reset_s=60)}


def test_each_quota_is_used_up_by_its_own_requests(limiter: Limiter) -> None:
    both = [limiter.spend(7, quota) for quota in (DEFAULT, DEFAULT, EMITS, EMITS)]

    assert [(one.name, one.left) for one in both] == [("default", 2), ("default", 1), ("emits", 4), ("emits", 3)]
