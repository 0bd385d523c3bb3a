import pytest

from dispatcher.errors import ScheduleUnavailable
from dispatcher.flow.limit_requests import SKIP_S, Allowance, Limiter
from tests.fakes import FakeClock

WHOLE = Allowance(quota=3, left=3, reset_s=60)


class Counts:
    """A count for each client; `down` while Redis is."""

    def __init__(self):
        self.down = False
        self.asked = 0
        self.counted: dict[int, int] = {}

    def count(self, client_ids):
        self.asked += 1
        if self.down:
            raise ScheduleUnavailable
        return [(self._count(client_id), 12.2) for client_id in client_ids]

    def _count(self, client_id):
        self.counted[client_id] = self.counted.get(client_id, 0) + 1
        return self.counted[client_id]


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def counts():
    return Counts()


@pytest.fixture
def limiter(counts, clock):
    return Limiter(counts, quota=3, window_s=60, monotonic=clock)


def test_the_quota_is_used_up_request_by_request(limiter):
    assert [limiter.spend([7])[0] for _ in range(2)] + limiter.spend([7, 7, 7]) == [
        Allowance(quota=3, left=2, reset_s=13),
        Allowance(quota=3, left=1, reset_s=13),
        Allowance(quota=3, left=0, reset_s=13),
        Allowance(quota=3, left=0, reset_s=13, exceeded=True),
        Allowance(quota=3, left=0, reset_s=13, exceeded=True),
    ]
    assert [one.left for one in limiter.spend([8, 9])] == [2, 2]


def test_a_redis_that_is_down_lets_through_and_is_left_alone_for_a_while(limiter, counts, clock, caplog):
    counts.down = True

    assert [limiter.spend([7, 8]) for _ in range(10)] == [[WHOLE, WHOLE]] * 10
    assert counts.asked == 1
    assert len(caplog.records) == 1

    clock.advance(SKIP_S + 0.1)
    counts.down = False
    assert limiter.spend([7])[0].left == 2


def test_who_has_made_no_request_has_the_whole_quota(limiter):
    assert limiter.unused == WHOLE
