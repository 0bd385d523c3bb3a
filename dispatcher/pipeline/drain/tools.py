"""What those who send deliveries have in common."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from dispatcher import clock
from dispatcher.broker.flower import AttemptEvent
from dispatcher.pipeline.drain.counters import DrainCounters
from dispatcher.pipeline.trace import TracesAttempts


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


@dataclass(kw_only=True, slots=True)
class Tools:
    """What is the same for all deliveries of a process, or is given by tests.

    `owner` is the process's number, which its leases bear. `publish` is called with each attempt that Flower shows,
    `traces` hears of those that are traced. `wait` is what is done with seconds in which there is nothing else to do.
    """

    rng: random.Random
    owner: int = 1
    publish: Callable[[AttemptEvent], None] | None = None
    counters: DrainCounters | None = None
    traces: TracesAttempts | None = None
    monotonic: Callable[[], float] = clock.monotonic
    wait: Callable[[float], None] = _wait
