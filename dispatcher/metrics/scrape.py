"""What /metrics of `web` shows, read from Postgres, Redis and the broker when it is asked for.

Not counted in this process: a number that is read from the rows is right after any restart, and the same for whichever
process answers. Counters are summed over all processes in Redis (`schedule.counters`). A part that does not respond
leaves its families out, and `dispatcher_up` says so. The number of series does not depend on that of the webhooks.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric

from dispatcher.broker.queue import Queue
from dispatcher.errors import DispatcherError
from dispatcher.metrics.counters import counter_families
from dispatcher.metrics.families import build_info, gauge, gauges
from dispatcher.metrics.families import counters as labelled_counter
from dispatcher.metrics.webhooks import due_by_queue, of_webhooks
from dispatcher.model.health import BreakerPolicy, WindowPolicy
from dispatcher.schedule.counters import Counters
from dispatcher.schedule.schedule import Schedule, Survey
from dispatcher.storage.admin import payload_retentions
from dispatcher.storage.engine import Storage
from dispatcher.storage.outboxes import registry
from dispatcher.storage.stats import certificates, table_sizes
from dispatcher.storage.stats.backlog import OVERDUE, Backlog, WebhookBacklog, measure

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
    families, up = [build_info()], dict.fromkeys(("redis", "postgres", "broker"), 1)
    overdue: Sequence[int] = ()
    backlog: Backlog | None = None
    webhooks: Sequence[WebhookBacklog] = ()

    with _noting(up, "redis"):
        overdue = schedule.overdue(OVERDUE)
        families += counter_families(counters.read())
    with _noting(up, "postgres"):
        backlog, webhooks = storage.read(measure, overdue)
        families += [*_backlog(backlog, storage), *_partitions(storage), *_outboxes(storage)]
        families += [_certificates(storage), *_erased(storage)]
    with _noting(up, "broker"):
        families.append(gauges("queue_messages", "Celery messages in the queue.", "queue", queue.lengths()))
    with _noting(up, "redis"):
        survey = schedule.survey([one.webhook_id for one in webhooks])
        families += _schedule(survey)
        if backlog is not None:
            families += due_by_queue(backlog, webhooks, survey, window)
            families += of_webhooks(backlog, webhooks, survey, breaker)
    families.insert(0, gauges("up", "1 if the part responded, 0 if not.", "part", up))
    return generate_latest(_registry(families))


@contextmanager
def _noting(up: dict[str, int], part: str) -> Iterator[None]:
    try:
        yield
    except DispatcherError:
        up[part] = 0


def _backlog(backlog: Backlog, storage: Storage) -> Iterator[Metric]:
    yield gauge("events_pending", "Events pending fan-out.", backlog.events_waiting)
    yield gauge(
        "events_pending_oldest_seconds",
        "Age of the oldest event pending fan-out; 0 if none.",
        backlog.oldest_event_age_s,
    )
    yield gauge(
        "backlog_is_exact", "1 if the backlog was counted, 0 if it is so large that it is estimated.", backlog.is_exact
    )
    yield gauges(
        "deliveries",
        "Stored deliveries by state; finished ones are estimated.",
        "state",
        {"pending": backlog.deliveries, **storage.read(table_sizes.finished_by_state)},
    )
    yield gauges(
        "deliveries_pending",
        "Pending deliveries: due, in flight (leased), backing off before the next attempt (retrying), behind an earlier"
        " one of the same resource (held_back), until they are fetched (kept), or of an inactive webhook (inactive).",
        "why",
        {why: getattr(backlog, why) for why in ("due", "leased", "retrying", "held_back", "kept", "inactive")},
    )


def _partitions(storage: Storage) -> Iterator[Metric]:
    tables = storage.read(table_sizes.partitions)
    for name, text, attribute in (
        ("partitions", "Partitions of the table.", "count"),
        ("partitions_ahead_days", "Days from today that already have a partition.", "days_ahead"),
        ("table_bytes", "Size of the table's partitions, without indexes.", "size_bytes"),
    ):
        yield gauges(name, text, "table", {one.table: getattr(one, attribute) for one in tables})


def _certificates(storage: Storage) -> Metric:
    return gauge(
        "client_certificates_expiring",
        f"Active webhooks whose client certificate expires within {certificates.SOON.days} days, or has.",
        storage.read(certificates.expiring),
    )


def _outboxes(storage: Storage) -> Iterator[Metric]:
    statuses = storage.read(registry.statuses)
    for name, text, attribute in (
        ("up", "1 if a worker has read the outbox within 30 s, 0 if not.", "is_up"),
        ("events_pending", "Events pending in the outbox; 100,000 stands for more.", "pending"),
        ("events_pending_oldest_seconds", "Age of the oldest of them; 0 if none.", "oldest_age_s"),
        ("events_failed", "Events that were set aside in the outbox, because they are invalid.", "failed"),
    ):
        yield gauges(f"outbox_{name}", text, "outbox", {one.name: getattr(one, attribute) or 0 for one in statuses})


def _erased(storage: Storage) -> Iterator[Metric]:
    totals = storage.read(payload_retentions.totals)
    reasons = {"subject": totals.subject, "retention": totals.retention}
    text = "Payloads erased: of a person (subject), or kept for as long as their event type says (retention)."
    yield labelled_counter("payloads_erased", text, "reason", reasons)
    yield gauge("erasures_pending", "Erasures of persons that are not finished.", totals.pending)


def _schedule(survey: Survey) -> Iterator[Metric]:
    yield gauge("workers", "Workers that sent a heartbeat within 30 s.", len(survey.workers))
    yield gauges(
        "schedule_webhooks",
        "Webhooks in the schedule: with a due time (due), claimed by a drain (held), or backing off (paused).",
        "set",
        {"due": survey.due, "held": survey.held, "paused": survey.paused},
    )


def _registry(families: Sequence[Metric]) -> CollectorRegistry:
    class Families:
        """A collector of what was read already."""

        def collect(self) -> Iterator[Metric]:
            yield from families

    registry = CollectorRegistry()
    registry.register(Families())
    return registry
