import random
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.backoff import RetryPolicy

policies = st.builds(
    RetryPolicy,
    base=st.floats(0.01, 86_400).map(lambda seconds: timedelta(seconds=seconds)),
    factor=st.floats(1, 100),
    jitter=st.floats(0, 0.9),
)
seeds = st.integers(0, 2**32).map(random.Random)


@given(policies, st.integers(1, 101), seeds)
def test_a_wait_is_positive_and_at_most_the_ceiling(policy: Any, attempt: int, rng: random.Random) -> None:
    assert timedelta() < policy.wait(attempt, rng) <= policy.ceiling


@given(policies, st.integers(1, 101), seeds)
def test_a_wait_is_the_power_of_the_factor_within_the_jitter(policy: Any, attempt: int, rng: random.Random) -> None:
    exact = min(policy.base.total_seconds() * min(policy.factor ** (attempt - 1), 1e9), policy.ceiling.total_seconds())
    waited = policy.wait(attempt, rng).total_seconds()

    assert waited >= exact * (1 - policy.jitter) - 1e-3
    assert waited <= exact * (1 + policy.jitter) + 1e-3


@given(st.integers(1, 100), seeds)
def test_without_jitter_waits_never_shrink(attempt: int, rng: random.Random) -> None:
    policy = RetryPolicy(jitter=0)

    assert policy.wait(attempt, rng) <= policy.wait(attempt + 1, rng)


def test_the_defaults_are_those_of_the_design() -> None:
    policy = RetryPolicy(jitter=0)
    waits = [policy.wait(attempt, random.Random(1)).total_seconds() for attempt in range(1, 6)]

    assert waits == [20, 100, 500, 2_500, 12_500]
    assert policy.limit == 5


def test_jitter_spreads_both_ways() -> None:
    rng = random.Random(1)
    waits = [RetryPolicy().wait(1, rng).total_seconds() for _ in range(200)]

    assert 16 <= min(waits) < 17
    assert 23 < max(waits) <= 24
