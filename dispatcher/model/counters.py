"""The counters: outcomes of attempts, and the buckets of how long deliveries took. Their number is fixed."""

from bisect import bisect_left

from dispatcher.model.attempt import Status

BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0, 21_600.0)
"""Upper ends of the buckets, seconds; one more takes what is longer. The retries of a delivery fill about 5 hours."""
OUTCOMES = ("2xx", "3xx", "4xx", "5xx", "other", *(status.value for status in Status))
"""Of an attempt: the class of the response's code, or why there was none."""

_OF_CODE = {"2": "2xx", "3": "3xx", "4": "4xx", "5": "5xx"}
_ITSELF = frozenset(status.value for status in Status)


def outcome(status: str) -> str:
    """The outcome of an attempt with this status."""
    return status if status in _ITSELF else _OF_CODE.get(status[:1], "other")


def bucket(seconds: float) -> int:
    """The index of the bucket; `len(BOUNDS_S)` is the one without an end."""
    return bisect_left(BOUNDS_S, seconds)
