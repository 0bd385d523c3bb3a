"""Reasons, in sentences: why an event got no delivery to a webhook. Pure."""

from dispatcher.schemas.wire.payload import LEGACY_EVENTS
from dispatcher.storage.reads.events import EmittedEvent, NonRecipient


def why_not_sent(event: EmittedEvent, webhook: NonRecipient) -> str:
    """Why `event` got no delivery to `webhook`, as far as the webhook's present state shows."""
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
