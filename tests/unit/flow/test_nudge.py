import threading
from dataclasses import dataclass

import pytest

from dispatcher.errors import QueueUnavailable, ScheduleUnavailable
from dispatcher.flow.nudge import APART_S, RETRY_S, Nudger, nudge
from tests.fakes import FakeClock, FakeQueue, MemorySchedule

STOP = threading.Event()


@dataclass
class Commits:
    """Notifications that arrive at once."""

    count: int = 0
    is_deaf: bool = False

    def wait(self, wait_s, stop):
        self.count, heard = max(0, self.count - 1), self.count > 0
        return heard


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def schedule(clock):
    return MemorySchedule(clock)


@pytest.fixture
def queue():
    return FakeQueue()


@pytest.fixture
def commits():
    return Commits()


@pytest.fixture
def outbox():
    """Ids of events that are in it."""
    return []


@pytest.fixture
def nudger(commits, schedule, queue, outbox, clock):
    return Nudger(commits, lambda: nudge(schedule, queue), lambda: bool(outbox), clock)


def test_a_commit_sends_one_message(nudger, commits, queue):
    commits.count = 1
    nudger.wait(1, STOP)
    nudger.wait(1, STOP)

    assert queue.fan_outs == 1


def test_nothing_is_sent_while_a_message_waits(nudger, commits, schedule, queue, clock):
    for _ in range(3):
        commits.count = 1
        nudger.wait(1, STOP)
        clock.advance(APART_S)
    assert queue.fan_outs == 1

    schedule.fan_out_begun()
    commits.count = 1
    nudger.wait(1, STOP)
    assert queue.fan_outs == 2


def test_commits_close_together_share_a_message(nudger, commits, schedule, queue, clock):
    commits.count = 3
    for _ in range(3):
        nudger.wait(1, STOP)
        schedule.fan_out_begun()
    assert queue.fan_outs == 1

    clock.advance(APART_S)
    nudger.wait(1, STOP)
    assert queue.fan_outs == 2


def test_a_broker_that_is_down_is_asked_again_until_it_has_taken_the_message(nudger, commits, queue, clock):
    queue.down = True
    commits.count = 1
    nudger.wait(1, STOP)
    queue.down = False
    nudger.wait(1, STOP)
    assert queue.fan_outs == 0

    clock.advance(RETRY_S)
    nudger.wait(1, STOP)
    assert queue.fan_outs == 1


def test_a_nudge_that_failed_does_not_stand_in_the_way_of_the_next(schedule, queue):
    queue.down = True
    with pytest.raises(QueueUnavailable):
        nudge(schedule, queue)

    queue.down = False
    nudge(schedule, queue)
    assert queue.fan_outs == 1


def test_a_clock_that_is_down_is_asked_again(commits, queue, clock):
    class Down:
        def claim_fan_out(self):
            raise ScheduleUnavailable

        fan_out_begun = claim_fan_out

    flag = Down()
    nudger = Nudger(commits, lambda: nudge(flag, queue), lambda: False, clock)
    commits.count = 1
    nudger.wait(1, STOP)

    flag.claim_fan_out = lambda: True
    clock.advance(RETRY_S)
    nudger.wait(1, STOP)
    assert queue.fan_outs == 1


@pytest.mark.parametrize(("is_deaf", "sent"), [(False, 0), (True, 1)])
def test_who_hears_nothing_looks_at_the_outbox(nudger, commits, outbox, queue, is_deaf, sent):
    commits.is_deaf = is_deaf
    nudger.look()
    nudger.wait(1, STOP)
    assert queue.fan_outs == 0  # it is empty

    outbox.append(1)
    nudger.look()
    nudger.wait(1, STOP)
    assert queue.fan_outs == sent
