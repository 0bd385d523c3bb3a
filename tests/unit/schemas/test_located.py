"""Paths through JSON Schemas, as companies may store them."""

from typing import Any

from dispatcher.schemas.located import SchemaPart, attribute
from tests.support.cases import each


def found(schema: dict[str, Any], path: str) -> int:
    schemas = [SchemaPart(schema, schema)]
    for name in path.split("."):
        schemas = attribute(name, schemas)
    return len(schemas)


@each(
    ("schema", "expected"),
    [
        (True, 1),
        (False, 0),
        ({"anyOf": [True, {"type": "null"}]}, 1),
        ({"type": "array", "items": True}, 1),
        ({"type": "array", "items": False}, 0),
        ({"$ref": "#/$defs/any"}, 1),
    ],
)
def test_a_schema_may_be_true_or_false(schema: Any, expected: int) -> None:
    whole = {"type": "object", "properties": {"a": schema}, "$defs": {"any": True}}

    assert found(whole, "a.b") == expected


def test_types_within_each_other_are_walked_once() -> None:
    either = {"anyOf": [{"$ref": f"#/$defs/n{number}"} for number in range(4)]}
    types = {f"n{number}": {"type": "object", "properties": {"a": either}} for number in range(4)}

    assert found({"$ref": "#/$defs/n0", "$defs": types}, ".".join("a" * 12)) == 1
