"""What a POST of events says, and what is answered to it: both ways of answering one agree on this.

`events.py` is the route, which tells every error; `quick_emit.py` answers what is nearly always sent.
"""

from collections.abc import Sequence

from marshmallow import ValidationError

from dispatcher.api.parts import JSON
from dispatcher.errors import ApiError
from dispatcher.model.event import Event, EventDraft
from dispatcher.pipeline.emit import NewEvent, check_key, resource_name
from schemas.api import emitted
from schemas.wire.fields import render_datetime, zone_of
from schemas.wire.from_json import BATCH_LIMIT, Rendered, rendered


def items(given: JSON, key: str | None) -> tuple[list[JSON], bool]:
    """The POSTed events, and whether they are an array; `key`: the header Idempotency-Key. Raises ApiError."""
    if isinstance(given, list):
        if key is not None:
            raise ApiError(400, "invalid_request", "Idempotency-Key is for one event; give each its own key")
        if not 1 <= len(given) <= BATCH_LIMIT:
            text = f"The array must contain between 1 and {BATCH_LIMIT:,} events, not {len(given):,}"
            raise ApiError(400, "invalid_request", text)
        return given, True
    if not isinstance(given, dict):
        raise ApiError(400, "invalid_request", "The body must be an event or an array of events")
    if key is not None and given.setdefault("idempotency_key", key) != key:
        raise ApiError(400, "invalid_request", "Idempotency-Key and idempotency_key differ")
    return [given], False


def new_event(item: JSON) -> NewEvent:
    """Raises ValidationError where the event's own attributes are wrong; its body is looked at later."""
    for attribute, reason in emitted.problems(item):
        raise ValidationError({attribute: [reason]})
    created_at = item.get("created_at")
    return NewEvent(
        name=item["name"],
        body=item["body"],
        created_at=created_at and emitted.moment(created_at),
        idempotency_key=item.get("idempotency_key"),
    )


def drafts_from_json(data: bytes, key: str | None, time_zone: str) -> tuple[list[EventDraft], bool] | None:
    """POSTed events, checked and rendered, and whether they came as an array; `key`: the header Idempotency-Key.

    None: they need a closer look. Raises InvalidEventAttribute for an idempotency key that cannot be one.
    """
    found = rendered(data, time_zone)
    if found is None:
        return None
    events, is_array = found
    if key is not None and (is_array or events[0].idempotency_key is not None):
        return None
    return [_draft(event, event.idempotency_key if key is None else key) for event in events], is_array


def _draft(event: Rendered, key: str | None) -> EventDraft:
    if key is not None:
        check_key(key)
    return EventDraft(
        name=event.of.name,
        body_json=event.body_json,
        idempotency_key=key,
        resource=resource_name(event.of, event.resource_id),
    )


def receipt(stored: Sequence[Event], time_zone: str, *, is_array: bool) -> JSON:
    """What is answered once they are committed."""
    zone = zone_of(time_zone)
    shown = [
        {"id": one.id, "name": one.name, "created_at": render_datetime(one.created_at, zone), "new": one.new}
        for one in stored
    ]
    return shown if is_array else shown[0]
