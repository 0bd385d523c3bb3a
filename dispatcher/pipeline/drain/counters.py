"""The outcomes of claims and attempts, added to the counters once for each flush."""

from collections import Counter
from collections.abc import Callable, Sequence

from dispatcher.model.counters import bucket, outcome
from dispatcher.model.delivery import State
from dispatcher.schedule.counters import Counters
from dispatcher.storage.pipeline.deliveries import Claim, JudgedAttempt


class DrainCounters:
    """What a drain counts. `flushed` gets the results and seconds of each record."""

    def __init__(self, counters: Counters, flushed: Callable[[int, float], None] | None = None) -> None:
        self._counters = counters
        self._flushed = flushed

    def claimed(self, claim: Claim) -> None:
        """Counts the leases that had run out, and the deliveries that failed for it."""
        if claim.losses:
            self._counters.add({"losses": claim.losses, "finished:failed": claim.failed})

    def unreadable(self) -> None:
        """Counts a webhook that is paused because no key of SECRET_KEYS opens its secrets."""
        self._counters.add({"secrets_unreadable": 1})

    def recorded(self, finished: Sequence[JudgedAttempt], counted: int, took_s: float) -> None:
        """Counts what was recorded; `counted` is less than all where a lease had gone to another drain meanwhile."""
        sums: Counter[str] = Counter()
        for one in finished:
            claimed, result, state = one.claimed, one.result, one.verdict.state
            sums["attempts:" + outcome(result.status)] += 1
            if state is not State.PENDING:
                sums["finished:" + state.value] += 1
            if claimed.emitted_s is None:
                continue
            if claimed.attempt_number == 1:
                _time(sums, "first_attempt", result.started_s - claimed.emitted_s)
            if state is State.DELIVERED:
                _time(sums, "delivered", result.finished_s - claimed.emitted_s)
        if counted < len(finished):
            sums["duplicates:record"] += len(finished) - counted
        self._counters.add(sums)
        if self._flushed is not None:
            self._flushed(len(finished), took_s)


def _time(sums: Counter[str], span: str, seconds: float) -> None:
    seconds = max(0.0, seconds)  # an emitter may say that it happened in the future
    sums[f"{span}:{bucket(seconds)}"] += 1
    sums[f"{span}:us"] += int(seconds * 1_000_000)
