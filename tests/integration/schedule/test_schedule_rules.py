"""What a clock does, for the one in Redis and the one in memory."""

from collections.abc import Callable
from typing import Any

import pytest

from dispatcher.model.health import Health
from dispatcher.schedule.schedule import Release
from tests.integration.schedule.conftest import Kind
from tests.support.builders import DRAIN, released

MANY = 1_000
ABOUT_S = 2.0  # what a busy machine takes between two steps


def taken(schedule: Any, limit: int = 100, held_max: int = MANY) -> list[int]:
    return schedule.take(limit, held_max)[0]


def test_a_webhook_is_due_after_its_wait(schedule: Any, advance: Callable[[float], None]) -> None:
    schedule.due({1: 10})
    assert taken(schedule) == []

    advance(10.1)
    assert taken(schedule) == [1]


def test_an_earlier_time_wins_and_a_later_one_does_not(schedule: Any, waits: Callable[[], dict[int, float]]) -> None:
    schedule.due({1: 100})
    schedule.due({1: 10})
    schedule.due({1: 50})

    assert waits() == {1: pytest.approx(10, abs=ABOUT_S)}


def test_what_is_overdue_is_due_now(schedule: Any, waits: Callable[[], dict[int, float]]) -> None:
    schedule.due({1: -100})

    assert waits() == {1: pytest.approx(0, abs=ABOUT_S)}


def test_what_is_taken_is_held_and_not_taken_again(schedule: Any) -> None:
    schedule.due({1: 0})

    assert taken(schedule) == [1]
    assert taken(schedule) == []
    assert schedule.sizes() == {"due": 1, "held": 1}


def test_the_longest_due_is_taken_first(schedule: Any, advance: Callable[[float], None]) -> None:
    schedule.due({1: 3, 2: 1, 3: 2})
    advance(4)

    assert taken(schedule, limit=2) == [2, 3]
    assert taken(schedule) == [1]


def test_take_says_when_the_next_is_due(schedule: Any) -> None:
    schedule.due({1: 0, 2: 30, 3: 60})

    mine, next_s = schedule.take(10, MANY)
    assert mine == [1]
    assert next_s == pytest.approx(15, abs=ABOUT_S)  # the hold of 1 ends before 2 is due


def test_take_says_that_nothing_comes(schedule: Any) -> None:
    assert schedule.take(10, MANY) == ([], None)


def test_a_hold_that_ran_out_is_due_again(schedule: Any, advance: Callable[[float], None]) -> None:
    schedule.due({1: 0})
    taken(schedule)

    advance(14)
    assert taken(schedule) == []
    advance(1.1)
    assert taken(schedule) == [1]


def test_renewing_prolongs_a_hold(schedule: Any, advance: Callable[[float], None]) -> None:
    schedule.due({1: 0})
    taken(schedule)
    advance(10)
    schedule.renew([1], DRAIN)
    advance(10)

    assert taken(schedule) == []


def test_renewing_keeps_the_mark_that_work_came(schedule: Any) -> None:
    schedule.hand_out([1], MANY)
    schedule.hand_out([1], MANY)
    schedule.renew([1], DRAIN)

    assert schedule.release(released({1: None}), DRAIN) == [1]


def test_a_dead_drains_mark_does_not_lose_the_webhook(schedule: Any, advance: Callable[[float], None]) -> None:
    schedule.hand_out([1], MANY)
    schedule.hand_out([1], MANY)
    advance(15.1)

    assert taken(schedule) == [1]


def test_free_webhooks_are_handed_out_and_held(schedule: Any) -> None:
    assert schedule.hand_out([1, 2], MANY) == [1, 2]
    assert schedule.hand_out([1, 2, 3], MANY) == [3]


def test_handing_out_a_waiting_webhook_does_not_wait_for_its_time(schedule: Any) -> None:
    schedule.due({1: 3_600})

    assert schedule.hand_out([1], MANY) == [1]


def test_beyond_the_most_that_may_be_held_a_webhook_stays_due(schedule: Any) -> None:
    assert schedule.hand_out([1, 2, 3], 2) == [1, 2]
    assert taken(schedule, held_max=2) == []

    schedule.release(released({1: None}), DRAIN)
    assert taken(schedule, held_max=2) == [3]


def test_taking_stops_at_the_most_that_may_be_held(schedule: Any) -> None:
    schedule.due(dict.fromkeys(range(1, 6), 0))

    assert len(taken(schedule, held_max=3)) == 3
    assert taken(schedule, held_max=3) == []


def test_marked_webhooks_do_not_hide_those_behind_them(schedule: Any) -> None:
    schedule.hand_out(range(1, 51), MANY)
    schedule.hand_out(range(1, 51), MANY)
    schedule.due({99: 0})

    assert taken(schedule, limit=1) == [99]


def test_released_with_nothing_waiting_it_leaves_the_clock(schedule: Any) -> None:
    schedule.hand_out([1], MANY)

    assert schedule.release(released({1: None}), DRAIN) == []
    assert schedule.sizes() == {"due": 0, "held": 0}


def test_released_with_a_later_delivery_it_is_due_then(schedule: Any, waits: Callable[[], dict[int, float]]) -> None:
    schedule.hand_out([1], MANY)

    assert schedule.release(released({1: 20.0}), DRAIN) == []
    assert waits() == {1: pytest.approx(20, abs=ABOUT_S)}
    assert schedule.sizes()["held"] == 0


@pytest.mark.parametrize("wait_s", [0.0, -3.0])
def test_what_has_work_now_stays_held_and_goes_on(schedule: Any, wait_s: float) -> None:
    schedule.hand_out([1, 2], MANY)

    assert schedule.release(released({1: wait_s, 2: None}), DRAIN) == [1]
    assert schedule.sizes() == {"due": 1, "held": 1}


@pytest.mark.parametrize("wait_s", [None, 20.0])
def test_what_got_work_meanwhile_stays_held_and_goes_on_once(schedule: Any, wait_s: float | None) -> None:
    schedule.hand_out([1], MANY)
    schedule.hand_out([1], MANY)

    assert schedule.release(released({1: wait_s}), DRAIN) == [1]
    assert taken(schedule) == []
    assert schedule.release(released({1: None}), DRAIN) == []


def test_a_time_set_meanwhile_survives_the_release(schedule: Any, waits: Callable[[], dict[int, float]]) -> None:
    schedule.hand_out([1], MANY)
    schedule.due({1: 5})

    assert schedule.release(released({1: None}), DRAIN) == []
    assert waits() == {1: pytest.approx(5, abs=ABOUT_S)}


def test_a_time_set_meanwhile_survives_the_release_for_a_later_one(
    schedule: Any, waits: Callable[[], dict[int, float]]
) -> None:
    schedule.hand_out([1], MANY)
    schedule.due({1: 5})

    assert schedule.release(released({1: 100.0}), DRAIN) == []
    assert waits() == {1: pytest.approx(5, abs=ABOUT_S)}


def paused(schedule: Any, webhook: int, pause_s: float, wait_s: float | None = 0.0) -> Any:
    schedule.hand_out([webhook], MANY)
    return schedule.release([Release(webhook_id=webhook, wait_s=wait_s, pause_s=pause_s)], DRAIN)


def test_a_paused_webhook_is_due_when_its_pause_ends_and_not_before(
    schedule: Any, advance: Callable[[float], None], waits: Callable[[], dict[int, float]]
) -> None:
    assert paused(schedule, 1, 30.0) == []

    assert waits() == {1: pytest.approx(30, abs=ABOUT_S)}
    assert schedule.pauses() == {1: pytest.approx(30, abs=ABOUT_S)}
    assert schedule.sizes()["held"] == 0
    advance(29)
    assert taken(schedule) == []
    advance(1.1)
    assert taken(schedule) == [1]
    assert schedule.pauses() == {}


def test_a_pause_outlasts_work_that_comes_later(schedule: Any, waits: Callable[[], dict[int, float]]) -> None:
    paused(schedule, 1, 30.0, wait_s=None)

    assert schedule.hand_out([1], MANY) == []
    schedule.due({1: 5.0})
    assert waits() == {1: pytest.approx(30, abs=ABOUT_S)}
    assert taken(schedule) == []


def test_a_mark_that_work_came_is_kept_through_a_pause(
    schedule: Any, advance: Callable[[float], None], waits: Callable[[], dict[int, float]]
) -> None:
    schedule.hand_out([1], MANY)
    schedule.hand_out([1], MANY)

    assert schedule.release([Release(webhook_id=1, wait_s=None, pause_s=30.0)], DRAIN) == []
    assert waits() == {1: pytest.approx(30, abs=ABOUT_S)}


def test_a_delivery_that_is_due_after_the_pause_keeps_its_time(
    schedule: Any, waits: Callable[[], dict[int, float]]
) -> None:
    paused(schedule, 1, 30.0, wait_s=100.0)

    assert waits() == {1: pytest.approx(100, abs=ABOUT_S)}


def test_a_paused_webhook_with_nothing_waiting_is_not_in_the_clock(
    schedule: Any, waits: Callable[[], dict[int, float]]
) -> None:
    paused(schedule, 1, 30.0, wait_s=None)

    assert waits() == {}
    assert schedule.pauses() == {1: pytest.approx(30, abs=ABOUT_S)}


def test_resuming_ends_the_pause_and_forgets_the_health(schedule: Any) -> None:
    schedule.hand_out([1], MANY)
    ill = Health(window=1.0, consecutive_failures=12, probes=1)
    schedule.release([Release(webhook_id=1, wait_s=0.0, pause_s=30.0, health=ill)], DRAIN)
    assert schedule.healths([1]) == {1: ill}

    schedule.resume([1])
    schedule.due({1: 0.0})
    assert schedule.healths([1]) == {}
    assert taken(schedule) == [1]


def test_releasing_nothing_asks_nobody(schedule: Any) -> None:
    assert schedule.release(released({}), DRAIN) == []


def test_one_fan_out_message_waits_at_a_time(schedule: Any) -> None:
    assert schedule.claim_fan_out()
    assert not schedule.claim_fan_out()

    schedule.fan_out_begun()
    assert schedule.claim_fan_out()


def test_a_lost_fan_out_message_is_sent_again_after_two_seconds(
    schedule: Any, advance: Callable[[float], None]
) -> None:
    schedule.claim_fan_out()
    advance(1.5)
    assert not schedule.claim_fan_out()
    advance(0.6)
    assert schedule.claim_fan_out()


def shall_reconcile(schedule: Any, within_s: float = 15) -> bool:
    return schedule.beat(silence_s=60, reconciled_s=within_s).reconcile


def test_one_worker_reconciles_an_interval(schedule: Any, advance: Callable[[float], None]) -> None:
    assert shall_reconcile(schedule)
    assert not shall_reconcile(schedule)

    advance(14)
    assert not shall_reconcile(schedule)
    advance(1.1)
    assert shall_reconcile(schedule)
    assert not shall_reconcile(schedule)


def test_one_worker_prunes_an_interval(schedule: Any, advance: Callable[[float], None]) -> None:
    assert schedule.claim_prune(3_600)
    assert not schedule.claim_prune(3_600)

    advance(3_500)
    assert schedule.claim_prune(3_600)


def test_health_is_kept_and_absent_where_unknown(schedule: Any) -> None:
    known = Health(window=12.5, consecutive_failures=2, latency_s=0.25, probes=3)
    schedule.store_healths({1: known})

    assert schedule.healths([1, 2]) == {1: known}
    assert schedule.healths([]) == {}


def test_the_first_due_tells_that_something_changed(schedule: Any) -> None:
    assert schedule.first_due() is None
    schedule.due({1: 10})
    first = schedule.first_due()
    schedule.due({2: 20})
    assert schedule.first_due() == first
    schedule.due({3: 5})
    assert schedule.first_due() < first


OTHER = "2/drain"


def handed_to(schedule: Any, token: str, *webhooks: int) -> None:
    """The webhooks are held by the drain of that token."""
    schedule.hand_out(webhooks, MANY)
    assert schedule.renew(webhooks, token) == []


def test_a_drain_that_was_silent_for_too_long_does_not_end_its_successors_hold(
    schedule: Any, advance: Callable[[float], None]
) -> None:
    handed_to(schedule, DRAIN, 1)
    advance(15.1)
    assert taken(schedule) == [1]
    assert schedule.renew([1], OTHER) == []

    assert schedule.renew([1], DRAIN) == [1]
    assert schedule.release(released({1: 0.0}), DRAIN) == []

    assert schedule.sizes() == {"due": 1, "held": 1}
    assert taken(schedule) == []  # a third drain gets nothing
    schedule.renew([1], OTHER)
    assert schedule.release(released({1: None}), OTHER) == [1]  # it was told that there is work
    assert schedule.release(released({1: None}), OTHER) == []
    assert schedule.sizes() == {"due": 0, "held": 0}


def test_a_drain_that_was_silent_goes_on_where_no_other_has_begun(
    schedule: Any, advance: Callable[[float], None]
) -> None:
    handed_to(schedule, DRAIN, 1)
    advance(15.1)
    taken(schedule)  # the message is on its way

    assert schedule.renew([1], DRAIN) == []
    assert schedule.renew([1], OTHER) == [1]
    assert schedule.release(released({1: None}), DRAIN) == [1]


def test_a_message_that_comes_twice_begins_one_drain(schedule: Any) -> None:
    schedule.hand_out([1, 2], MANY)

    assert schedule.renew([1, 2], DRAIN) == []
    assert schedule.renew([1, 2], OTHER) == [1, 2]


def test_what_another_drain_holds_is_due_when_this_one_says_and_its_health_is_the_others(
    schedule: Any, waits: Callable[[], dict[int, float]]
) -> None:
    handed_to(schedule, OTHER, 1)

    found = Release(webhook_id=1, wait_s=5.0, pause_s=30.0, health=Health(window=1.0))
    assert schedule.release([found], DRAIN) == []

    assert waits() == {1: pytest.approx(5, abs=ABOUT_S)}
    assert (schedule.pauses(), schedule.healths([1])) == ({}, {})


@pytest.mark.parametrize(("goes_on", "foreign"), [(True, [1]), (False, [])])
def test_what_has_work_stays_with_the_drain_or_is_for_the_next(
    schedule: Any, goes_on: bool, foreign: list[Any] | list[int]
) -> None:
    handed_to(schedule, DRAIN, 1)

    assert schedule.release(released({1: 0.0}), DRAIN, goes_on=goes_on) == [1]

    assert taken(schedule) == []
    assert schedule.renew([1], OTHER) == foreign


def test_a_hold_that_ran_out_is_anybodys(schedule: Any, advance: Callable[[float], None]) -> None:
    handed_to(schedule, DRAIN, 1)
    advance(15.1)

    assert schedule.renew([1], OTHER) == []


def test_what_dead_processes_held_is_due_at_once_and_what_the_living_hold_is_not(kind: Kind, schedule: Any) -> None:
    kind.beat(2)
    kind.beat(3)
    handed_to(schedule, DRAIN, 1)
    handed_to(schedule, OTHER, 2, 3)
    handed_to(schedule, "3/drain", 4)

    assert schedule.free([2]) == 2

    assert sorted(taken(schedule)) == [2, 3]
    assert schedule.renew([1, 4], "4/drain") == [1, 4]


def test_what_no_drain_has_begun_with_is_due_when_a_process_dies(kind: Kind, schedule: Any) -> None:
    kind.beat(2)
    schedule.hand_out([1, 2], MANY)

    assert schedule.free([2]) == 2
    assert sorted(taken(schedule)) == [1, 2]


def test_the_dead_are_freed_once(kind: Kind, schedule: Any) -> None:
    kind.beat(2)
    handed_to(schedule, OTHER, 1)

    assert schedule.free([2]) == 1
    schedule.hand_out([1], MANY)
    assert schedule.free([2]) is None
    assert taken(schedule) == []


def test_who_says_nothing_is_silent(kind: Kind, schedule: Any, advance: Callable[[float], None]) -> None:
    def silent() -> tuple[int, ...]:
        return schedule.beat(silence_s=2, reconciled_s=15).silent

    assert silent() == ()
    kind.beat(2)
    kind.beat(3)
    advance(1.5)
    kind.beat(3)
    assert silent() == ()

    advance(1.0)
    assert silent() == (2,)
    kind.beat(2)
    assert silent() == ()


def test_where_redis_was_restarted_what_no_drain_has_begun_with_is_due(schedule: Any) -> None:
    handed_to(schedule, DRAIN, 1)
    schedule.hand_out([2], MANY)

    assert schedule.beat(silence_s=60, reconciled_s=15).restarted
    assert schedule.free([], restarted=True) == 1

    assert taken(schedule) == [2]
    assert not schedule.beat(silence_s=60, reconciled_s=0).restarted


def test_what_a_drain_could_not_release_is_due_when_it_is_let_go(schedule: Any) -> None:
    handed_to(schedule, DRAIN, 1, 2)
    schedule.abandon([1], DRAIN)
    assert taken(schedule) == []

    schedule.release_abandoned()
    assert taken(schedule) == [1]
    schedule.renew([1], OTHER)
    schedule.release_abandoned()
    assert taken(schedule) == []


def test_what_another_drain_holds_by_now_is_not_let_go(schedule: Any, advance: Callable[[float], None]) -> None:
    handed_to(schedule, DRAIN, 1)
    schedule.abandon([1], DRAIN)
    advance(15.1)
    taken(schedule)
    schedule.renew([1], OTHER)

    schedule.release_abandoned()

    assert taken(schedule) == []
