import threading
from dataclasses import dataclass
from typing import Any

import pytest

from dispatcher.errors import QueueUnavailable, ScheduleUnavailable, StorageUnavailable
from dispatcher.pipeline.nudge import APART_S, POLL_S, Nudger, nudge
from tests.support.fakes import FakeClock, FakeQueue, MemorySchedule

STOP = threading.Event()


@dataclass
class Commits:
    """Notifications that arrive at once."""

    count: int = 0
    is_deaf: bool = False

    def wait(self, wait_s: float, stop: threading.Event) -> bool:
        self.count, heard = max(0, self.count - 1), self.count > 0
        return heard


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def schedule(clock: FakeClock) -> MemorySchedule:
    return MemorySchedule(clock)


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue()


@pytest.fixture
def commits() -> Commits:
    return Commits()


@pytest.fixture
def outbox() -> list[int]:
    """Ids of events that are in it."""
    return []


@pytest.fixture
def nudger(commits: Any, schedule: Any, queue: Any, outbox: list[int], clock: FakeClock) -> Nudger:
    return Nudger(commits, lambda: nudge(schedule, queue), lambda: bool(outbox), clock)


def test_a_commit_sends_one_message(nudger: Nudger, commits: Any, queue: Any) -> None:
    commits.count = 1
    nudger.wait(1, STOP)
    nudger.wait(1, STOP)

    assert queue.fan_outs == 1


def test_nothing_is_sent_while_a_message_waits(
    nudger: Nudger, commits: Any, schedule: Any, queue: Any, clock: FakeClock
) -> None:
    for _ in range(3):
        commits.count = 1
        nudger.wait(1, STOP)
        clock.advance(APART_S)
    assert queue.fan_outs == 1

    schedule.fan_out_begun()
    commits.count = 1
    nudger.wait(1, STOP)
    assert queue.fan_outs == 2


def test_commits_close_together_share_a_message(
    nudger: Nudger, commits: Any, schedule: Any, queue: Any, clock: FakeClock
) -> None:
    commits.count = 3
    for _ in range(3):
        nudger.wait(1, STOP)
        schedule.fan_out_begun()
    assert queue.fan_outs == 1

    clock.advance(APART_S)
    nudger.wait(1, STOP)
    assert queue.fan_outs == 2


def test_a_broker_that_is_down_is_asked_again_until_it_has_taken_the_message(
    nudger: Nudger, commits: Any, queue: Any, clock: FakeClock
) -> None:
    queue.down = True
    commits.count = 1
    nudger.wait(1, STOP)
    queue.down = False
    nudger.wait(1, STOP)
    assert queue.fan_outs == 0

    clock.advance(POLL_S)
    nudger.wait(1, STOP)
    assert queue.fan_outs == 1


def test_a_nudge_that_failed_does_not_stand_in_the_way_of_the_next(schedule: Any, queue: Any) -> None:
    queue.down = True
    with pytest.raises(QueueUnavailable):
        nudge(schedule, queue)

    queue.down = False
    nudge(schedule, queue)
    assert queue.fan_outs == 1


def test_a_clock_that_is_down_is_asked_again(commits: Any, queue: Any, clock: FakeClock) -> None:
    class Down:
        def claim_fan_out(self) -> None:
            raise ScheduleUnavailable

        fan_out_begun = claim_fan_out

    flag: Any = Down()
    nudger = Nudger(commits, lambda: nudge(flag, queue), lambda: False, clock)
    commits.count = 1
    nudger.wait(1, STOP)

    flag.claim_fan_out = lambda: True
    clock.advance(POLL_S)
    nudger.wait(1, STOP)
    assert queue.fan_outs == 1


def test_a_message_that_was_lost_is_sent_again(
    nudger: Nudger, commits: Any, schedule: Any, outbox: list[int], queue: Any, clock: FakeClock
) -> None:
    outbox.append(1)
    commits.count = 1
    nudger.wait(1, STOP)
    schedule.fan_out_begun()  # its flag has expired

    nudger.wait(1, STOP)
    assert queue.fan_outs == 1

    clock.advance(POLL_S)
    nudger.wait(1, STOP)
    assert queue.fan_outs == 2


def test_a_flag_without_a_message_holds_nothing_up_for_longer_than_it_lasts(
    nudger: Nudger, commits: Any, schedule: Any, outbox: list[int], queue: Any, clock: FakeClock
) -> None:
    assert schedule.claim_fan_out()  # whoever did so never knew
    outbox.append(1)
    commits.count = 1
    for _ in range(3):
        nudger.wait(1, STOP)
        clock.advance(POLL_S)
    nudger.wait(1, STOP)

    assert queue.fan_outs == 1


def test_once_the_outbox_is_empty_nothing_more_is_done(
    nudger: Nudger, commits: Any, outbox: list[int], queue: Any, clock: FakeClock
) -> None:
    outbox.append(1)
    commits.count = 1
    nudger.wait(1, STOP)
    outbox.clear()
    for _ in range(3):
        clock.advance(POLL_S)
        nudger.wait(1, STOP)

    assert queue.fan_outs == 1


@pytest.mark.parametrize(("is_deaf", "sent"), [(False, 0), (True, 1)])
def test_who_hears_nothing_looks_at_the_outbox(
    nudger: Nudger, commits: Any, outbox: list[int], queue: Any, clock: FakeClock, is_deaf: bool, sent: int
) -> None:
    commits.is_deaf = is_deaf
    for _ in range(3):
        clock.advance(POLL_S)
        nudger.wait(1, STOP)
    assert queue.fan_outs == 0  # it is empty

    outbox.append(1)
    for _ in range(2):
        clock.advance(POLL_S)
        nudger.wait(1, STOP)
    assert queue.fan_outs == sent


def test_a_look_that_fails_comes_again(commits: Any, schedule: Any, queue: Any, clock: FakeClock) -> None:
    def unavailable() -> bool:
        raise StorageUnavailable("away")

    looks = [unavailable, lambda: True]
    nudger = Nudger(commits, lambda: nudge(schedule, queue), lambda: looks.pop(0)(), clock)
    commits.is_deaf = True
    while looks:
        nudger.wait(1, STOP)
        clock.advance(POLL_S)

    assert queue.fan_outs == 1
