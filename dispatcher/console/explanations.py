"""Reasons, in sentences: why a delivery is tried when it is, and why an event made no delivery for a webhook. Pure."""

from dispatcher.console.formatting import counted, span
from dispatcher.settings import Settings
from dispatcher.storage.reads.delivery_status import WaitReason
from dispatcher.storage.reads.events import EmittedEvent, NonRecipient
from schemas.wire.payload import LEGACY_EVENTS


def why_then(wait: WaitReason, pause_s: float | None, settings: Settings) -> str:
    """Why the next attempt is when it is; `pause_s`: for so long its receiver is let alone."""
    if not wait.active:
        reason = f" ({wait.deactivated_reason})" if wait.deactivated_reason else ""
        return f"The webhook is not active{reason}: this waits until somebody makes it active."
    if wait.held_back:
        return f"Held back behind an earlier delivery of {wait.resource}: the webhook wants them in order."
    if wait.leased:
        return "A worker has claimed it and is sending it. If that worker died, it is due again at the time above."
    if pause_s is not None:
        return (
            f"The receiver is let alone for {span(pause_s)} yet: it failed {settings.breaker_after} times in a row, "
            "or asked for a pause by Retry-After. This is not counted as an attempt."
        )
    if wait.is_due:
        limit = f", at most {wait.rate_limit} a second" if wait.rate_limit else ""
        return f"It is due: it goes out as soon as the receiver's window has room{limit}."
    if wait.tries < 1:
        return "It was put off without an attempt, because its receiver was busy or asked for a pause."
    return _after_tries(wait.tries, settings)


def why_not(event: EmittedEvent, webhook: NonRecipient) -> str:
    """Why `event` made no delivery for `webhook`, as far as what the webhook is now can tell."""
    if event.is_waiting:
        return "The event was not fanned out yet."
    if webhook.created_at > event.recorded_at:
        return "The webhook was created later."
    if event.name not in webhook.events:
        legacy = webhook.payload_version == "legacy" and event.name not in LEGACY_EVENTS
        return "Not subscribed: there is no legacy payload of it." if legacy else "Not subscribed to it."
    if not webhook.active:
        return "The webhook is inactive."
    if webhook.updated_at > event.recorded_at:
        return "It was inactive, or not subscribed, when the event was fanned out; it was changed since."
    return "Its delivery is no longer kept."


def _after_tries(tries: int, settings: Settings) -> str:
    wait_s = settings.retry_base_s * settings.retry_factor ** (tries - 1)
    jitter, most = f"{settings.retry_jitter:.0%}", counted(settings.retry_limit + 1, "attempt")
    return (
        f"After {counted(tries, 'attempt')} failed, the next comes {span(wait_s)} later, ± {jitter}, or when the "
        f"receiver's Retry-After asked for it. Up to {most} in all."
    )
