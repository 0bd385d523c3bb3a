from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.health import Health
from dispatcher.model.replay import LIVE_WAIT_S, allowance, due_limit
from tests.support.cases import each


@each(
    ("window", "latency_s", "rate_limit", "limit"),
    [
        (10, 0.0, None, 10),  # nothing is known: one window full
        (10, 0.05, None, 100),  # ten at once, twenty times a second
        (10, 3.0, None, 10),
        (200, 0.1, None, 1_000),
        (1, 30.0, None, 1),
        (200, 0.1, 40, 20),
        (200, 0.1, 1, 1),
        (0.5, 0.0, None, 1),
    ],
)
def test_a_webhook_is_filled_up_as_far_as_its_receiver_keeps_up(
    window: float, latency_s: float, rate_limit: int | None, limit: int
) -> None:
    assert due_limit(Health(window=window, latency_s=latency_s), rate_limit) == limit


def test_without_a_rate_a_whole_batch_may_go() -> None:
    assert allowance(None, 0.0, 500) == (500, 0.0)


@given(
    rate=st.integers(1, 100_000),
    waits=st.lists(st.floats(0, 20, allow_nan=False), min_size=1, max_size=50),
    most=st.integers(1, 500),
)
def test_no_more_goes_than_the_rate_allows(rate: int, waits: list[float], most: int) -> None:
    """Over any time, beyond what half a second, or one delivery, may be made up for."""
    at_s = used_up_s = 0.0
    sent = []
    for wait_s in waits:
        at_s += wait_s
        count, forfeited_s = allowance(rate, at_s - used_up_s, most)
        used_up_s += forfeited_s + count / rate
        sent.append((at_s, count))
    for first in range(len(sent)):
        span_s = sent[-1][0] - sent[first][0]
        assert sum(count for _, count in sent[first:]) <= (span_s + max(LIVE_WAIT_S, 1 / rate)) * rate + 1e-3


@each("rate", [1, 3, 10, 400])
def test_what_is_looked_at_often_enough_goes_at_its_rate(rate: int) -> None:
    used_up_s, sent = 0.0, 0
    for quarter in range(1, 81):
        count, forfeited_s = allowance(rate, quarter / 4 - used_up_s, 500)
        used_up_s += forfeited_s + count / rate
        sent += count
    assert sent == rate * timedelta(seconds=20).total_seconds()
