"""Why a delivery that is not finished waits, in a word and in sentences: what the console and the API show of it."""

from dataclasses import replace

from dispatcher.errors import ScheduleUnavailable
from dispatcher.model.backoff import RetryPolicy
from dispatcher.model.delivery import WaitReason, WaitStatus
from dispatcher.model.health import Health
from dispatcher.phrases import counted, number, span
from dispatcher.pipeline.drain.policy import drain_policy
from dispatcher.schedule.schedule import Schedule
from dispatcher.settings import Settings
from dispatcher.storage.engine import Connection, Storage
from dispatcher.storage.reads import deliveries, delivery_status
from dispatcher.storage.reads.deliveries import DeliveryRow
from dispatcher.storage.reads.delivery_status import AHEAD_CAP, WaitFacts


def find(
    storage: Storage,
    schedule: Schedule,
    settings: Settings,
    id_or_key: str,
    *,
    account_id: int | None = None,
    client_id: int | None = None,
) -> DeliveryRow:
    """One delivery, with what it waits for; raises DeliveryNotFound."""

    def read(connection: Connection) -> tuple[DeliveryRow, WaitFacts | None]:
        row = deliveries.delivery(connection, id_or_key, account_id=account_id, client_id=client_id)
        return row, delivery_status.find(connection, row.id)

    row, facts = storage.transact(read)
    if facts is None:
        return row
    try:
        receiver = schedule.survey((row.webhook_id,))
    except ScheduleUnavailable:  # then what the rows say is all that is known
        return replace(row, waiting=explain(facts, None, None, settings))
    health, pause_s = receiver.healths.get(row.webhook_id), receiver.pauses_s.get(row.webhook_id)
    return replace(row, waiting=explain(facts, health, pause_s, settings))


def explain(facts: WaitFacts, health: Health | None, pause_s: float | None, settings: Settings) -> WaitStatus:
    """Why the next attempt is when it is. `pause_s`: seconds until the pause of its receiver ends; None: there is none.

    Pure.
    """
    reason = _reason(facts, health, pause_s, settings)
    text = _text(reason, facts, health, pause_s, settings)
    return WaitStatus(reason=reason, text=text, is_due=facts.is_due)


def _reason(facts: WaitFacts, health: Health | None, pause_s: float | None, settings: Settings) -> WaitReason:
    if not facts.active:
        return WaitReason.INACTIVE
    if facts.kept:
        return WaitReason.KEPT
    if facts.held_back:
        return WaitReason.HELD_BACK
    if facts.leased:
        return WaitReason.SENDING
    is_open = health is not None and health.is_open(drain_policy(settings).breaker)
    if is_open and (pause_s is not None or facts.is_due):
        return WaitReason.CIRCUIT_OPEN
    if pause_s is not None:
        return WaitReason.PAUSED
    if facts.is_due:
        return WaitReason.RATE_LIMITED if facts.rate_limit else WaitReason.DUE
    return WaitReason.BACKING_OFF if facts.attempts else WaitReason.POSTPONED


def _text(
    reason: WaitReason, facts: WaitFacts, health: Health | None, pause_s: float | None, settings: Settings
) -> str:
    match reason:
        case WaitReason.INACTIVE:
            why = f" ({facts.deactivated_reason})" if facts.deactivated_reason else ""
            return f"The webhook is inactive{why}. This stays pending until it is activated."
        case WaitReason.HELD_BACK:
            return (
                f"Held back behind an earlier delivery of {facts.resource}, because this webhook is delivered in order."
            )
        case WaitReason.KEPT:
            return "Kept until it is fetched and acknowledged: the webhook is polled."
        case WaitReason.SENDING:
            return "A worker is sending this delivery. If the worker has died, it becomes due again at this time."
        case WaitReason.CIRCUIT_OPEN:
            failures = counted(health.consecutive_failures if health else 0, "consecutive failure")
            until = "One delivery at a time is sent as a probe" if pause_s is None else (
                f"Nothing is sent for another {span(pause_s)}, then one delivery as a probe"
            )  # fmt: skip
            return f"The circuit breaker is open after {failures}. {until}. Waiting does not count as an attempt."
        case WaitReason.PAUSED:
            return (
                f"Paused for another {span(pause_s)}, because the receiver sent a Retry-After header. "
                "This does not count as an attempt."
            )
        case WaitReason.RATE_LIMITED:
            return f"Due{_behind(facts)}. The webhook's rate limit allows {number(facts.rate_limit)} per second."
        case WaitReason.DUE:
            return f"Due{_behind(facts)}. It is sent as soon as fewer requests to the receiver are in flight."
        case WaitReason.POSTPONED:
            return "Postponed without an attempt, because the receiver was busy or sent Retry-After."
        case WaitReason.BACKING_OFF:
            retry = drain_policy(settings).retry
            if facts.retry_schedule is not None:
                retry = retry.scheduled(facts.retry_schedule)
            return _after_attempts(facts.attempts, retry)


def _behind(facts: WaitFacts) -> str:
    if not facts.due_before:
        return ""
    more = "at least " if facts.due_before >= AHEAD_CAP else ""
    return f", behind {more}{counted(facts.due_before, 'delivery')} of this webhook"


def _after_attempts(count: int, retry: RetryPolicy) -> str:
    wait_s = retry.exact_s(count) if count <= retry.limit else 0.0
    jitter, most = f"{retry.jitter:.0%}", counted(retry.limit + 1, "attempt")
    return (
        f"Backing off: after {counted(count, 'failed attempt')}, the next one follows in {span(wait_s)} ± {jitter}, or "
        f"when the receiver's Retry-After says. {most} at most."
    )
