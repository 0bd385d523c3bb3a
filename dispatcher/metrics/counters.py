"""Counters and histograms, from their sums in Redis. Every label exists from the start, so that a rate sees 0."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from dispatcher.model.counters import BOUNDS_S, OUTCOMES

_DUPLICATES = ("emit", "record")
_FINISHED = ("delivered", "failed")


def counter_families(sums: Mapping[str, int]) -> Iterator[Metric]:
    """Counters and histograms of `schedule.counters`' sums."""
    yield _counter("attempts", "Recorded attempts by outcome.", "outcome", OUTCOMES, sums)
    yield _counter("finished", "Deliveries that finished by an attempt or a lost lease.", "state", _FINISHED, sums)
    yield CounterMetricFamily(
        "dispatcher_losses", "Leases that expired without a recorded attempt: a worker died or lost Postgres.",
        value=sums.get("losses", 0),
    )  # fmt: skip
    yield CounterMetricFamily(
        "dispatcher_secrets_unreadable",
        "Pauses of webhooks whose secrets no key in the worker's SECRET_KEYS decrypts.",
        value=sums.get("secrets_unreadable", 0),
    )
    yield _counter(
        "duplicates",
        "Duplicates that were discarded: emits with a known idempotency key (emit), and results of deliveries that"
        " another drain had claimed in the meantime (record).",
        "step",
        _DUPLICATES,
        sums,
        suffix="_prevented",
    )
    yield _histogram("first_attempt", "Seconds from emit to the first attempt, without replays.", sums)
    yield _histogram("delivered", "Seconds from emit to the end of the successful attempt, without replays.", sums)


def _counter(
    name: str, text: str, label: str, values: tuple[str, ...], sums: Mapping[str, int], suffix: str = ""
) -> Metric:
    noun = "deliveries_finished" if name == "finished" else name
    family = CounterMetricFamily(f"dispatcher_{noun}{suffix}", text, labels=[label])
    for value in values:
        family.add_metric([value], sums.get(f"{name}:{value}", 0))
    return family


def _histogram(span: str, text: str, sums: Mapping[str, int]) -> Metric:
    total, buckets = 0, []
    for index in range(len(BOUNDS_S) + 1):
        total += sums.get(f"{span}:{index}", 0)
        buckets.append((str(BOUNDS_S[index]) if index < len(BOUNDS_S) else "+Inf", total))
    return HistogramMetricFamily(
        f"dispatcher_{span}_seconds", text, buckets=buckets, sum_value=sums.get(f"{span}:us", 0) / 1_000_000
    )
