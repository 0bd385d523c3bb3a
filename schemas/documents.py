"""The active catalogues as documents, for receivers and their tools: JSON Schema, OpenAPI, AsyncAPI. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from dispatcher.schemas.active_catalogues import Catalogues
from dispatcher.schemas.catalogue import DIALECT, EventType

JSON = dict[str, Any]

DEFS, COMPONENTS = "#/$defs/", "#/components/schemas/"


def types(catalogues: Catalogues, refs: str) -> JSON:
    """The JSON Schemas of all types that stand in bodies of events, by name."""
    found: JSON = {}
    for event in catalogues.events.values():
        found |= event.body.types(refs)
    return found


def webhook(event: EventType) -> JSON:
    """What is POSTed (an item of OpenAPI 3.1's `webhooks`)."""
    content = {event.envelope.content_type: {"schema": _payload(event, COMPONENTS)}}
    return {
        "post": {
            "operationId": event.name,
            "summary": event.description or event.name,
            "requestBody": {"required": True, "content": content},
            "responses": {"2XX": {"description": "Received. After any other response it is sent again."}},
        }
    }


def json_schema(catalogues: Catalogues) -> JSON:
    """One JSON Schema of what receivers get: a payload of one of the events, each under its name in `$defs`."""
    events = {name: _payload(event, DEFS) for name, event in catalogues.events.items()}
    return {
        "$schema": DIALECT,
        "title": _title(catalogues),
        "oneOf": [{"$ref": DEFS + name} for name in events],
        "$defs": events | types(catalogues, DEFS),
    }


def openapi(catalogues: Catalogues) -> JSON:
    """An OpenAPI 3.1 document of the webhooks alone; that of the API has them too."""
    return {
        "openapi": "3.1.0",
        "info": {"title": _title(catalogues), "version": "1"},
        "webhooks": {name: webhook(event) for name, event in catalogues.events.items()},
        "components": {"schemas": types(catalogues, COMPONENTS)},
    }


def asyncapi(catalogues: Catalogues) -> JSON:
    """An AsyncAPI 3.0 document: one channel, the webhook, to which each event is a message."""
    messages = {
        name: {
            "name": name,
            "summary": event.description or name,
            "contentType": event.envelope.content_type,
            "payload": _payload(event, COMPONENTS),
        }
        for name, event in catalogues.events.items()
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


def _payload(event: EventType, refs: str) -> JSON:
    described = {"description": event.description} if event.description else {}
    return {"title": event.name, **described, **event.envelope.json_schema(event.name, event.body.json_schema(refs))}


def _title(catalogues: Catalogues) -> str:
    return ", ".join(catalogue.name for catalogue in catalogues.catalogues)
