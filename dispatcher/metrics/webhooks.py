"""Metrics of the webhooks with the largest backlogs (all others are one number), and of the queues that drain them."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from dispatcher.broker.names import DELIVERIES, DELIVERIES_SLOW
from dispatcher.metrics.families import gauges
from dispatcher.model.health import BreakerPolicy, WindowPolicy
from dispatcher.schedule.schedule import Survey
from dispatcher.storage.stats.backlog import Backlog, WebhookBacklog

MOST = 20
"""Webhooks with series of their own."""
PAUSED = "paused"
"""In place of a queue: webhooks backing off, because their breaker is open or they sent Retry-After."""


def due_by_queue(
    backlog: Backlog, webhooks: Sequence[WebhookBacklog], survey: Survey, window: WindowPolicy
) -> Iterator[Metric]:
    """How much is due, and since when, per queue: a webhook's health says which. All others count as healthy."""
    counts: dict[str, float] = dict.fromkeys((DELIVERIES, DELIVERIES_SLOW, PAUSED), 0)
    ages: dict[str, float] = {}
    for one in webhooks:
        queue = _queue(one.webhook_id, survey, window)
        counts[queue] += one.due if one.active else 0
        ages[queue] = max(ages.get(queue, 0.0), one.due_age_s or 0.0)
    counts[DELIVERIES] = max(counts[DELIVERIES], backlog.due - counts[DELIVERIES_SLOW] - counts[PAUSED])
    if (backlog.oldest_due_age_s or 0.0) > max(ages.values(), default=0.0):
        ages[DELIVERIES] = backlog.oldest_due_age_s or 0.0
    yield gauges("deliveries_due", "Deliveries that are due and not in flight.", "queue", counts)
    yield gauges(
        "deliveries_due_oldest_seconds",
        "Seconds since the oldest due delivery became due; 0 if none.",
        "queue",
        {queue: ages.get(queue, 0.0) for queue in counts},
    )


def of_webhooks(
    backlog: Backlog, webhooks: Sequence[WebhookBacklog], survey: Survey, breaker: BreakerPolicy
) -> Iterator[Metric]:
    """Of the webhooks with the most pending deliveries: how many, their window and their breaker."""
    labels = ["webhook_id", "account"]
    pending, window, failures, is_open, pause = (
        GaugeMetricFamily(f"dispatcher_webhook_{name}", text, labels=labels)
        for name, text in (
            ("deliveries_pending", f"Pending deliveries of the {MOST} webhooks with the most, and of all others."),
            ("window", "Maximum requests in flight to the webhook; absent before its first response."),
            ("consecutive_failures", "Consecutive failures since the last success."),
            ("breaker_open", "1 if the breaker is open and only probes are sent."),
            ("paused_seconds", "Seconds until the next probe or attempt."),
        )
    )
    for one in webhooks[:MOST]:
        values = [str(one.webhook_id), one.account_slug]
        pending.add_metric(values, one.waiting)
        pause.add_metric(values, survey.pauses_s.get(one.webhook_id, 0.0))
        if health := survey.healths.get(one.webhook_id):
            window.add_metric(values, health.slots)
            failures.add_metric(values, health.consecutive_failures)
            is_open.add_metric(values, health.is_open(breaker))
    of_most = sum(one.waiting for one in webhooks[:MOST])
    pending.add_metric(["other", ""], max(0, backlog.deliveries - of_most))
    yield from (pending, window, failures, is_open, pause)


def _queue(webhook_id: int, survey: Survey, window: WindowPolicy) -> str:
    if webhook_id in survey.pauses_s:
        return PAUSED
    health = survey.healths.get(webhook_id)
    return DELIVERIES_SLOW if health is not None and health.is_slow(window) else DELIVERIES
