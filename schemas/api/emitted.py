"""An event as it is POSTed to be emitted, and what is answered. What its body holds is checked by `event`."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from marshmallow import fields

from dispatcher.schemas.active_catalogues import active
from dispatcher.schemas.api.urls import BLANK
from dispatcher.schemas.errors import plain
from dispatcher.schemas.wire.choices import no_such_event
from dispatcher.schemas.wire.fields import NOT_A_MOMENT, Boolean, DateTime, Integer, String, WireSchema

_ATTRIBUTES = frozenset({"name", "version", "created_at", "idempotency_key", "body"})


class EmittedSchema(WireSchema):
    """A stored event. `new` is false where an earlier one had the idempotency key: this is that one."""

    id = Integer(required=True)
    name = String(required=True)
    created_at = DateTime(required=True)
    new = Boolean(required=True)


class OlderVersionSchema(WireSchema):
    """A version of an event's body, which webhooks that are pinned to it get."""

    version = Integer(required=True)
    schema = fields.Dict(required=True)
    example = fields.Dict(required=True)


class EventTypeSchema(WireSchema):
    """An event of the catalogue; `schema` is the JSON Schema (2020-12) of its body, `example` one that keeps it.

    Both are of the newest `version`.
    """

    name = String(required=True)
    resource = String(required=True)
    bulk = Boolean(required=True)
    schema = fields.Dict(required=True)
    example = fields.Dict(required=True)
    version = Integer(required=True)
    older_versions = fields.List(fields.Nested(OlderVersionSchema), required=True)


def problems(item: Any) -> Iterator[tuple[str, str]]:
    """What is wrong with a POSTed event's own attributes, as (attribute, reason) pairs; "" is the event itself."""
    if not isinstance(item, dict):
        yield "", "not an object"
        return
    for name in item.keys() - _ATTRIBUTES:
        yield name, "unknown attribute"
    if not item.get("name"):
        yield "name", BLANK
    elif not isinstance(item["name"], str) or item["name"] not in active().events:
        yield "name", no_such_event(item["name"], active().events)
    if item.get("version") is not None and type(item["version"]) is not int:
        yield "version", "not an integer"
    if item.get("body") is None:
        yield "body", BLANK
    elif not isinstance(item["body"], dict):
        yield "body", "not an object"
    if item.get("idempotency_key") is not None and not isinstance(item["idempotency_key"], str):
        yield "idempotency_key", "not a string"
    if item.get("created_at") is not None and moment(item["created_at"]) is None:
        yield "created_at", f'{NOT_A_MOMENT}: "{plain(str(item["created_at"]))}"'


def moment(value: Any) -> datetime | None:
    """A POSTed time; None where it is none."""
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
