"""Figures that only grow, from their sums in Redis. Every label is there from the beginning, so that a rate sees 0."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from dispatcher.model.counters import BOUNDS_S, OUTCOMES

_DUPLICATES = ("emit", "record")
_FINISHED = ("delivered", "failed")


def growing(sums: Mapping[str, int]) -> Iterator[Metric]:
    """Counters and histograms of `schedule.tally`'s sums."""
    yield _counter("attempts", "Requests that were recorded, by what came of them.", "outcome", OUTCOMES, sums)
    yield _counter("finished", "Deliveries that came to their end by an attempt or a loss.", "state", _FINISHED, sums)
    yield CounterMetricFamily(
        "dispatcher_losses", "Leases that ran out without a record: a worker died, or lost Postgres.",
        value=sums.get("losses", 0),
    )  # fmt: skip
    yield CounterMetricFamily(
        "dispatcher_secrets_unreadable",
        "Pauses of webhooks whose secrets no key of the worker's SECRET_KEYS opens.",
        value=sums.get("secrets_unreadable", 0),
    )
    yield _counter(
        "duplicates",
        "What came a second time and was not done twice: an emit of a known idempotency key (emit), a result of a"
        " delivery that another drain had got meanwhile (record).",
        "step",
        _DUPLICATES,
        sums,
        suffix="_prevented",
    )
    yield _histogram("first_attempt", "From the emit to the first attempt of a delivery; replays left out.", sums)
    yield _histogram("delivered", "From the emit to the end of the attempt that succeeded; replays left out.", sums)


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
