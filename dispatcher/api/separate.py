"""In the OpenAPI document: what a request takes and what a response has, where both are one marshmallow schema.

Tools that write clients ignore `readOnly` and `writeOnly`, and make an attribute optional that every response has. So a
schema of both becomes two: `Tenant`, with all that a response has and no more, and `TenantInput`, what may be sent.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from dispatcher.schemas.api.portal import PortalSchema, PortalThemeSchema
from dispatcher.schemas.api.webhook import WebhookSchema, WebhookWithExtrasSchema

JSON = dict[str, Any]

_REFS = "#/components/schemas/"
_SOMETIMES: Mapping[str, frozenset[str]] = {
    "Token": frozenset({"refresh_token"}),
    "Problem": frozenset({"errors"}),
    "Portal": frozenset(PortalSchema().fields),
    "PortalTheme": frozenset(PortalThemeSchema().fields),
    "WebhookWithExtras": frozenset(WebhookWithExtrasSchema().fields.keys() - WebhookSchema().fields.keys()),
}
"""Schema → what not every response has."""


def separate(document: JSON) -> None:
    """Changes `document`, which has no schemas but those of marshmallow."""
    schemas: JSON = document["components"]["schemas"]
    operations = [one for item in document["paths"].values() for one in item.values() if isinstance(one, dict)]
    bodies = [one["requestBody"] for one in operations if "requestBody" in one]
    taken = _closure(schemas, (name for body in bodies for name in _names(body)))
    responded = _closure(schemas, (name for one in operations for name in _names(one["responses"])))
    both = taken & responded
    inputs = {name: _without(copy.deepcopy(schemas[name]), "readOnly") for name in taken}
    for changed in (*bodies, *inputs.values()):
        _rename(changed, both)
    for name in responded | {"Problem"}:  # which responses of /api/v1 get later
        kept = _without(schemas[name], "writeOnly")
        kept["required"] = sorted(kept["properties"].keys() - _SOMETIMES.get(name, frozenset()))
    schemas |= {f"{name}Input" if name in both else name: schema for name, schema in inputs.items()}


def _without(schema: JSON, mark: str) -> JSON:
    """The same, changed: without the properties marked so, and those of their alternatives."""
    schema["properties"] = {
        name: _unmarked(one, mark) for name, one in schema.get("properties", {}).items() if not one.get(mark)
    }
    if "required" in schema:
        schema["required"] = [name for name in schema["required"] if name in schema["properties"]]
    return schema


def _unmarked(schema: JSON, mark: str) -> JSON:
    """One of alternatives (`anyOf`) without those marked so; where only one is left, that."""
    left = [one for one in schema.get("anyOf", []) if not one.get(mark)]
    if len(left) == len(schema.get("anyOf", [])):
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return rest | (left[0] if len(left) == 1 else {"anyOf": left})


def _closure(schemas: JSON, names: Iterable[str]) -> set[str]:
    """These, and what they refer to."""
    closure: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in closure:
            closure.add(name)
            waiting += _names(schemas[name])
    return closure


def _references(part: Any) -> Iterable[JSON]:
    """Every object in `part` that is a reference to a schema."""
    if isinstance(part, dict):
        if str(part.get("$ref", "")).startswith(_REFS):
            yield part
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from _references(one)


def _names(part: Any) -> list[str]:
    return [one["$ref"].removeprefix(_REFS) for one in _references(part)]


def _rename(part: Any, both: set[str]) -> None:
    for one in _references(part):
        if one["$ref"].removeprefix(_REFS) in both:
            one["$ref"] += "Input"
