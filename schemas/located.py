"""Paths through the JSON Schemas of events' bodies: what an attribute may be, and whether there is one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dispatcher.schemas import json_patch
from dispatcher.schemas.active_catalogues import active
from dispatcher.schemas.catalogue import FIRST
from dispatcher.schemas.wire.choices import did_you_mean

Schema = Mapping[str, Any]
_ANYTHING: Schema = {}


def bodies(subscriptions: Iterable[str], pins: Mapping[str, int] | None = None) -> list["SchemaPart"]:
    """Of the events that these mean; the dispatcher's own have no schema.

    They are of the newest versions, as events are emitted, or with `pins` as a webhook with these gets them.
    """
    known = active().events
    events = [known[name] for name in active().subscribed(subscriptions) if name in known]
    if pins is not None:
        events = [one.versions[min(one.version, pins.get(one.name, FIRST))] for one in events]
    return [SchemaPart(one.schema, one.schema) for one in events]


def attribute(name: str, schemas: Sequence["SchemaPart"]) -> list["SchemaPart"]:
    """What the attribute may be, each once: alternatives that hold one another would be millions after eleven steps."""
    return list({(id(one.whole), id(one.part)): one for schema in schemas for one in schema.attribute(name)}.values())


def no_such_attribute(name: str, schemas: Sequence["SchemaPart"]) -> str:
    """What is wrong with an attribute that none of them has."""
    known = sorted({other for schema in schemas for other in schema.names()})
    return f"is no attribute of the events; {did_you_mean(name, known) if known else 'it has no attributes'}"


def problem_of_path(path: str, schemas: Sequence["SchemaPart"]) -> str | None:
    """What is wrong with a path such as `order.customer.id` through bodies of these schemas."""
    for name in path.split("."):
        inner = attribute(name, schemas)
        if not inner:
            return no_such_attribute(name, schemas)
        schemas = inner
    return None


class SchemaPart:
    """A part of a JSON Schema, and the whole in which its references lead somewhere."""

    def __init__(self, whole: Schema, part: Schema) -> None:
        self.whole = whole
        self.part = part

    def attribute(self, name: str) -> Iterator["SchemaPart"]:
        """What the attribute may be, also of the items of an array; nothing where there is no such attribute."""
        for schema in self.leaves():
            if name in schema.get("properties", {}):
                yield SchemaPart(self.whole, schema["properties"][name])
            elif _is_open(schema):
                yield SchemaPart(self.whole, schema["additionalProperties"] if _has_more(schema) else _ANYTHING)

    def names(self) -> Iterator[str]:
        """The attributes that it names."""
        for schema in self.leaves():
            yield from schema.get("properties", {})

    def leaves(self) -> Iterator[Schema]:
        """Itself, its alternatives and its items, each without references."""
        pending: list[Any] = [self.part]
        seen = 0
        while pending and seen < 1_000:
            schema, seen = pending.pop(0), seen + 1
            if isinstance(schema, bool):  # all or nothing
                if schema:
                    yield _ANYTHING
                continue
            if "$ref" in schema:
                pending.append(part_at(self.whole, schema["$ref"]))
                continue
            yield schema
            for word in ("anyOf", "oneOf", "allOf"):
                pending += schema.get(word, [])
            if isinstance(schema.get("items"), dict | bool):
                pending.append(schema["items"])


def part_at(whole: Schema, reference: str) -> Schema:
    """Where a reference leads within it."""
    value: Any = whole
    for part in json_patch.parts(reference.removeprefix("#")):
        value = value[part]
    return value if isinstance(value, dict) else {}


def _is_open(schema: Schema) -> bool:
    """Whether it may have attributes that it does not name: by its own words, or as nothing is said of it."""
    is_object = "object" in types_of(schema) or "properties" in schema
    return (is_object and schema.get("additionalProperties", True) is not False) or not schema


def _has_more(schema: Schema) -> bool:
    return isinstance(schema.get("additionalProperties"), dict)


def types_of(schema: Schema) -> set[str]:
    """The types that it allows; none where nothing is said of them."""
    types = schema.get("type", [])
    return {types} if isinstance(types, str) else set(types)
