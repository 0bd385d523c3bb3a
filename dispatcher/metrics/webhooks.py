"""Figures of the webhooks that are worst off, and of the queues they are drained on. All others are one number."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from dispatcher.broker.names import DELIVERIES, DELIVERIES_SLOW
from dispatcher.model.health import BreakerPolicy, WindowPolicy
from dispatcher.schedule.schedule import Survey
from dispatcher.storage.stats.backlog import Backlog, WebhookBacklog

NAMED = 20
"""Webhooks with series of their own."""
PAUSED = "paused"
"""In place of a queue: webhooks backing off, because their breaker is open or they sent Retry-After."""


def due_by_queue(
    found: Backlog, webhooks: Sequence[WebhookBacklog], survey: Survey, window: WindowPolicy
) -> Iterator[Metric]:
    """How much is due, and since when, per queue.

    A webhook belongs to the queue that its health says. What is not of the webhooks with the most counts as healthy.
    """
    counts, ages = dict.fromkeys((DELIVERIES, DELIVERIES_SLOW, PAUSED), 0), dict[str, float]()
    for one in webhooks:
        queue = _queue(one.webhook_id, survey, window)
        counts[queue] += one.due if one.active else 0
        ages[queue] = max(ages.get(queue, 0.0), one.due_age_s or 0.0)
    counts[DELIVERIES] = max(counts[DELIVERIES], found.due - counts[DELIVERIES_SLOW] - counts[PAUSED])
    if (found.oldest_due_age_s or 0.0) > max(ages.values(), default=0.0):
        ages[DELIVERIES] = found.oldest_due_age_s or 0.0
    due = GaugeMetricFamily(
        "dispatcher_deliveries_due", "Deliveries that are due and not being sent.", labels=["queue"]
    )
    oldest = GaugeMetricFamily(
        "dispatcher_deliveries_due_oldest_seconds",
        "Seconds since the oldest due delivery became due; 0 if none.",
        labels=["queue"],
    )
    for queue, count in counts.items():
        due.add_metric([queue], count)
        oldest.add_metric([queue], max(0.0, ages.get(queue, 0.0)))
    yield from (due, oldest)


def of_webhooks(
    found: Backlog, webhooks: Sequence[WebhookBacklog], survey: Survey, breaker: BreakerPolicy
) -> Iterator[Metric]:
    """Of the webhooks with the most deliveries that wait: how much, their window and their breaker."""
    labels = ["webhook_id", "account"]
    waiting, window, failures, is_open, pause = (
        GaugeMetricFamily(f"dispatcher_webhook_{name}", text, labels=labels)
        for name, text in (
            ("deliveries_waiting", f"Pending deliveries of the {NAMED} webhooks with the most, and of all others."),
            ("window", "Maximum requests in flight to the webhook; absent before its first response."),
            ("failures_in_a_row", "Consecutive failures since the last success."),
            ("breaker_open", "1 if the breaker is open and only probes are sent."),
            ("paused_seconds", "Seconds until the next probe or attempt."),
        )
    )
    for one in webhooks[:NAMED]:
        values = [str(one.webhook_id), one.account_slug]
        waiting.add_metric(values, one.waiting)
        pause.add_metric(values, survey.pauses_s.get(one.webhook_id, 0.0))
        if health := survey.healths.get(one.webhook_id):
            window.add_metric(values, health.slots)
            failures.add_metric(values, health.failures_in_a_row)
            is_open.add_metric(values, health.is_open(breaker))
    named = sum(one.waiting for one in webhooks[:NAMED])
    waiting.add_metric(["other", ""], max(0, found.deliveries - named))
    yield from (waiting, window, failures, is_open, pause)


def _queue(webhook_id: int, survey: Survey, window: WindowPolicy) -> str:
    if webhook_id in survey.pauses_s:
        return PAUSED
    health = survey.healths.get(webhook_id)
    return DELIVERIES_SLOW if health is not None and health.is_slow(window) else DELIVERIES
