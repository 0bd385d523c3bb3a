"""How a receiver is doing: its window, its breaker, and what both allow. A loss of it does no harm.

The window is the number of requests that may be in flight to one webhook. As TCP's, it grows slowly while things go
well and halves when they do not, so that a receiver in trouble is not pushed further into it.

The breaker opens after some failures in a row. Nothing is sent then but one probe at a time, further and further apart;
pending deliveries stay unsent and use up no attempts. A probe that succeeds closes it, and the window grows from 1.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass, replace

from dispatcher.model.attempt import Status, is_success


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowPolicy:
    """Where a window starts and ends, and when responses are slow; sizes in requests."""

    start: int = 10
    ceiling: int = 200
    slow_after_s: float = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, in failures in a row, and the pauses before each probe: doubling, each way ± `jitter`."""

    opens_after: int = 10
    first_pause_s: float = 10.0
    longest_pause_s: float = 600.0
    jitter: float = 0.2

    def pause_s(self, probes: int, rng: random.Random) -> float:
        """Seconds to pause after `probes` probes have failed."""
        pause_s = min(self.first_pause_s * 2.0 ** min(probes, 60), self.longest_pause_s)
        return min(pause_s * (1 + self.jitter * (2 * rng.random() - 1)), self.longest_pause_s)


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """Of one webhook. `window` is a float: it grows by fractions of a request."""

    window: float
    consecutive_failures: int = 0
    latency_s: float = 0.0
    """How long responses take, seconds: about their median (`_latency_s`)."""
    probes: int = 0
    """Probes that failed since the breaker opened."""

    @classmethod
    def fresh(cls, policy: WindowPolicy) -> "Health":
        """Of an endpoint without history."""
        return cls(window=float(policy.start))

    @property
    def slots(self) -> int:
        """Requests that may be in flight."""
        return max(1, int(self.window))

    def is_open(self, policy: BreakerPolicy) -> bool:
        """Whether only a probe may be sent."""
        return self.consecutive_failures >= policy.opens_after

    def is_slow(self, policy: WindowPolicy) -> bool:
        """Whether to drain it on the slow queue, so that it cannot fill the slots of the others."""
        return self.window < 2 or self.latency_s > policy.slow_after_s


def after(
    health: Health, status: str, took_s: float, policy: WindowPolicy, codes: Collection[str] | None = None
) -> Health:
    """Health once a response with `status` came after `took_s` seconds; `codes`: those that mean success."""
    latency_s = _latency_s(health.latency_s, took_s, policy)
    if is_success(status, codes):
        # A round of `window` successes widens it by about a quarter, at least by one.
        window = health.window + max(1.0, health.window / 4) / max(1.0, health.window)
        return Health(window=min(window, float(policy.ceiling)), latency_s=latency_s)
    if status in _OF_THE_REQUEST:
        return replace(health, consecutive_failures=0, latency_s=latency_s, probes=0)
    return replace(
        health,
        window=max(1.0, health.window / 2) if _is_distress(status) else health.window,
        consecutive_failures=health.consecutive_failures + 1,
        latency_s=latency_s,
    )


def _latency_s(previous_s: float, took_s: float, policy: WindowPolicy) -> float:
    """What is known, moved halfway to the new response, which counts for at most twice and at least a third of it.

    So one response moves it by half of itself or by a third, whichever way, and it settles where as many take longer as
    do not: at the median, and a few that hang make nobody slow.
    """
    if previous_s == 0:
        return min(took_s, policy.slow_after_s)
    previous_s = max(previous_s, 0.01)
    return (previous_s + min(max(took_s, previous_s / 3), 2 * previous_s)) / 2


_OF_THE_REQUEST = frozenset({"400", "413", "415", "422"})
"""These refuse the one request: the receiver is well enough to have read it."""


def _is_distress(status: str) -> bool:
    """Whether the receiver is overloaded or away, so that fewer requests at once would help."""
    return status in (Status.TIMEOUT, Status.CONNECTION_FAILED, "429") or (len(status) == 3 and status[0] == "5")
