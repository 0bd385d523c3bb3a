"""What API v3 documents, as a table (`facts.json`), and the examples; the tests hold the schemas to both."""

import json
from pathlib import Path
from typing import Any

from dispatcher.schemas.api_v3 import EVENT_TYPES
from dispatcher.schemas.wire.fields import Shape, WireSchema
from tests.support.places import EXAMPLES

_ALL = json.loads((Path(__file__).parent / "facts.json").read_text(encoding="utf-8"))

TYPES: dict[str, list[dict[str, Any]]] = _ALL["types"]
"""Type name → its returned attributes, in order. `nullable` is false only where null is known not to come."""
HTTP: dict[str, list[str]] = _ALL["http"]
"""The objects of the webhook endpoints → the names of their attributes, in order."""
EVENTS: dict[str, dict[str, Any]] = _ALL["events"]
"""Event name → its body's keys; `?` at a type's end marks an optional key, `array:` an array."""

EXAMPLE_NAMES = sorted(path.stem for path in EXAMPLES.glob("*.json"))


def example(name: str) -> Any:
    """An example's data, fresh, so that a test may change it."""
    return json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def in_order(value: Any) -> str:
    """JSON text for comparing: values and the order of keys; 1 and 1.0 differ, and so do 1 and true."""
    return json.dumps(value, ensure_ascii=False, indent=1)


def _resources() -> dict[str, WireSchema]:
    """Every type that stands in a body, and those nested in it, by name."""
    types: dict[str, WireSchema] = {}

    def walk(shape: Shape) -> None:
        if shape.inner.type_name not in types:
            types[shape.inner.type_name] = type(shape.inner)()
            for field in shape.inner.fields.values():
                if isinstance(field, Shape):
                    walk(field)

    for event in EVENT_TYPES.values():
        for shape in () if event.bulk else event.keys.values():
            walk(shape)
    return types


RESOURCES = _resources()
"""Type name → its schema."""
