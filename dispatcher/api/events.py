"""Events: the activity log (API v3, Events), and the catalogue of those there are."""

import json
from collections.abc import Sequence
from functools import lru_cache

from flask import Response
from flask_smorest import Blueprint

from dispatcher.api.auth import Caller, authorized
from dispatcher.api.http import JSON, container, json_response
from dispatcher.api.query import PAGE_PARAMETER, moment, page_bounds, parameter, whole_number
from dispatcher.schemas import active
from dispatcher.schemas.active_catalogues import Catalogues
from dispatcher.schemas.api import activity as words
from dispatcher.schemas.api.activity import ActivitySchema
from dispatcher.schemas.api.emitted import EventTypeSchema
from dispatcher.schemas.wire.fields import written_in
from dispatcher.storage.reads import activity
from dispatcher.storage.reads.activity import Activity, SubjectFilter

blueprint = Blueprint("events", __name__, description="Events and their catalogue.")

_activity = ActivitySchema()

_SINCE = {"in": "query", "name": "since", "schema": {"type": "string", "format": "date-time"}}
_SUBJECT = {"in": "query", "name": "subject_id", "schema": {"type": "integer", "minimum": 0}}


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


@blueprint.route("/event_types.json")
@authorized()
@blueprint.response(200, EventTypeSchema(many=True))
def catalogue(_caller: Caller) -> Response:
    """Every event there is, with a JSON Schema (2020-12) and an example of its body. Not paged."""
    return Response(_catalogue(active()), mimetype="application/json")


def _log(caller: Caller, names: Sequence[str] | None = None) -> Response:
    subject_id = parameter("subject_id", whole_number)
    page = container().storage.read(
        activity.list_for_account,
        caller.account.id,
        names=names,
        since=parameter("since", moment),
        subject=None if subject_id is None else SubjectFilter(subject_id=subject_id, paths=_subject_paths(active())),
        **page_bounds(),
    )
    user = {"id": caller.user.id, "full_name": caller.user.full_name, "avatar": None}
    with written_in(caller.account.time_zone):
        return json_response([_activity.dump(_line(one, user)) for one in page])


def _line(one: Activity, user: dict[str, JSON]) -> dict[str, JSON]:
    return {
        "name": one.name,
        "created_at": one.created_at,
        "text": words.text(one.name, one.body),
        "related_objects": words.related_objects(one.body),
        "user": user,
        "params": words.params(one.name, one.body),
    }


@lru_cache(maxsize=1)
def _subject_paths(catalogues: Catalogues) -> dict[str, tuple[str, str]]:
    return {name: path for name, event in catalogues.events.items() if (path := words.subject_path(event))}


@lru_cache(maxsize=1)
def _catalogue(catalogues: Catalogues) -> bytes:
    types = [event.described for event in catalogues.events.values()]
    return json.dumps(types, ensure_ascii=False, separators=(",", ":")).encode()
