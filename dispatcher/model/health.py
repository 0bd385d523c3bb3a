"""How a receiver is doing: its window, its failures in a row, and what both allow. A loss of it does no harm.

The window is the number of requests that may be in flight to one webhook. As TCP's, it grows slowly while things go
well and halves when they do not, so that a receiver in trouble is not pushed further into it.
"""

from dataclasses import dataclass, replace

from dispatcher.model.attempt import Status, is_success


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowPolicy:
    """Where a window starts and ends, and when answers are slow; sizes in requests."""

    start: int = 10
    ceiling: int = 200
    slow_after_s: float = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """Of one webhook. `window` is a float: it grows by fractions of a request."""

    window: float
    failures_in_a_row: int = 0
    latency_s: float = 0.0
    """Moving average of how long answers took, seconds."""

    @property
    def slots(self) -> int:
        """Requests that may be in flight."""
        return max(1, int(self.window))

    def is_slow(self, policy: WindowPolicy) -> bool:
        """Whether to drain it on the slow queue, so that it cannot fill the slots of the others."""
        return self.window < 2 or self.latency_s > policy.slow_after_s


def after(health: Health, status: str, took_s: float, policy: WindowPolicy) -> Health:
    """Health once an answer with `status` came after `took_s` seconds."""
    latency_s = took_s if health.latency_s == 0 else 0.8 * health.latency_s + 0.2 * took_s
    if is_success(status):
        # A round of `window` successes widens it by about a quarter, at least by one.
        grown = health.window + max(1.0, health.window / 4) / max(1.0, health.window)
        return Health(window=min(grown, float(policy.ceiling)), latency_s=latency_s)
    if _is_distress(status):
        return Health(
            window=max(1.0, health.window / 2),
            failures_in_a_row=health.failures_in_a_row + 1,
            latency_s=latency_s,
        )
    # Other 4xx say that the request is wrong, not that the receiver is in trouble.
    return replace(health, failures_in_a_row=0, latency_s=latency_s)


def _is_distress(status: str) -> bool:
    return status in (Status.TIMEOUT, Status.CONNECTION_FAILED, "429") or (len(status) == 3 and status[0] == "5")
