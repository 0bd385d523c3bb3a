from collections import Counter
from typing import Any

import pytest

from dispatcher.access.rate_limit import DEFAULT, EMITS, SKIP_S, Allowance, CountedRequest, Limiter
from dispatcher.errors import ScheduleUnavailable
from tests.support.fakes import FakeClock

WHOLE = Allowance(quota=3, left=3, reset_s=60)


class Counts:
    """A count for each client and quota; `down` while Redis is."""

    def __init__(self) -> None:
        self.down = False
        self.asked = 0
        self.counted = Counter()

    def count(self, requests: Any) -> list[tuple[int, float]]:
        self.asked += 1
        if self.down:
            raise ScheduleUnavailable
        return [(self._count(request), 12.2) for request in requests]

    def _count(self, request: CountedRequest) -> int:
        self.counted[request] += 1
        return self.counted[request]


def of(*client_ids: int, quota: str = DEFAULT) -> list[CountedRequest]:
    return [CountedRequest(client_id, quota) for client_id in client_ids]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def limiter(counts: Counts, clock: FakeClock) -> Limiter:
    return Limiter(counts, {DEFAULT: 3, EMITS: 5}, window_s=60, monotonic=clock)


def test_the_quota_is_used_up_request_by_request(limiter: Limiter) -> None:
    assert [limiter.spend(of(7))[0] for _ in range(2)] + limiter.spend(of(7, 7, 7)) == [
        Allowance(quota=3, left=2, reset_s=13),
        Allowance(quota=3, left=1, reset_s=13),
        Allowance(quota=3, left=0, reset_s=13),
        Allowance(quota=3, left=0, reset_s=13, exceeded=True),
        Allowance(quota=3, left=0, reset_s=13, exceeded=True),
    ]
    assert [one.left for one in limiter.spend(of(8, 9))] == [2, 2]


def test_a_redis_that_is_down_lets_through_and_is_left_alone_for_a_while(
    limiter: Limiter, counts: Counts, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    counts.down = True

    assert [limiter.spend(of(7, 8)) for _ in range(10)] == [[WHOLE, WHOLE]] * 10
    assert counts.asked == 1
    assert len(caplog.records) == 1

    clock.advance(SKIP_S + 0.1)
    counts.down = False
    assert limiter.spend(of(7))[0].left == 2


def test_who_has_made_no_request_has_the_whole_quota(limiter: Limiter) -> None:
    assert limiter.unused == {DEFAULT: WHOLE, EMITS: Allowance(name="emits", quota=5, left=5, reset_s=60)}


def test_each_quota_is_used_up_by_its_own_requests(limiter: Limiter) -> None:
    both = limiter.spend(of(7, 7) + of(7, 7, quota=EMITS))

    assert [(one.name, one.left) for one in both] == [("default", 2), ("default", 1), ("emits", 4), ("emits", 3)]
