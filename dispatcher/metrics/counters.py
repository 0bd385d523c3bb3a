"""Counters and histograms, from their sums in Redis. Every label exists from the start, so that a rate sees 0."""

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from dispatcher.metrics.families import counter, counters
from dispatcher.model.alert import ChannelType
from dispatcher.model.counters import BOUNDS_S, OUTCOMES


def counter_families(sums: Mapping[str, int]) -> Iterator[Metric]:
    """Counters and histograms of `schedule.counters`' sums."""

    def by(name: str, labels: Sequence[str]) -> dict[str, int]:
        return {label: sums.get(f"{name}:{label}", 0) for label in labels}

    yield counters("attempts", "Recorded attempts by outcome.", "outcome", by("attempts", OUTCOMES))
    yield counters(
        "deliveries_finished",
        "Deliveries that finished by an attempt or a lost lease.",
        "state",
        by("finished", ("delivered", "failed")),
    )
    yield counter(
        "leases_lost",
        "Leases that expired without a recorded attempt: a worker died or lost Postgres.",
        sums.get("losses", 0),
    )
    yield counter(
        "secret_decryption_failures",
        "Pauses of webhooks whose secrets no key in the worker's SECRET_KEYS decrypts.",
        sums.get("secrets_unreadable", 0),
    )
    yield counters(
        "duplicates_prevented",
        "Duplicates that were discarded: emits with a known idempotency key (emit), and results of deliveries that"
        " another drain had claimed in the meantime (record).",
        "step",
        by("duplicates", ("emit", "record")),
    )
    yield _alerts(sums)
    yield _histogram("first_attempt", "Seconds from emit to the first attempt, without replays.", sums)
    yield _histogram("delivered", "Seconds from emit to the end of the successful attempt, without replays.", sums)


def _alerts(sums: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(
        "dispatcher_alerts",
        "Messages of alerts to people that were taken (sent) or not.",
        labels=["channel", "outcome"],
    )
    for channel in ChannelType:
        for outcome in ("sent", "failed"):
            family.add_metric([channel, outcome], sums.get(f"alerts:{channel}:{outcome}", 0))
    return family


def _histogram(span: str, text: str, sums: Mapping[str, int]) -> Metric:
    total, buckets = 0, []
    for index, bound in enumerate([*map(str, BOUNDS_S), "+Inf"]):
        total += sums.get(f"{span}:{index}", 0)
        buckets.append((bound, total))
    return HistogramMetricFamily(
        f"dispatcher_{span}_seconds", text, buckets=buckets, sum_value=sums.get(f"{span}:us", 0) / 1_000_000
    )
