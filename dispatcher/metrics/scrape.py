"""The figures of /metrics, read from Postgres, Redis and the broker when they are asked for.

Not counted in this process: a figure that is read from the rows is right after any restart, and the same for whichever
process answers. What only grows is summed over all in Redis (`schedule.counters`). A part that does not answer
leaves its figures out, and `dispatcher_up` says so. The number of series does not depend on that of the webhooks.
"""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from dispatcher.broker.queue import Queue
from dispatcher.errors import DispatcherError
from dispatcher.metrics.build import build_info
from dispatcher.metrics.counters import counter_families
from dispatcher.metrics.webhooks import due_by_queue, of_webhooks
from dispatcher.model.health import BreakerPolicy, WindowPolicy
from dispatcher.schedule.counters import Counters
from dispatcher.schedule.schedule import Schedule, Survey
from dispatcher.storage.engine import Storage
from dispatcher.storage.stats import backlog, table_sizes
from dispatcher.storage.stats.backlog import Backlog, WebhookBacklog

__all__ = ["CONTENT_TYPE_LATEST", "scrape"]


def scrape(
    storage: Storage,
    schedule: Schedule,
    queue: Queue,
    counters: Counters,
    *,
    window: WindowPolicy,
    breaker: BreakerPolicy,
) -> bytes:
    """Everything, in Prometheus' text format. Never raises for a part that is down."""
    up = GaugeMetricFamily("dispatcher_up", "1 if the part responded, 0 if not.", labels=["part"])
    families: list[Metric] = [up, build_info()]

    def part(name: str, read: Callable[[], list[Metric]]) -> None:
        try:
            families.extend(read())
            up.add_metric([name], 1)
        except DispatcherError:
            up.add_metric([name], 0)

    overdue: list[int] = []
    waiting: list[tuple[Backlog, list[WebhookBacklog]]] = []
    part("redis", lambda: list(_grown(schedule, counters, overdue)))
    part("postgres", lambda: list(_rows(storage, overdue, waiting)))
    part("broker", lambda: list(_queues(queue)))
    try:
        families += _webhooks(schedule, waiting, window, breaker)
    except DispatcherError:
        up.samples[0] = up.samples[0]._replace(value=0.0)  # Redis went away in between
    return generate_latest(_registry(families))


def _grown(schedule: Schedule, counters: Counters, overdue: list[int]) -> Iterator[Metric]:
    overdue += schedule.overdue(backlog.OVERDUE)
    yield from counter_families(counters.read())


def _rows(
    storage: Storage, overdue: Sequence[int], waiting: list[tuple[Backlog, list[WebhookBacklog]]]
) -> Iterator[Metric]:
    found, webhooks = storage.read(backlog.measure, overdue)
    waiting.append((found, webhooks))
    yield _gauge("events_waiting", "Events pending fan-out.", found.events_waiting)
    yield _gauge(
        "events_waiting_oldest_seconds", "Age of the oldest event pending fan-out; 0 if none.", found.oldest_event_age_s
    )
    yield _gauge(
        "backlog_is_exact", "1 if the backlog was counted, 0 if it is so large that it is estimated.", found.is_exact
    )
    states = GaugeMetricFamily(
        "dispatcher_deliveries", "Stored deliveries by state; finished ones are estimated.", labels=["state"]
    )
    states.add_metric(["pending"], found.deliveries)
    for state, count in storage.read(table_sizes.finished_by_state).items():
        states.add_metric([state], count)
    yield states
    pending = GaugeMetricFamily(
        "dispatcher_deliveries_pending",
        "Pending deliveries: due, being sent (leased), backing off before the next attempt (retrying), behind an"
        " earlier one of the same resource (held_back), or of an inactive webhook (inactive).",
        labels=["why"],
    )
    for why in ("due", "leased", "retrying", "held_back", "inactive"):
        pending.add_metric([why], getattr(found, why))
    yield pending
    yield from _partitions(storage)


def _partitions(storage: Storage) -> Iterator[Metric]:
    count = GaugeMetricFamily("dispatcher_partitions", "Partitions of the table.", labels=["table"])
    ahead = GaugeMetricFamily(
        "dispatcher_partitions_ahead_days", "Days from today that already have a partition.", labels=["table"]
    )
    size = GaugeMetricFamily(
        "dispatcher_table_bytes", "Size of the table's partitions, without indexes.", labels=["table"]
    )
    for one in storage.read(table_sizes.partitions):
        count.add_metric([one.table], one.count)
        ahead.add_metric([one.table], one.days_ahead)
        size.add_metric([one.table], one.size_bytes)
    yield from (count, ahead, size)


def _webhooks(
    schedule: Schedule,
    waiting: list[tuple[Backlog, list[WebhookBacklog]]],
    window: WindowPolicy,
    breaker: BreakerPolicy,
) -> list[Metric]:
    found, webhooks = waiting[0] if waiting else (None, [])
    survey = schedule.survey([one.webhook_id for one in webhooks])
    families = list(_clock(survey))
    if found is not None:
        families += due_by_queue(found, webhooks, survey, window)
        families += of_webhooks(found, webhooks, survey, breaker)
    return families


def _clock(survey: Survey) -> Iterator[Metric]:
    yield _gauge("workers", "Workers that sent a heartbeat within 30 s.", len(survey.workers))
    clock = GaugeMetricFamily(
        "dispatcher_clock_webhooks",
        "Webhooks in the schedule: with a due time (due), claimed by a drain (held), or backing off (paused).",
        labels=["set"],
    )
    for name in ("due", "held", "paused"):
        clock.add_metric([name], getattr(survey, name))
    yield clock


def _queues(queue: Queue) -> Iterator[Metric]:
    messages = GaugeMetricFamily("dispatcher_queue_messages", "Celery messages in the queue.", labels=["queue"])
    for name, length in queue.lengths().items():
        messages.add_metric([name], length)
    yield messages


def _gauge(name: str, text: str, value: float | None) -> Metric:
    return GaugeMetricFamily(f"dispatcher_{name}", text, value=max(0.0, float(value or 0)))


def _registry(families: Sequence[Metric]) -> CollectorRegistry:
    class Read:
        """What was read already."""

        def collect(self) -> Iterator[Metric]:
            yield from families

    registry = CollectorRegistry()
    registry.register(Read())
    return registry
