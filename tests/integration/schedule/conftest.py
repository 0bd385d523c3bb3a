"""Both clocks, the one in Redis and the one in memory, and a way to move the time of either."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from dispatcher.schedule.schedule import DUE, FAN_OUT, HELD, OWNERS, PAUSED, PRUNE, RECONCILE, Schedule
from tests.support.fakes import FakeClock, MemorySchedule

HOLD_S = 15.0


@dataclass(frozen=True, slots=True)
class Kind:
    """A schedule under test, of process 1; `advance` makes so many seconds pass for it.

    `waits` says when each webhook is due; `beat` is that of another process.
    """

    schedule: Any
    advance: Callable[[float], None]
    waits: Callable[[], dict[int, float]]
    beat: Callable[[int], object]


@pytest.fixture(params=["redis", "memory"])
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    if request.param == "memory":
        clock = FakeClock()
        memory = MemorySchedule(clock, hold_s=HOLD_S)
        yield Kind(memory, clock.advance, memory.waits, memory.beat_of)
        return
    client = request.getfixturevalue("redis_client")

    def advance(seconds: float) -> None:
        """Redis' own time cannot be moved, so everything in it is made so much older."""
        for key in (DUE, HELD, PAUSED, OWNERS):
            for member, score in client.zrange(key, 0, -1, withscores=True):
                client.zadd(key, {member: score - seconds * 1000})
        for key in (FAN_OUT, PRUNE):
            if (left_ms := client.pttl(key)) > 0:
                client.pexpire(key, max(1, int(left_ms - seconds * 1000)))
                if left_ms <= seconds * 1000:
                    client.delete(key)
        if last := client.get(RECONCILE):
            run, at_ms = last.split()
            client.set(RECONCILE, f"{run} {int(at_ms) - int(seconds * 1000)}")

    def waits() -> dict[int, float]:
        seconds, micros = client.time()
        now_ms = seconds * 1000 + micros / 1000
        return {int(member): (score - now_ms) / 1000 for member, score in client.zrange(DUE, 0, -1, withscores=True)}

    def beat(owner: int) -> None:
        other = Schedule(request.getfixturevalue("redis_url"), owner=owner)
        other.beat(silence_s=60, reconciled_s=3_600)
        other.close()

    real = Schedule(request.getfixturevalue("redis_url"), hold_s=HOLD_S)
    yield Kind(real, advance, waits, beat)
    real.close()


@pytest.fixture
def schedule(kind: Kind) -> Any:
    return kind.schedule


@pytest.fixture
def advance(kind: Kind) -> Callable[[float], None]:
    return kind.advance


@pytest.fixture
def waits(kind: Kind) -> Callable[[], dict[int, float]]:
    return kind.waits
