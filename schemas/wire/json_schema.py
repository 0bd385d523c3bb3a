"""marshmallow schemas → JSON Schema (2020-12), as the values are sent; what `emit` takes is a little wider.

Pure: the same in, the same out. What is returned is shared and not to be changed.
"""

from inspect import getdoc
from typing import Any

from dispatcher.schemas.wire.fields import JsonSchema, Shape, WireSchema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PERSONAL = "x-personal"
"""The word that marks personal fields."""
_DEFS = "#/$defs/"


def object_schema(schema: WireSchema, refs: str = _DEFS) -> JsonSchema:
    """The JSON Schema of one object; those nested in it are named as `refs` and their type's name."""
    return {"description": getdoc(type(schema)) or "", **attributes(schema, refs)}


def of_field(field: Any, refs: str = _DEFS) -> JsonSchema:
    """The JSON Schema of an attribute's value."""
    schema: JsonSchema = field.json_schema(refs)
    if is_personal(field):
        schema = schema | {PERSONAL: True}
    if not field.allow_none:
        return schema
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    with_null = schema | {"type": [schema["type"], "null"]}
    return with_null | {"enum": [*schema["enum"], None]} if "enum" in schema else with_null


def is_personal(field: Any) -> bool:
    """Whether a field of marshmallow is marked as personal."""
    return field.metadata.get("personal") is True


def attributes(schema: WireSchema, refs: str) -> JsonSchema:
    """The JSON Schema of an object, without words."""
    return {
        "type": "object",
        "properties": {name: of_field(field, refs) for name, field in schema.fields.items()},
        "required": [name for name, field in schema.fields.items() if field.required],
        "additionalProperties": False,
    }


def nested_types(schema: WireSchema, refs: str) -> dict[str, JsonSchema]:
    """The JSON Schemas of all types that are nested in the schema, by name."""
    types: dict[str, JsonSchema] = {}
    _collect(schema, types, refs)
    return types


def _collect(schema: WireSchema, types: dict[str, JsonSchema], refs: str) -> None:
    """Puts all types that are nested in the schema into `types`, by name."""
    for field in schema.fields.values():
        if isinstance(field, Shape) and field.inner.type_name not in types:
            types[field.inner.type_name] = object_schema(field.inner, refs)
            _collect(field.inner, types, refs)
