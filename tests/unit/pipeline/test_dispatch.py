from collections.abc import Callable
from typing import Any

import pytest

from dispatcher.model.health import Health, WindowPolicy
from dispatcher.pipeline.dispatch import Dispatch
from tests.support.builders import DRAIN, released
from tests.support.fakes import FakeClock, FakeQueue, MemorySchedule


class CountingSchedule(MemorySchedule):
    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.takes = 0

    def take(self, limit: int, held_max: int) -> tuple[list[int], float | None]:
        self.takes += 1
        return super().take(limit, held_max)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue()


@pytest.fixture
def schedule(clock: FakeClock) -> CountingSchedule:
    return CountingSchedule(clock)


@pytest.fixture
def make_dispatch(schedule: Any, queue: Any, clock: FakeClock) -> Callable[..., Dispatch]:
    def make(held_max: int = 1_000, chunk_size: int = 50) -> Dispatch:
        return Dispatch(schedule, queue, WindowPolicy(), chunk_size=chunk_size, held_max=held_max, monotonic=clock)

    return make


@pytest.fixture
def dispatch(make_dispatch: Callable[..., Dispatch]) -> Dispatch:
    return make_dispatch()


MUCH = 1_000
"""Deliveries: too many for one drain."""


def test_free_webhooks_with_work_are_sent_in_chunks(make_dispatch: Callable[..., Dispatch], queue: FakeQueue) -> None:
    make_dispatch(chunk_size=2).hand_out(range(1, 12), MUCH)
    assert [len(ids) for ids, _ in queue.delivers] == [2, 2, 2, 2, 2, 1]
    assert queue.webhook_ids == list(range(1, 12))


def test_a_few_webhooks_with_much_work_are_spread_over_a_few_drains(dispatch: Dispatch, queue: FakeQueue) -> None:
    dispatch.hand_out(range(1, 9), MUCH)
    assert [ids for ids, _ in queue.delivers] == [[1, 2], [3, 4], [5, 6], [7, 8]]


def test_little_work_is_one_message(dispatch: Dispatch, queue: FakeQueue) -> None:
    dispatch.hand_out([1, 2, 3], 3)

    assert queue.delivers == [([1, 2, 3], False)]


def test_a_little_work_does_not_wait_for_what_another_account_has_due(
    make_dispatch: Callable[..., Dispatch], schedule: CountingSchedule
) -> None:
    dispatch = make_dispatch(held_max=100)
    dispatch.hand_out(range(1, 500), MUCH)
    assert schedule.sizes()["held"] == 100

    dispatch.hand_out([1_000], 1)
    assert schedule.sizes()["held"] == 101


def test_every_webhook_is_sent_once_whatever_their_number(
    make_dispatch: Callable[..., Dispatch], schedule: CountingSchedule, queue: FakeQueue
) -> None:
    for count in range(1, 30):
        queue.delivers.clear()
        make_dispatch(chunk_size=3).hand_out(range(count), MUCH)
        schedule.release(released(dict.fromkeys(range(count))), DRAIN)

        assert queue.webhook_ids == list(range(count))


def test_a_held_webhook_is_not_sent_twice(dispatch: Dispatch, queue: FakeQueue) -> None:
    dispatch.hand_out([1], MUCH)
    dispatch.hand_out([1, 2], MUCH)

    assert queue.webhook_ids == [1, 2]


def test_slow_webhooks_go_to_the_slow_queue(dispatch: Dispatch, schedule: CountingSchedule, queue: FakeQueue) -> None:
    schedule.store_healths({2: Health(window=1.0), 3: Health(window=50.0, latency_s=9.0), 4: Health(window=50.0)})
    dispatch.hand_out([1, 2, 3, 4], MUCH)

    assert {id_ for ids, slow in queue.delivers for id_ in ids if slow} == {2, 3}
    assert {id_ for ids, slow in queue.delivers for id_ in ids if not slow} == {1, 4}


def test_what_is_due_is_taken_and_sent(
    dispatch: Dispatch, schedule: CountingSchedule, queue: FakeQueue, clock: FakeClock
) -> None:
    schedule.due({1: 0, 2: 10})
    assert dispatch.release_due() == 1

    clock.advance(10)
    assert dispatch.release_due() == 1
    assert queue.webhook_ids == [1, 2]


def test_while_nothing_changes_a_look_takes_nothing(
    dispatch: Dispatch, schedule: CountingSchedule, clock: FakeClock
) -> None:
    schedule.due({1: 10})
    for _ in range(39):
        dispatch.release_due()
        clock.advance(0.25)

    assert schedule.takes == 1


def test_an_empty_clock_costs_no_take(dispatch: Dispatch, schedule: CountingSchedule) -> None:
    assert dispatch.release_due() == 0
    assert schedule.takes == 0


def test_a_new_head_is_seen_at_once(dispatch: Dispatch, schedule: CountingSchedule, queue: FakeQueue) -> None:
    schedule.due({1: 10})
    dispatch.release_due()
    schedule.due({2: 0})
    dispatch.release_due()

    assert queue.webhook_ids == [2]


def test_more_than_may_be_held_stays_in_the_clock(
    make_dispatch: Callable[..., Dispatch], schedule: CountingSchedule, queue: FakeQueue
) -> None:
    dispatch = make_dispatch(held_max=2)
    schedule.due({1: 0, 2: 0, 3: 0})

    dispatch.release_due()
    dispatch.release_due()
    assert sorted(queue.webhook_ids) == [1, 2]

    schedule.release(released({1: None}), DRAIN)
    dispatch.release_due()
    assert sorted(queue.webhook_ids) == [1, 2, 3]


def test_room_that_gets_free_is_used_though_the_head_is_the_same(
    make_dispatch: Callable[..., Dispatch], schedule: CountingSchedule, queue: FakeQueue
) -> None:
    dispatch = make_dispatch(held_max=1)
    schedule.due({1: 0})
    dispatch.release_due()
    schedule.due({2: 0, 3: 100})
    dispatch.release_due()  # no room: 2 stays the head

    schedule.release(released({1: None}), DRAIN)
    dispatch.release_due()

    assert queue.webhook_ids == [1, 2]


def test_a_held_webhook_with_a_mark_at_the_head_hides_nobody_behind_it(
    dispatch: Dispatch, schedule: CountingSchedule, queue: FakeQueue, clock: FakeClock
) -> None:
    dispatch.hand_out([1], MUCH)
    dispatch.hand_out([1], MUCH)  # marks it: its drain shall go on
    schedule.due({3: 100})
    dispatch.release_due()

    schedule.due({2: 2})
    clock.advance(3)
    dispatch.release_due()

    assert queue.webhook_ids == [1, 2]


def test_a_hold_that_ran_out_is_released_again(dispatch: Dispatch, queue: FakeQueue, clock: FakeClock) -> None:
    dispatch.hand_out([1], MUCH)
    clock.advance(15)
    dispatch.release_due()

    assert queue.webhook_ids == [1, 1]
