"""What only operators can do something about: events or deliveries that nobody takes, and outboxes that nobody reads.

As /metrics shows it. Where no worker runs at all nobody checks: that is for Prometheus.
"""

from datetime import timedelta

from dispatcher import clock
from dispatcher.model.alert import Alert, AlertKind
from dispatcher.model.health import WindowPolicy
from dispatcher.schedule.schedule import Schedule
from dispatcher.storage.engine import Storage
from dispatcher.storage.outboxes import registry
from dispatcher.storage.stats.backlog import OVERDUE, measure

LATE_S = 300.0
"""An event or a delivery to a healthy receiver is overdue when no worker has taken it by then."""


def current(storage: Storage, schedule: Schedule, window: WindowPolicy) -> list[Alert]:
    """What is the case now."""
    backlog, webhooks = storage.read(measure, schedule.overdue(OVERDUE))
    survey = schedule.survey([one.webhook_id for one in webhooks])
    slow = {id_ for id_, health in survey.healths.items() if health.is_slow(window)}
    ages_s = {
        "events": (backlog.oldest_event_age_s or 0.0, "events wait for their fan-out"),
        "deliveries": (
            max(
                (one.due_age_s or 0.0 for one in webhooks if one.webhook_id not in {*slow, *survey.pauses_s}),
                default=0.0,
            ),
            "deliveries are due, and no worker sends them",
        ),
    }
    alerts = [_alert(AlertKind.BACKLOG, name, age_s, text) for name, (age_s, text) in ages_s.items() if age_s >= LATE_S]
    for one in storage.read(registry.statuses):
        if not one.is_up:
            age_s = (clock.now() - one.checked_at).total_seconds() if one.checked_at else 0.0
            alerts.append(_alert(AlertKind.OUTBOX, one.name, age_s, "no worker can read it"))
        elif (one.oldest_age_s or 0.0) >= LATE_S:
            alerts.append(_alert(AlertKind.OUTBOX, one.name, one.oldest_age_s or 0.0, "its events are not taken in"))
    return alerts


def _alert(kind: AlertKind, name: str, age_s: float, text: str) -> Alert:
    since = clock.now() - timedelta(seconds=age_s)
    return Alert(subject=f"{kind}:{name}", kind=kind, since=since.replace(microsecond=0), label=name, detail=text)
