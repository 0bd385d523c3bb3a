"""An event's body whose attributes are all of our own types."""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, cast

import orjson

from dispatcher.schemas.wire import json_schema
from dispatcher.schemas.wire.fields import JsonSchema, Shape, WireSchema, written_in

_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""For what orjson refuses: integers beyond 64 bits, which are numbers too."""


Rendered = tuple[bytes, Mapping[str, Any]]
"""A body's JSON text, exactly as it will be sent, and the JSON value that it spells."""


class BodySchema(WireSchema):
    """The body of an event: an object, whose attributes are the keys."""

    missing_text = "missing from the body"
    unknown_text = "unknown key of the body"

    def null_text(self, key: Shape) -> str:
        """A null key is no object or array, like any other value."""
        return "not an array" if key.many else "not an object"


class WireBody:
    """Rendered by our fields, and decoded by msgspec where it comes as JSON text."""

    def __init__(self, name: str, keys: Mapping[str, Shape]) -> None:
        self._name = name
        self._keys = keys

    @cached_property
    def schema(self) -> WireSchema:
        """The schema of the body, made when it is needed: of 53 it takes a while."""
        schema: type[Any] = BodySchema.from_dict(dict(self._keys), name=f"{self._name}_body")
        return cast("WireSchema", schema())

    def msgspec_type(self) -> Any:
        """What msgspec decodes it as."""
        return Shape(type(self.schema)).msgspec_type()

    def render(self, body: Mapping[str, object], zone: str) -> Rendered:
        """As `BodyType` has it."""
        with written_in(zone):
            wired = self.schema.wire(body)
        try:
            return orjson.dumps(wired), wired
        except TypeError:
            return _json(wired).encode(), wired

    def json_schema(self, refs: str) -> JsonSchema:
        """As `BodyType` has it."""
        return json_schema.attributes(self.schema, refs)

    def types(self, refs: str) -> dict[str, JsonSchema]:
        """As `BodyType` has it."""
        return json_schema.nested_types(self.schema, refs)

    def example(self) -> dict[str, Any]:
        """As `BodyType` has it: every attribute, none null."""
        return self.schema.example_object()
