"""The active catalogues as documents, for receivers and their tools: JSON Schema, OpenAPI, AsyncAPI. Pure."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from dispatcher.schemas.active_catalogues import Catalogues
from dispatcher.schemas.catalogue import EventType
from dispatcher.schemas.envelopes import VERSION_HEADER
from dispatcher.schemas.wire.json_schema import DIALECT

JSON = dict[str, Any]

DEFS, COMPONENTS = "#/$defs/", "#/components/schemas/"


def types(catalogues: Catalogues, refs: str) -> JSON:
    """The JSON Schemas of all types that stand in bodies of events, by name."""
    types_by_name: JSON = {}
    for event in catalogues.versions.values():
        types_by_name |= event.body.types(refs)
    return types_by_name


def webhooks(catalogues: Catalogues) -> JSON:
    """What is POSTed: OpenAPI 3.1's `webhooks`."""
    return {name: _webhook(name, event) for name, event in catalogues.versions.items()}


def _webhook(name: str, event: EventType) -> JSON:
    version = {"in": "header", "name": VERSION_HEADER, "required": True, "schema": _version(event)}
    content = {event.envelope.content_type: {"schema": _payload(event, COMPONENTS)}}
    return {
        "post": {
            "operationId": name,
            "summary": event.description or name,
            **({"parameters": [version]} if event.version > 1 else {}),
            **_deprecated(event),
            "requestBody": {"required": True, "content": content},
            "responses": {"2XX": {"description": "Received. After any other response it is sent again."}},
        }
    }


def json_schema(catalogues: Catalogues) -> JSON:
    """One JSON Schema of what receivers get: a payload of one of the events, each under its name in `$defs`."""
    events = {name: _payload(event, DEFS) for name, event in catalogues.versions.items()}
    return {
        "$schema": DIALECT,
        "title": _title(catalogues),
        "oneOf": [_any_version(event) for event in catalogues.events.values()],
        "$defs": events | types(catalogues, DEFS),
    }


def openapi(catalogues: Catalogues) -> JSON:
    """An OpenAPI 3.1 document of the webhooks alone; that of the API has them too."""
    return {
        "openapi": "3.1.0",
        "info": {"title": _title(catalogues), "version": "1"},
        "webhooks": webhooks(catalogues),
        "components": {"schemas": types(catalogues, COMPONENTS)},
    }


def from_openapi(document: JSON) -> JSON:
    """What `json_schema` gives, of an OpenAPI document with webhooks; raises LookupError where it has none."""
    events = {
        name: next(iter(one["post"]["requestBody"]["content"].values()))["schema"]
        for name, one in document["webhooks"].items()
    }
    defs: JSON = json.loads(json.dumps({**events, **document["components"]["schemas"]}).replace(COMPONENTS, DEFS))
    return {"oneOf": [{"$ref": DEFS + name} for name in events], "$defs": defs}


def asyncapi(catalogues: Catalogues) -> JSON:
    """An AsyncAPI 3.0 document: one channel, the webhook, to which each event is a message."""
    messages = {
        name: {
            "name": name,
            "summary": event.description or name,
            "contentType": event.envelope.content_type,
            "payload": _payload(event, COMPONENTS),
            **({"headers": _headers(event)} if event.version > 1 else {}),
        }
        for name, event in catalogues.versions.items()
    }
    channel = {"address": None, "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages}}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": _title(catalogues), "version": "1"},
        "channels": {"webhook": channel},
        "operations": {"sendEvent": {"action": "send", "channel": {"$ref": "#/channels/webhook"}}},
        "components": {"messages": messages, "schemas": types(catalogues, COMPONENTS)},
    }


FORMATS: Mapping[str, Callable[[Catalogues], JSON]] = {
    "json-schema": json_schema,
    "openapi": openapi,
    "asyncapi": asyncapi,
}


def _version(event: EventType) -> JSON:
    return {"const": str(event.version)}


def _headers(event: EventType) -> JSON:
    return {"type": "object", "properties": {VERSION_HEADER: _version(event)}, "required": [VERSION_HEADER]}


def _any_version(event: EventType) -> JSON:
    refs = [{"$ref": DEFS + one.qualified_name} for one in event.versions.values()]
    return refs[0] if len(refs) == 1 else {"anyOf": refs}  # a payload may be of several


def _payload(event: EventType, refs: str) -> JSON:
    described = {"description": event.description} if event.description else {}
    payload = event.envelope.json_schema(event.name, event.body.json_schema(refs))
    return {"title": event.qualified_name, **described, **_deprecated(event), **payload}


def _deprecated(event: EventType) -> JSON:
    return {"deprecated": True} if event.deprecated_at else {}


def _title(catalogues: Catalogues) -> str:
    return ", ".join(catalogue.name for catalogue in catalogues.catalogues)
