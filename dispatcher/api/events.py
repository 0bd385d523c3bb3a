"""Events: emitted here, listed as the activity log (API v3, Events), and the catalogue of those there are."""

import json
from collections.abc import Sequence
from functools import cache

from flask import Response, request
from flask_smorest import Blueprint
from marshmallow import ValidationError

from dispatcher.access.rate_limit import EMITS
from dispatcher.api import emitting
from dispatcher.api.auth import QUICK, Caller, authorized
from dispatcher.api.emitting import new_event
from dispatcher.api.errors import field_errors
from dispatcher.api.paging import PAGE_PARAMETER, PAGE_SIZE, moment, number, page_offset
from dispatcher.api.parts import JSON, answer, container, json_body
from dispatcher.errors import InvalidEventAttribute
from dispatcher.pipeline import emit as record_event
from dispatcher.storage.reads import activity
from dispatcher.storage.reads.activity import Activity, SubjectFilter
from schemas import EVENT_TYPES, InvalidEvent
from schemas.api import activity as words
from schemas.api import emitted
from schemas.api.activity import ActivitySchema
from schemas.api.emitted import EmittedSchema, EventTypeSchema
from schemas.api.errors import FieldErrorsSchema
from schemas.errors import plain
from schemas.wire.examples import event_example
from schemas.wire.fields import written_in
from schemas.wire.json_schema import event_schema

blueprint = Blueprint("events", __name__, description="What happened.")

_ERROR_LIMIT = 1_000
"""Errors that are told of one request; a body of 5 MiB has room for more."""
_KEY_HEADER = "Idempotency-Key"

_activity = ActivitySchema()
_PATHS = {name: path for name, event in EVENT_TYPES.items() if (path := words.subject_path(event))}

_SINCE = {"in": "query", "name": "since", "schema": {"type": "string", "format": "date-time"}}
_SUBJECT = {"in": "query", "name": "subject_id", "schema": {"type": "integer", "minimum": 0}}
_KEY = {
    "in": "header",
    "name": _KEY_HEADER,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "Of a single event: a second emit of it returns the first event.",
}


@blueprint.route("/accounts/<slug>/events.json")
@authorized("events:read")
@blueprint.doc(parameters=[PAGE_PARAMETER, _SINCE, _SUBJECT])
@blueprint.response(200, ActivitySchema(many=True))
def log(caller: Caller) -> Response:
    """What was emitted in the account, newest first; 40 a page, an empty page past the end."""
    return _log(caller)


@blueprint.route("/accounts/<slug>/events/paid.json")
@authorized("events:read")
@blueprint.doc(parameters=[PAGE_PARAMETER, _SINCE, _SUBJECT])
@blueprint.response(200, ActivitySchema(many=True))
def paid(caller: Caller) -> Response:
    """Of these, the payments of invoices and expenses."""
    return _log(caller, words.PAID)


@blueprint.route("/accounts/<slug>/events.json", methods=["POST"])
@authorized("events:write", EMITS)
@blueprint.doc(parameters=[_KEY])
@blueprint.response(202, EmittedSchema)
@blueprint.alt_response(422, schema=FieldErrorsSchema, description="Unprocessable Content")
def emit(caller: Caller) -> Response:
    """Emits one event, or an array of up to 1,000: all or none. Answered once they are committed, in order.

    A second emit of an idempotency key stands for the first event, which is answered with `new` false. Errors are told
    by path: `body.invoice.id`, of an array `[3].body.invoice.id`.
    """
    quick = request.environ.get(QUICK)
    if quick is not None and quick.error is not None:
        raise quick.error
    items, is_array = emitting.items(json_body(), request.headers.get(_KEY_HEADER))
    traceparent = request.headers.get("traceparent") if container().settings.tracing else None
    try:
        stored = container().emit(caller.account, [new_event(item) for item in items], traceparent=traceparent)
    except (ValidationError, InvalidEvent, InvalidEventAttribute):  # the first of them; all are told
        return field_errors(_problems(items, caller.account.time_zone, is_array=is_array))
    return answer(emitting.receipt(stored, caller.account.time_zone, is_array=is_array), 202)


@blueprint.route("/event_types.json")
@authorized()
@blueprint.response(200, EventTypeSchema(many=True))
def catalogue(_caller: Caller) -> Response:
    """Every event there is, with a JSON Schema (2020-12) and an example of its body. Not paged."""
    return Response(_catalogue(), mimetype="application/json")


def _log(caller: Caller, names: Sequence[str] | None = None) -> Response:
    offset, since, subject_id = page_offset(), moment("since"), number("subject_id")
    if offset is None:
        return answer([])
    found = container().storage.read(
        activity.list_for_account,
        caller.account.id,
        names=names,
        since=since,
        subject=None if subject_id is None else SubjectFilter(subject_id=subject_id, paths=_PATHS),
        limit=PAGE_SIZE,
        offset=offset,
    )
    user = {"id": caller.user.id, "full_name": caller.user.full_name, "avatar": None}
    with written_in(caller.account.time_zone):
        return answer([_activity.dump(_line(one, user)) for one in found])


def _line(one: Activity, user: dict[str, JSON]) -> dict[str, JSON]:
    return {
        "name": one.name,
        "created_at": one.created_at,
        "text": words.text(one.name, one.body),
        "related_objects": words.related_objects(one.body),
        "user": user,
        "params": words.params(one.name, one.body),
    }


def _problems(items: Sequence[JSON], time_zone: str, *, is_array: bool) -> dict[str, list[str]]:
    """What is wrong with all of them, by path."""
    found: dict[str, list[str]] = {}
    for index, item in enumerate(items):
        at = f"[{index}]" if is_array else ""
        for path, reason in list(emitted.problems(item)) or record_event.problems(new_event(item), time_zone):
            if len(found) < _ERROR_LIMIT:
                found.setdefault(".".join(part for part in (at, plain(path)) if part), []).append(reason)
    return found


@cache
def _catalogue() -> bytes:
    types = [
        {
            "name": event.name,
            "resource": event.resource,
            "bulk": event.bulk,
            "schema": event_schema(event.name),
            "example": event_example(event.name),
        }
        for event in EVENT_TYPES.values()
    ]
    return json.dumps(types, ensure_ascii=False, separators=(",", ":")).encode()
