"""Any marshmallow schemas → JSON Schema, by apispec's converter; and examples made of it. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.common import make_schema_key, resolve_schema_instance
from marshmallow import Schema, fields

from dispatcher.schemas.wire.fields import Items, JsonSchema, Wire
from dispatcher.schemas.wire.json_schema import PERSONAL, is_personal, of_field

_REFS = "#/components/schemas/"
_FORMATS = {
    "uuid": "0190163d-8694-739b-aea5-966c26f8ad91",
    "date": "2024-06-13",
    "date-time": "2024-06-13T12:06:20.743Z",
    "time": "12:06:20",
    "email": "info@example.com",
    "url": "https://example.com/",
    "decimal": "12.50",
    "int64": "1",
    "ip": "192.0.2.1",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}
_VALUES_LIMIT, _LENGTH_LIMIT = 10_000, 10_000
"""Of an example that is made up: values, and characters of one."""


class BodyDescription:
    """The schema of a body."""

    def __init__(self, body: JsonSchema, types: Mapping[str, JsonSchema]) -> None:
        self._body = body
        self._types = types

    def body(self, refs: str) -> JsonSchema:
        """The body's JSON Schema."""
        named: JsonSchema = _renamed(self._body, refs)
        return named

    def types(self, refs: str) -> dict[str, JsonSchema]:
        """Those of the types in it, by name."""
        names: dict[str, None] = {}
        _collect(self._body, self._types, names)
        return {name: _renamed(self._types[name], refs) for name in sorted(names)}

    def example(self) -> dict[str, Any]:
        """A body with every attribute, as far as its schema tells; its author may know a better one."""
        body: dict[str, Any] = _Examples(self._types).of(self._body, ())
        return body


class Spec:
    """Several schemas of bodies, and one type for each schema that is nested in them; names begin with `prefix`."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._names: dict[object, str] = {}
        plugin = MarshmallowPlugin(schema_name_resolver=self._name)
        self._spec = APISpec(prefix, "1", "3.1.0", plugins=[plugin])
        assert plugin.converter is not None  # noqa: S101 - it has one as soon as it has a spec
        self._converter = plugin.converter
        self._converter.add_attribute_function(_of_other_field)

    def describe(self, schema: Schema) -> BodyDescription:
        """The schema of a body."""
        body = _sent(self._converter.schema2jsonschema(schema))
        types = self._spec.to_dict()["components"].get("schemas", {})
        return BodyDescription(body, {name: _sent(one) for name, one in types.items()})

    def _name(self, schema: Any) -> str:
        """That of the class; a second one of that name, or with other attributes (`only`), has a number."""
        one = resolve_schema_instance(schema)
        key = make_schema_key(one)
        if key not in self._names:
            name = f"{self._prefix}.{type(one).__name__.removesuffix('Schema')}"
            number = sum(other.rstrip("0123456789") == name for other in self._names.values())
            self._names[key] = f"{name}{number + 1}" if number else name
        return self._names[key]


def _of_other_field(_converter: object, field: Any, **_: Any) -> JsonSchema:
    """Of fields that apispec does not know, or not well."""
    return _form(field) | ({PERSONAL: True} if is_personal(field) else {})


def _form(field: Any) -> JsonSchema:
    if isinstance(field, Wire | Items):
        return of_field(field, _REFS)
    if isinstance(field, fields.Number) and field.as_string:
        return {"type": "string", "format": "int64" if isinstance(field, fields.Integer) else "decimal"}
    return {}


def _sent(schema: JsonSchema) -> JsonSchema:
    """Without what is never sent; and what is only sent is nothing special here."""
    properties = {
        name: {word: value for word, value in one.items() if word != "readOnly"}
        for name, one in schema.get("properties", {}).items()
        if not one.get("writeOnly")
    }
    required = [name for name in schema.get("required", ()) if name in properties]
    return schema | {"properties": properties} | ({"required": required} if "required" in schema else {})


def _renamed(value: Any, refs: str) -> Any:
    if isinstance(value, Mapping):
        return {
            key: refs + item.removeprefix(_REFS) if key == "$ref" and _is_reference(item) else _renamed(item, refs)
            for key, item in value.items()
        }
    return [_renamed(item, refs) for item in value] if isinstance(value, list) else value


def _is_reference(value: object) -> bool:
    """A value in `const` or `enum` may have an attribute of that name, too."""
    return isinstance(value, str) and value.startswith(_REFS)


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if _is_reference(value.get("$ref")):
            yield value["$ref"].removeprefix(_REFS)
        for item in value.values():
            yield from _refs(item)
    elif isinstance(value, list):
        for item in value:
            yield from _refs(item)


def _collect(schema: JsonSchema, types: Mapping[str, JsonSchema], names: dict[str, None]) -> None:
    for name in _refs(schema):
        if name not in names:
            names[name] = None
            _collect(types[name], types, names)


class _Examples:
    """Of what a schema describes. Types within types can be many more than can be written: the rest is null."""

    def __init__(self, types: Mapping[str, JsonSchema]) -> None:
        self._types = types
        self._left = _VALUES_LIMIT

    def of(self, schema: JsonSchema, within: tuple[str, ...]) -> Any:
        """A value; `within`: the types in which it stands, of which it holds no other."""
        self._left -= 1
        if self._left < 0:
            return None
        for word in ("example", "const", "default"):
            if word in schema:
                return schema[word]
        for word in ("examples", "enum"):
            if schema.get(word):
                return schema[word][0]
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(_REFS)
            return None if name in within else self.of(self._types[name], (*within, name))
        for word in ("allOf", "anyOf", "oneOf"):
            if schema.get(word):
                return self.of(schema[word][0], within)
        return self._of_type(schema, within)

    def _of_type(self, schema: JsonSchema, within: tuple[str, ...]) -> Any:
        kind = schema.get("type", "object")
        match kind[0] if isinstance(kind, list) else kind:
            case "object":
                return {name: self.of(one, within) for name, one in schema.get("properties", {}).items()}
            case "array":
                return [self.of(schema.get("items", {}), within)]
            case "string":
                length = min(schema.get("minLength", 0), _LENGTH_LIMIT)
                return _FORMATS.get(schema.get("format", ""), "text".ljust(length, "."))
            case "boolean":
                return False
            case "integer" | "number":
                return schema.get("minimum", 1)
        return None
