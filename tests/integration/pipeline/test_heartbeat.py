"""Processes that die, are slow, or lose a server: what their drains hold, and who makes up for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dispatcher.errors import ScheduleUnavailable, StorageUnavailable
from dispatcher.ids import new_lease_token
from dispatcher.pipeline.drain.holds import Holds
from dispatcher.pipeline.heartbeat import Heartbeat
from dispatcher.schedule.schedule import Release
from dispatcher.storage.engine import Storage, rows
from dispatcher.storage.pipeline.owners import Presence
from tests.integration.pipeline.conftest import Flow
from tests.support.fakes import FakeClock
from tests.support.waiting import eventually

END_SESSIONS = """
select pg_terminate_backend(pid) from pg_stat_activity
where query like 'select pg_try_advisory_lock%' and datname = current_database()
"""
DEAD, LIVING = 2**62 - 7, 3


@pytest.fixture
def presence(storage: Storage, clock: FakeClock) -> Iterator[Presence]:
    made = Presence(storage.engine, 1, clock)
    yield made
    made.close()


@pytest.fixture
def reconciled() -> list[float]:
    """When the clock was compared with the rows."""
    return []


@pytest.fixture
def heartbeat(
    storage: Storage, schedule: Any, presence: Presence, clock: FakeClock, reconciled: list[float]
) -> Heartbeat:
    return Heartbeat(storage, schedule, presence, lambda: reconciled.append(clock.now_s), every_s=15.0)


@contextmanager
def session(storage: Storage, owner: int) -> Iterator[Any]:
    """The process of that number has one."""
    presence = Presence(storage.engine, owner)
    presence.keep()
    yield
    presence.close()


def held_by(schedule: Any, owner: int, webhook: int) -> None:
    schedule.hand_out([webhook], 100)
    schedule.renew([webhook], f"{owner}/drain")
    schedule.beat_of(owner)


def taken(schedule: Any) -> list[int]:
    return schedule.take(10, 100)[0]


def test_what_a_dead_process_held_is_due_and_its_lost_messages_are_made_up_for(
    heartbeat: Heartbeat, schedule: Any, clock: FakeClock, reconciled: list[float]
) -> None:
    heartbeat.beat()
    held_by(schedule, DEAD, 1)
    clock.advance(4)

    heartbeat.beat()

    assert taken(schedule) == [1]
    assert len(reconciled) == 2


def test_a_process_that_is_slow_keeps_what_it_holds(
    heartbeat: Heartbeat, schedule: Any, clock: FakeClock, storage: Storage, reconciled: list[float]
) -> None:
    heartbeat.beat()
    with session(storage, LIVING):
        held_by(schedule, LIVING, 1)
        clock.advance(10)

        heartbeat.beat()

    assert taken(schedule) == []
    assert len(reconciled) == 1


def leased_by(flow: Flow, owner: int) -> None:
    flow.sql(
        "insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, next_attempt_at, lease_token)"
        " values (%(owner)s, %(owner)s, 1, gen_random_uuid(), now() + interval '1 minute', %(token)s)",
        owner=owner,
        token=str(new_lease_token(owner)),
    )


def due(flow: Flow) -> list[int]:
    return [id_ for (id_,) in flow.sql("select id from dispatcher.deliveries_waiting where next_attempt_at <= now()")]


def test_what_a_dead_process_had_leased_is_due_a_beat_later(
    heartbeat: Heartbeat,
    schedule: Any,
    clock: FakeClock,
    storage: Storage,
    flow: Flow,
    reconciled: list[float],
) -> None:
    for _ in range(2):  # the first on this Redis, and what follows of that
        heartbeat.beat()
    with session(storage, LIVING):
        for owner in (DEAD, LIVING):
            leased_by(flow, owner)
            schedule.beat_of(owner)
        clock.advance(4)
        heartbeat.beat()
        assert due(flow) == []
        clock.advance(3)
        heartbeat.beat()

    assert due(flow) == [DEAD]
    assert reconciled[-1] == clock.now_s


def test_a_process_that_has_a_session_again_keeps_its_leases(
    heartbeat: Heartbeat, schedule: Any, clock: FakeClock, storage: Storage, flow: Flow
) -> None:
    for _ in range(2):
        heartbeat.beat()
    leased_by(flow, LIVING)
    schedule.beat_of(LIVING)
    clock.advance(4)
    heartbeat.beat()
    with session(storage, LIVING):
        clock.advance(3)
        heartbeat.beat()

    assert due(flow) == []


def test_after_redis_has_started_anew_all_are_asked_for(
    heartbeat: Heartbeat, clock: FakeClock, storage: Storage, flow: Flow
) -> None:
    with session(storage, LIVING):
        for owner in (DEAD, LIVING):
            leased_by(flow, owner)
        heartbeat.beat()  # the first on this Redis
        clock.advance(3)
        heartbeat.beat()

    assert due(flow) == [DEAD]


def test_one_that_starts_looks_at_who_was_silent_for_a_second(
    heartbeat: Heartbeat, schedule: Any, clock: FakeClock
) -> None:
    held_by(schedule, DEAD, 1)
    clock.advance(1)

    heartbeat.beat()

    assert taken(schedule) == [1]


def test_a_process_that_lost_its_session_and_speaks_keeps_what_it_holds(
    heartbeat: Heartbeat, schedule: Any, clock: FakeClock
) -> None:
    heartbeat.beat()
    held_by(schedule, LIVING, 1)
    clock.advance(3.5)

    heartbeat.beat()

    assert taken(schedule) == []


def test_a_session_ends_with_its_process(
    heartbeat: Heartbeat, schedule: Any, clock: FakeClock, storage: Storage
) -> None:
    with session(storage, LIVING):
        held_by(schedule, LIVING, 1)
    clock.advance(4)

    def freed() -> list[int]:
        heartbeat.beat()
        return taken(schedule)

    assert eventually(freed, 5, "the hold of a process whose session has ended being free") == [1]


def test_after_postgres_was_away_nobody_is_dead_until_all_can_have_their_sessions_again(
    heartbeat: Heartbeat, schedule: Any, presence: Presence, clock: FakeClock, storage: Storage
) -> None:
    heartbeat.beat()
    held_by(schedule, LIVING, 1)
    storage.read(rows, END_SESSIONS)
    eventually(lambda: presence.keep() or not presence.judges, 5, "the session being lost")

    clock.advance(14)
    heartbeat.beat()
    assert taken(schedule) == []

    schedule.renew([1], f"{LIVING}/drain")
    clock.advance(2)
    heartbeat.beat()
    assert taken(schedule) == [1]


def test_the_clock_is_compared_with_the_rows_at_the_start_and_at_each_interval(
    heartbeat: Heartbeat, clock: FakeClock, reconciled: list[float]
) -> None:
    began_s = clock.now_s
    for _ in range(40):
        heartbeat.beat()
        clock.advance(1)

    assert [at_s - began_s for at_s in reconciled] == [0, 15, 30]


def test_workers_that_start_together_compare_once_and_one_that_starts_later_again(
    heartbeat: Heartbeat,
    schedule: Any,
    presence: Presence,
    clock: FakeClock,
    storage: Storage,
    reconciled: list[float],
) -> None:
    def another() -> Heartbeat:
        return Heartbeat(storage, schedule, presence, lambda: reconciled.append(clock.now_s), every_s=15.0)

    heartbeat.beat()
    clock.advance(0.5)
    another().beat()
    assert len(reconciled) == 1

    clock.advance(1)
    another().beat()
    assert len(reconciled) == 2


def test_when_redis_answers_again_the_clock_is_rebuilt(
    heartbeat: Heartbeat, schedule: Any, clock: FakeClock, reconciled: list[float]
) -> None:
    heartbeat.beat()
    clock.advance(1)
    schedule.down = True
    with pytest.raises(ScheduleUnavailable):
        heartbeat.beat()
    schedule.down = False
    clock.advance(1)

    heartbeat.beat()

    assert len(reconciled) == 2


def test_what_could_not_be_released_while_redis_was_away_is_due_when_it_answers(
    heartbeat: Heartbeat, schedule: Any, clock: FakeClock
) -> None:
    heartbeat.beat()
    schedule.hand_out([1], 100)
    holds = Holds(schedule, 15.0, clock)
    holds.begin([1])
    schedule.down = True
    assert holds.release([Release(webhook_id=1)], goes_on=True) == []
    with pytest.raises(ScheduleUnavailable):
        heartbeat.beat()
    schedule.down = False

    heartbeat.beat()

    assert taken(schedule) == [1]


def test_the_next_drain_lets_go_of_what_the_last_could_not_release(schedule: Any, clock: FakeClock) -> None:
    schedule.hand_out([1, 2], 100)
    holds = Holds(schedule, 15.0, clock)
    holds.begin([1])
    schedule.down = True
    holds.release([Release(webhook_id=1)], goes_on=True)
    schedule.down = False

    Holds(schedule, 15.0, clock).begin([2])

    assert taken(schedule) == [1]


def test_a_rebuild_that_failed_is_made_up_for(
    storage: Storage, schedule: Any, presence: Presence, clock: FakeClock
) -> None:
    outcomes = iter([StorageUnavailable(), None, None])
    calls = []

    def reconcile() -> None:
        calls.append(clock.now_s)
        if (error := next(outcomes)) is not None:
            raise error

    heartbeat = Heartbeat(storage, schedule, presence, reconcile, every_s=15.0)
    with pytest.raises(StorageUnavailable):
        heartbeat.beat()
    clock.advance(1)
    heartbeat.beat()
    clock.advance(1)
    heartbeat.beat()

    assert len(calls) == 2
