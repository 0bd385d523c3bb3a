import threading

import pytest

from dispatcher.errors import ScheduleUnavailable
from dispatcher.flow import nudge
from dispatcher.flow.nudge import SKIP_S, SOON_LIMIT_S, Nudger
from tests.conftest import eventually
from tests.fakes import FakeClock, FakeQueue, MemorySchedule


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def queue():
    return FakeQueue()


class Hung:
    """A flag that does not answer until it is let go."""

    def __init__(self):
        self.asked = 0
        self.go = threading.Event()

    def claim_fan_out(self):
        self.asked += 1
        self.go.wait(10)
        return False


class Down:
    def __init__(self):
        self.asked = 0

    def claim_fan_out(self):
        self.asked += 1
        raise ScheduleUnavailable


def test_many_nudges_send_one_message(clock, queue):
    nudger = Nudger(MemorySchedule(clock), queue, clock)

    assert all(nudger.nudge() for _ in range(5))
    assert queue.fan_outs == 1


def test_once_the_message_was_taken_the_next_nudge_sends_another(clock, queue):
    schedule = MemorySchedule(clock)
    nudger = Nudger(schedule, queue, clock)

    nudger.nudge()
    schedule.fan_out_begun()
    nudger.nudge()

    assert queue.fan_outs == 2


def test_a_hung_redis_is_waited_for_no_longer_than_the_limit(clock, queue, monkeypatch):
    waited = []
    monkeypatch.setattr(nudge._Thread, "run", lambda self, limit_s: waited.append(limit_s) or "hung")
    Nudger(MemorySchedule(clock), queue, clock).nudge()

    assert waited == [0.1]


@pytest.mark.parametrize("kind", [Hung, Down])
def test_after_a_failure_nudges_are_skipped_for_five_seconds(clock, queue, kind):
    flag = kind()
    nudger = Nudger(flag, queue, clock)

    assert not nudger.nudge()
    clock.advance(SKIP_S - 0.01)
    assert not any(nudger.nudge() for _ in range(10))
    assert flag.asked == 1

    clock.advance(0.02)
    assert not nudger.nudge()
    assert flag.asked == 2
    if isinstance(flag, Hung):
        flag.go.set()
    assert queue.fan_outs == 0


def test_a_broker_that_is_down_raises_nothing(clock, queue):
    queue.down = True
    nudger = Nudger(MemorySchedule(clock), queue, clock)

    assert nudger.nudge() is False


def test_a_failure_of_any_kind_counts_as_one(clock, queue, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # the thread's, not this test's

    class Broken:
        def claim_fan_out(self):
            raise RuntimeError("a library's own error")

    assert Nudger(Broken(), queue, clock).nudge() is False


def test_many_nudges_that_nobody_waits_for_become_few(clock, queue):
    schedule = MemorySchedule(clock)
    nudger = Nudger(schedule, queue, clock)

    for _ in range(100):
        nudger.nudge_soon()
    eventually(lambda: queue.fan_outs)
    assert queue.fan_outs == 1

    schedule.fan_out_begun()
    nudger.nudge_soon()
    eventually(lambda: queue.fan_outs == 2)


def test_one_that_nobody_waits_for_does_not_wait_for_a_hung_redis(clock, queue):
    flag = Hung()
    nudger = Nudger(flag, queue, clock)

    nudger.nudge_soon()
    eventually(lambda: flag.asked)
    assert nudger.is_ready
    clock.advance(SOON_LIMIT_S + 0.1)
    assert not nudger.is_ready
    flag.go.set()
