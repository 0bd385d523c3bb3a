import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.attempt import Status
from dispatcher.model.health import Health, WindowPolicy, after

POLICY = WindowPolicy()
statuses = st.sampled_from(["200", "204", "302", "400", "404", "410", "429", "500", "503", *Status])


def after_all(these, health=None, policy=POLICY, took_s=0.05):
    health = health or Health(window=10.0)
    for status in these:
        health = after(health, status, took_s, policy)
    return health


@given(st.lists(statuses, max_size=300), st.integers(1, 300), st.data())
def test_the_window_stays_between_one_and_its_ceiling(answers, ceiling, data):
    start = data.draw(st.integers(1, ceiling))
    policy = WindowPolicy(start=start, ceiling=ceiling)
    health = Health(window=float(start))

    for status in answers:
        health = after(health, status, 0.1, policy)
        assert 1 <= health.window <= ceiling
        assert 1 <= health.slots <= ceiling


@given(st.floats(1, 200))
def test_success_widens_the_window_and_ends_the_row_of_failures(window):
    health = after(Health(window=window, failures_in_a_row=3), "200", 0.05, POLICY)

    assert health.window > window or window == POLICY.ceiling
    assert health.failures_in_a_row == 0


@pytest.mark.parametrize("status", ["429", "500", "502", "503", "599", Status.TIMEOUT, Status.CONNECTION_FAILED])
def test_distress_halves_the_window_and_counts(status):
    health = after(Health(window=10.0, failures_in_a_row=1), status, 0.05, POLICY)

    assert health.window == 5
    assert health.failures_in_a_row == 2


@pytest.mark.parametrize("status", ["302", "400", "401", "404", "410", "422"])
def test_a_refused_request_is_no_distress(status):
    assert after(Health(window=10.0, failures_in_a_row=4), status, 0.05, POLICY).window == 10
    assert after(Health(window=10.0, failures_in_a_row=4), status, 0.05, POLICY).failures_in_a_row == 0


def test_a_round_of_successes_widens_a_large_window_by_about_a_quarter():
    assert 46 <= after_all(["200"] * 40, Health(window=40.0)).window <= 52


def test_the_window_recovers_from_its_floor():
    floor = after_all(["503"] * 20)
    assert floor.slots == 1

    assert after_all(["200"] * 40, floor).window > 10


def test_a_window_at_its_floor_is_slow():
    assert after_all(["503"] * 20).is_slow(POLICY)
    assert not after_all(["200"]).is_slow(POLICY)


def test_slow_answers_make_a_webhook_slow_and_quick_ones_undo_it():
    slow = after_all(["200"] * 20, took_s=9.0)
    assert slow.is_slow(POLICY)

    assert not after_all(["200"] * 20, slow).is_slow(POLICY)
