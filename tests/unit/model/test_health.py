import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.attempt import Status
from dispatcher.model.health import BreakerPolicy, Health, WindowPolicy, after
from tests.support.cases import each

POLICY = WindowPolicy()
statuses = st.sampled_from(["200", "204", "302", "400", "404", "410", "429", "500", "503", *Status])


def after_all(these: Any, health: Health | None = None, policy: Any = POLICY, took_s: float = 0.05) -> Health:
    health = health or Health(window=10.0)
    for status in these:
        health = after(health, status, took_s, policy)
    return health


@given(st.lists(statuses, max_size=300), st.integers(1, 300), st.data())
def test_the_window_stays_between_one_and_its_ceiling(answers: Any, ceiling: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(1, ceiling))
    policy = WindowPolicy(start=start, ceiling=ceiling)
    health = Health(window=float(start))

    for status in answers:
        health = after(health, status, 0.1, policy)
        assert 1 <= health.window <= ceiling
        assert 1 <= health.slots <= ceiling


@given(st.floats(1, 200))
def test_success_widens_the_window_and_ends_the_row_of_failures(window: float) -> None:
    health = after(Health(window=window, consecutive_failures=3), "200", 0.05, POLICY)

    assert health.window > window or window == POLICY.ceiling
    assert health.consecutive_failures == 0


@each("status", ["429", "500", "502", "503", "599", Status.TIMEOUT, Status.CONNECTION_FAILED])
def test_distress_halves_the_window_and_counts(status: str) -> None:
    health = after(Health(window=10.0, consecutive_failures=1), status, 0.05, POLICY)

    assert health.window == 5
    assert health.consecutive_failures == 2


@each("status", ["302", "401", "404", "410", Status.SSL_ERROR, Status.BLOCKED_ADDRESS])
def test_a_receiver_that_is_set_up_wrongly_fails_without_being_overloaded(status: str) -> None:
    health = after(Health(window=10.0, consecutive_failures=4), status, 0.05, POLICY)

    assert health.window == 10
    assert health.consecutive_failures == 5


@each("status", ["400", "413", "415", "422"])
def test_a_refused_request_shows_that_the_receiver_is_well(status: str) -> None:
    health = after(Health(window=10.0, consecutive_failures=14, probes=2), status, 0.05, POLICY)

    assert health == Health(window=10.0, latency_s=0.05)


@given(st.integers(0, 200), st.integers(0, 10_000))
def test_pauses_double_from_the_first_to_the_longest_each_with_jitter(probes: int, seed: int) -> None:
    breaker = BreakerPolicy()

    pause_s = breaker.pause_s(probes, random.Random(seed))
    middle_s = min(10 * 2**probes, 600)
    assert 0.8 * middle_s <= pause_s <= min(1.2 * middle_s, 600)


def test_a_breaker_opens_after_ten_consecutive_failures_and_closes_with_a_success() -> None:
    breaker = BreakerPolicy()
    nine = after_all(["500"] * 9)
    assert not nine.is_open(breaker)

    ten = after_all(["500"], nine)
    assert ten.is_open(breaker)
    assert not after_all(["200"], ten).is_open(breaker)
    assert not after_all(["500"] * 5, after_all(["200"], nine)).is_open(breaker)


def test_a_round_of_successes_widens_a_large_window_by_about_a_quarter() -> None:
    assert 46 <= after_all(["200"] * 40, Health(window=40.0)).window <= 52


def test_the_window_recovers_from_its_floor() -> None:
    floor = after_all(["503"] * 20)
    assert floor.slots == 1

    assert after_all(["200"] * 40, floor).window > 10


def test_a_window_at_its_floor_is_slow() -> None:
    assert after_all(["503"] * 20).is_slow(POLICY)
    assert not after_all(["200"]).is_slow(POLICY)


@each(("share", "is_slow"), [(0.0, False), (0.3, False), (0.7, True), (1.0, True)])
def test_it_is_the_median_answer_that_makes_a_webhook_slow(share: float, is_slow: bool) -> None:
    rng = random.Random(1)
    health, seen = Health(window=10.0), []
    for _ in range(1_000):
        health = after(health, "200", 20.0 if rng.random() < share else 0.1, POLICY)
        seen.append(health.is_slow(POLICY))

    assert sum(seen[50:]) / 950 == pytest.approx(float(is_slow), abs=0.1)


@each("known_s", [0.0, 0.001, 0.1, 2.0])
def test_one_slow_answer_makes_nobody_slow(known_s: float) -> None:
    assert not after(Health(window=10.0, latency_s=known_s), "200", 30.0, POLICY).is_slow(POLICY)


@each("known_s", [0.0, 0.001, 0.1])
def test_a_receiver_that_becomes_slow_is_known_to_be_after_sixteen_answers(known_s: float) -> None:
    health = Health(window=10.0, latency_s=known_s)
    assert after_all(["200"] * 16, health, took_s=9.0).is_slow(POLICY)


def test_slow_answers_make_a_webhook_slow_and_quick_ones_undo_it() -> None:
    slow = after_all(["200"] * 20, took_s=9.0)
    assert slow.is_slow(POLICY)

    assert not after_all(["200"] * 20, slow).is_slow(POLICY)
