"""Reasons, in sentences: when a delivery is attempted, and why an event made no delivery for a webhook. Pure."""

from dispatcher.console.formatting import counted, span
from dispatcher.model.backoff import RetryPolicy
from dispatcher.pipeline.drain.policy import retry_policy
from dispatcher.schemas.wire.payload import LEGACY_EVENTS
from dispatcher.settings import Settings
from dispatcher.storage.reads.delivery_status import WaitReason
from dispatcher.storage.reads.events import EmittedEvent, NonRecipient


def why_pending(wait: WaitReason, pause_s: float | None, settings: Settings) -> str:
    """Why the next attempt is when it is; `pause_s`: seconds until the receiver's pause ends."""
    if not wait.active:
        reason = f" ({wait.deactivated_reason})" if wait.deactivated_reason else ""
        return f"The webhook is inactive{reason}. This stays pending until it is activated."
    if wait.held_back:
        return f"Held back behind an earlier delivery of {wait.resource}, because this webhook is delivered in order."
    if wait.leased:
        return "A worker is sending this delivery. If the worker has died, it becomes due again at this time."
    if pause_s is not None:
        return (
            f"Paused for another {span(pause_s)} after {settings.breaker_after} consecutive failures, or because of a "
            "Retry-After header. This does not count as an attempt."
        )
    if wait.is_due:
        limit = f", at most {wait.rate_limit} per second" if wait.rate_limit else ""
        return f"Due. It is sent as soon as fewer requests to the receiver are in flight{limit}."
    if wait.attempts < 1:
        return "Postponed without an attempt, because the receiver was busy or sent Retry-After."
    retry = retry_policy(settings)
    return _after_attempts(
        wait.attempts, retry if wait.retry_schedule is None else retry.scheduled(wait.retry_schedule)
    )


def why_not_sent(event: EmittedEvent, webhook: NonRecipient) -> str:
    """Why `event` made no delivery for `webhook`, as far as the webhook's present state shows."""
    if event.is_waiting:
        return "The event has not been fanned out yet."
    if webhook.created_at > event.recorded_at:
        return "The webhook was created after the event."
    if not webhook.subscribed:
        legacy = webhook.payload_version == "legacy" and event.name not in LEGACY_EVENTS
        return "Not subscribed: this event has no legacy payload." if legacy else "Not subscribed to this event."
    if not webhook.active:
        return "The webhook is inactive."
    if not webhook.filter_matches:
        return "The filter does not match the event's body."
    if webhook.updated_at > event.recorded_at:
        return "The webhook was inactive or not subscribed when the event was fanned out, and has been changed since."
    return "The delivery has been deleted after its retention period."


def _after_attempts(count: int, retry: RetryPolicy) -> str:
    wait_s = retry.exact_s(count) if count <= retry.limit else 0.0
    jitter, most = f"{retry.jitter:.0%}", counted(retry.limit + 1, "attempt")
    return (
        f"After {counted(count, 'failed attempt')}, the next one follows in {span(wait_s)} ± {jitter}, or when the "
        f"receiver's Retry-After says. {most} at most."
    )
