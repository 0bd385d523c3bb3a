"""The figures of /metrics, read from Postgres, Redis and the broker when they are asked for.

Not counted in processes: a figure that is read from the rows is right after any restart, and the same for whichever
process answers. A part that does not answer leaves its figures out, and `dispatcher_up` says so.
"""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from dispatcher.errors import DispatcherError
from dispatcher.queue import Queue
from dispatcher.schedule.clock import Schedule
from dispatcher.storage import reports
from dispatcher.storage.engine import Storage

__all__ = ["CONTENT_TYPE_LATEST", "scrape"]


def scrape(storage: Storage, schedule: Schedule, queue: Queue) -> bytes:
    """Everything, in Prometheus' text format. Never raises for a part that is down."""
    registry = CollectorRegistry()
    up = Gauge("dispatcher_up", "Whether the part answered (1) or not (0).", ["part"], registry=registry)
    parts: dict[str, Callable[[], None]] = {
        "postgres": lambda: _rows(registry, storage),
        "redis": lambda: _clock(registry, schedule),
        "broker": lambda: _queues(registry, queue),
    }
    for name, read in parts.items():
        try:
            read()
            up.labels(name).set(1)
        except DispatcherError:
            up.labels(name).set(0)
    return generate_latest(registry)


def _rows(registry: CollectorRegistry, storage: Storage) -> None:
    backlog = storage.look(reports.backlog)
    webhooks = storage.look(reports.webhooks_with_backlog)
    for name, text, value in (
        ("events_waiting", "Events that were not fanned out yet; counted up to a million.", backlog.events_waiting),
        ("events_waiting_oldest_seconds", "Age of the oldest of these; 0 if none.", backlog.oldest_event_age_s),
        ("deliveries_due", "Deliveries due and not being sent; counted up to a million.", backlog.due),
        ("deliveries_due_oldest_seconds", "How long the oldest of these is due; 0 if none.", backlog.oldest_due_age_s),
        ("deliveries_retrying", "Deliveries that wait for their next try.", backlog.retrying),
        ("deliveries_leased", "Deliveries that a drain has claimed.", backlog.leased),
    ):
        Gauge(f"dispatcher_{name}", text, registry=registry).set(max(0.0, value or 0.0))
    waiting = Gauge(
        "dispatcher_webhook_deliveries_waiting",
        f"Deliveries that wait, of the 20 webhooks with the most; counted up to {reports.WEBHOOK_CAP}.",
        ["webhook_id", "account"],
        registry=registry,
    )
    for webhook in webhooks:
        waiting.labels(str(webhook.webhook_id), webhook.account_slug).set(webhook.waiting)


def _clock(registry: CollectorRegistry, schedule: Schedule) -> None:
    workers, sizes = schedule.workers(), schedule.sizes()
    Gauge("dispatcher_workers", "Workers seen within 30 s.", registry=registry).set(len(workers))
    clock = Gauge("dispatcher_clock_webhooks", "Webhooks in the clock: due, or held.", ["set"], registry=registry)
    for name, size in sizes.items():
        clock.labels(name).set(size)


def _queues(registry: CollectorRegistry, queue: Queue) -> None:
    lengths = queue.lengths()
    messages = Gauge("dispatcher_queue_messages", "Celery messages that wait.", ["queue"], registry=registry)
    for name, length in lengths.items():
        messages.labels(name).set(length)
