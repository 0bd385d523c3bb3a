"""The body of a POST of events: what it says, or what is wrong with it; and the receipt for what was stored."""

from collections.abc import Sequence
from typing import NamedTuple

from marshmallow import ValidationError

from dispatcher.api.http import JSON, parse_json
from dispatcher.errors import ApiError, InvalidEventAttribute
from dispatcher.model.event import Event, EventDraft
from dispatcher.pipeline.emit import NewEvent, check_key, drafts_of, problems
from dispatcher.schemas import InvalidEvent
from dispatcher.schemas.api import emitted
from dispatcher.schemas.errors import plain
from dispatcher.schemas.from_json import BATCH_LIMIT, RenderedEvent, render_events
from dispatcher.schemas.wire.fields import render_datetime, zone_of

_ERROR_LIMIT = 1_000
"""Errors of one response; a body of 5 MiB has room for more."""


class PostedEvents(NamedTuple):
    """The events of a body, in order, and whether they came as an array."""

    drafts: list[EventDraft]
    is_array: bool


def render(data: bytes, key: str | None, time_zone: str) -> PostedEvents | None:
    """The events of a body in which all is well; `key`: the header Idempotency-Key.

    None: `check` has to read them. It takes three times as long.
    """
    rendered = render_events(data, time_zone)
    if rendered is None:
        return None
    events, is_array = rendered
    if key is not None:
        if is_array or events[0].idempotency_key is not None:
            return None
        events = [events[0]._replace(idempotency_key=key)]
    try:
        return PostedEvents([_draft(event) for event in events], is_array)
    except InvalidEventAttribute:
        return None


def check(data: bytes, key: str | None, time_zone: str) -> PostedEvents:
    """The events of any body.

    Raises ApiError for what is no event or array of events, and ValidationError with all that is wrong with the events,
    by path: `body.invoice.id`, of an array `[3].body.invoice.id`.
    """
    items, is_array = _items(parse_json(data), key)
    try:
        return PostedEvents(drafts_of([_new_event(item) for item in items], time_zone), is_array)
    except (ValidationError, InvalidEvent, InvalidEventAttribute) as error:  # the first of them
        raise ValidationError(_problems(items, time_zone, is_array=is_array)) from error


def parse(data: bytes, key: str | None, time_zone: str) -> PostedEvents:
    """As `check`, but faster where all is well."""
    return render(data, key, time_zone) or check(data, key, time_zone)


def receipt(stored: Sequence[Event], time_zone: str, *, is_array: bool) -> JSON:
    """What is answered once they are committed."""
    zone = zone_of(time_zone)
    receipts = [
        {"id": one.id, "name": one.name, "created_at": render_datetime(one.created_at, zone), "new": one.new}
        for one in stored
    ]
    return receipts if is_array else receipts[0]


def _draft(event: RenderedEvent) -> EventDraft:
    if event.idempotency_key is not None:
        check_key(event.idempotency_key)
    return EventDraft(
        name=event.of.name,
        body_json=event.body_json,
        idempotency_key=event.idempotency_key,
        resource=event.resource,
        version=event.of.stored_version,
    )


def _items(posted: JSON, key: str | None) -> tuple[list[JSON], bool]:
    if isinstance(posted, list):
        if key is not None:
            raise ApiError(400, "invalid_request", "Idempotency-Key is for one event; give each its own key")
        if not 1 <= len(posted) <= BATCH_LIMIT:
            text = f"The array must contain between 1 and {BATCH_LIMIT:,} events, not {len(posted):,}"
            raise ApiError(400, "invalid_request", text)
        return posted, True
    if not isinstance(posted, dict):
        raise ApiError(400, "invalid_request", "The body must be an event or an array of events")
    if key is not None and posted.setdefault("idempotency_key", key) != key:
        raise ApiError(400, "invalid_request", "Idempotency-Key and idempotency_key differ")
    return [posted], False


def _new_event(item: JSON) -> NewEvent:
    """Raises ValidationError where the event's own attributes are wrong; its body is checked later."""
    for attribute, reason in emitted.problems(item):
        raise ValidationError({attribute: [reason]})
    created_at = item.get("created_at")
    return NewEvent(
        name=item["name"],
        body=item["body"],
        created_at=created_at and emitted.moment(created_at),
        idempotency_key=item.get("idempotency_key"),
        version=item.get("version"),
    )


def _problems(items: Sequence[JSON], time_zone: str, *, is_array: bool) -> dict[str, list[str]]:
    """What is wrong with all of them, by path."""
    by_path: dict[str, list[str]] = {}
    for index, item in enumerate(items):
        if len(by_path) >= _ERROR_LIMIT:
            break
        at = f"[{index}]" if is_array else ""
        for path, reason in list(emitted.problems(item)) or problems(_new_event(item), time_zone):
            if len(by_path) < _ERROR_LIMIT:
                by_path.setdefault(".".join(part for part in (at, plain(path)) if part), []).append(reason)
    return by_path
