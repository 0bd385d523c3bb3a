"""Event types: those of catalogues, and those that programs store, by a JSON Schema, for producers in any language."""

from typing import Any

from flask import Response, request
from flask_smorest import Blueprint

from dispatcher import event_types as use_cases
from dispatcher.api.http import container, json_object, json_response, no_content, request_body
from dispatcher.api.query import one_of, parameter
from dispatcher.api.v1 import paging
from dispatcher.api.v1.auth import service
from dispatcher.errors import EventTypeNotFound
from dispatcher.representations import event_type_json
from dispatcher.schemas import EventType, active
from dispatcher.schemas.api.event_type import NewEventTypeSchema, StoredEventTypeSchema
from dispatcher.storage.admin.service_tokens import ServiceToken

blueprint = Blueprint("v1_event_types", __name__, description="Event types: what can be emitted.")

_ONE = "/event_types/<name>"
_FORCE = {
    "in": "query",
    "name": "force",
    "schema": {"type": "string", "enum": ["true", "false"]},
    "description": "`true` stores a schema although it breaks receivers of this version.",
}
_CREATED: dict[str, Any] = {
    "201": {
        "description": "Created",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/StoredEventType"}}},
    }
}


@blueprint.route("/event_types")
@service("catalogue:read")
@blueprint.doc(parameters=paging.PARAMETERS)
@blueprint.response(200, paging.list_of(StoredEventTypeSchema))
def list_(_token: ServiceToken) -> Response:
    """Every event type, in the order of their names, in its newest version."""
    container().event_types.refresh()
    after, shown = parameter("cursor", str) or "", paging.shown()
    some = [event for name, event in sorted(active().events.items()) if name > after][: shown + 1]
    return paging.answer([event_type_json(event) for event in some[:shown]], some[-2].name if some[shown:] else None)


@blueprint.route(_ONE)
@service("catalogue:read")
@blueprint.doc(parameters=[{"in": "query", "name": "version", "schema": {"type": "integer", "minimum": 1}}])
@blueprint.response(200, StoredEventTypeSchema)
def show(_token: ServiceToken, name: str) -> Response:
    """One event type, in its newest version or another."""
    container().event_types.refresh()
    return json_response(event_type_json(_version_of(name)))


@blueprint.route(_ONE, methods=["PUT"])
@service("catalogue")
@blueprint.doc(parameters=[_FORCE], requestBody=request_body(NewEventTypeSchema), responses=_CREATED)
@blueprint.response(200, StoredEventTypeSchema)
def put(_token: ServiceToken, name: str) -> Response:
    """Creates the event type or a new version of it, or changes the given attributes of a version that exists.

    Without `version` the newest one is changed. A schema that breaks receivers must be a new version, and what a new
    version breaks must have a `downgrade`. All processes know of the change within a second; an event that is emitted
    sooner is accepted, too.
    """
    force = parameter("force", one_of(("true", "false"))) == "true"
    stored, is_new = use_cases.put(container().storage, name, json_object(), force=force)
    container().event_types.refresh()
    event = active().event(name)
    return json_response(event_type_json(event.at(stored.version)), 201 if is_new else 200)


@blueprint.route(_ONE, methods=["DELETE"])
@service("catalogue")
@blueprint.response(204)
def delete(_token: ServiceToken, name: str) -> Response:
    """Ends the event type: it can neither be emitted nor subscribed to. What was emitted is still delivered.

    As long as webhooks name it among their events it cannot be deleted (409), but deprecated.
    """
    use_cases.delete(container().storage, name)
    container().event_types.refresh()
    return no_content()


def _version_of(name: str) -> EventType:
    event = active().events.get(name)
    if event is None:
        raise EventTypeNotFound(name)
    numbers = [str(number) for number in event.versions]
    version = parameter("version", one_of(numbers)) if "version" in request.args else None
    return event if version is None else event.at(int(version))
