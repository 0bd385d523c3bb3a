"""marshmallow schemas → JSON Schema (2020-12), as the values are sent; what `emit` takes is a little wider.

Pure: the same in, the same out. What is returned is shared and not to be changed.
"""

from functools import cache, singledispatch
from inspect import getdoc
from typing import Any

from marshmallow.validate import Range

from schemas.wire.catalogue import EVENT_TYPES, BodyKey, event_type
from schemas.wire.fields import (
    URL,
    Boolean,
    Date,
    DateTime,
    DecimalString,
    Integer,
    Items,
    Number,
    Shape,
    String,
    Url,
    Uuid,
    WireSchema,
)

JsonSchema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DEFS = "#/$defs/"


@cache
def event_schema(name: str) -> JsonSchema:
    """The JSON Schema of the event's body, complete in itself; raises InvalidEvent for a name not in the catalogue."""
    found: dict[str, JsonSchema] = {}
    for key in event_type(name).body:
        _collect(key.schema, found)
    return {"$schema": DIALECT, "title": name, **body_schema(name), "$defs": found}


def body_schema(name: str, refs: str = _DEFS) -> JsonSchema:
    """The JSON Schema of the event's body; the types in it are named as `refs` and their name."""
    keys = event_type(name).body
    properties = {key.name: _of_key(key, refs) for key in keys}
    return _object(properties, [key.name for key in keys if not key.optional])


def object_schema(schema: WireSchema, refs: str = _DEFS) -> JsonSchema:
    """The JSON Schema of one object; those nested in it are named as `refs` and their type's name."""
    properties = {name: of_field(field, refs) for name, field in schema.fields.items()}
    required = [name for name, field in schema.fields.items() if field.required]
    return {"description": getdoc(type(schema)) or "", **_object(properties, required)}


def type_name(schema: WireSchema) -> str:
    """The name of a schema's type, `Invoice` for an InvoiceSchema."""
    return type(schema).__name__.removesuffix("Schema")


def of_field(field: Any, refs: str = _DEFS) -> JsonSchema:
    """The JSON Schema of an attribute's value."""
    found = _plain(field, refs)
    if not field.allow_none:
        return found
    if "type" not in found:
        return {"anyOf": [found, {"type": "null"}]}
    with_null = found | {"type": [found["type"], "null"]}
    return with_null | {"enum": [*found["enum"], None]} if "enum" in found else with_null


def _of_key(key: BodyKey, refs: str) -> JsonSchema:
    reference = {"$ref": refs + type_name(key.schema)}
    return {"type": "array", "items": reference} if key.many else reference


def _object(properties: dict[str, JsonSchema], required: list[str]) -> JsonSchema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def body_types(refs: str) -> dict[str, JsonSchema]:
    """The JSON Schemas of all types that stand in bodies of events, by name."""
    found: dict[str, JsonSchema] = {}
    for event in EVENT_TYPES.values():
        for key in event.body:
            _collect(key.schema, found, refs)
    return found


def _collect(schema: WireSchema, found: dict[str, JsonSchema], refs: str = _DEFS) -> None:
    """Puts the type and all that are nested in it into `found`, by name."""
    if type_name(schema) in found:
        return
    found[type_name(schema)] = object_schema(schema, refs)
    for field in schema.fields.values():
        if isinstance(field, Shape):
            _collect(nested(field), found, refs)


def nested(field: Shape) -> WireSchema:
    """The schema inside a Shape, which marshmallow keeps without its type."""
    inner = field.schema
    assert isinstance(inner, WireSchema)  # noqa: S101 - there are no others
    return inner


@singledispatch
def _plain(field: Any, refs: str) -> JsonSchema:
    """Without null; one implementation for each kind of field."""
    raise TypeError(f"no JSON Schema is known for a {type(field).__name__}")


@_plain.register
def _(field: Integer, refs: str) -> JsonSchema:
    bounds = next((check for check in field.validators if isinstance(check, Range)), Range(-(2**63), 2**63 - 1))
    return {"type": "integer", "minimum": bounds.min, "maximum": bounds.max}


@_plain.register
def _(field: String, refs: str) -> JsonSchema:
    return {"type": "string", "enum": sorted(field.choices)} if field.choices else {"type": "string"}


@_plain.register
def _(field: Boolean, refs: str) -> JsonSchema:
    return {"type": "boolean"}


@_plain.register
def _(field: Number, refs: str) -> JsonSchema:
    return {"type": "number"}


@_plain.register
def _(field: DecimalString, refs: str) -> JsonSchema:
    fraction = r"(\.[0-9]{1,30})?" if field.as_given else r"\.[0-9]{1,30}"
    return {"type": "string", "pattern": f"^-?[0-9]{{1,30}}{fraction}$"}


@_plain.register
def _(field: Date, refs: str) -> JsonSchema:
    return {"type": "string", "format": "date"}


@_plain.register
def _(field: DateTime, refs: str) -> JsonSchema:
    return {"type": "string", "format": "date-time"}


@_plain.register
def _(field: Url, refs: str) -> JsonSchema:
    return {"type": "string", "pattern": URL.pattern}


@_plain.register
def _(field: Uuid, refs: str) -> JsonSchema:
    return {"type": "string", "format": "uuid"}


@_plain.register
def _(field: Items, refs: str) -> JsonSchema:
    return {"type": "array", "items": of_field(field.inner, refs)}


@_plain.register
def _(field: Shape, refs: str) -> JsonSchema:
    reference = {"$ref": refs + type_name(nested(field))}
    return {"type": "array", "items": reference} if field.many else reference
