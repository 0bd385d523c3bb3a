"""An event's body that a JSON Schema (2020-12) describes: for producers in any language.

The schema is checked where it is stored (`problems_of`), so that whoever loads it can rely on it. It is compiled when
the first body is validated. References lead to its own `$defs` and nowhere else: nothing is ever fetched. Patterns are
matched in linear time, without look-around and back-references. Formats (`date-time`, `uuid`, `email`, `uri` and the
others of 2020-12) are asserted.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dispatcher.schemas.errors import InvalidCatalogue, plain
from dispatcher.schemas.wire.body import Rendered
from dispatcher.schemas.wire.fields import Invalid, JsonSchema, Problems
from dispatcher.schemas.wire.json_schema import DIALECT, PERSONAL
from dispatcher.schemas.wire.json_values import infinite, is_json, json_text

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError

    from dispatcher.schemas.marshmallow_json_schema import BodyDescription

SIZE_LIMIT, DEPTH_LIMIT = 256 * 1024, 64
"""Bytes of a schema as JSON, and objects and arrays in one another."""
ALL_PROBLEMS_BYTES = 32 * 1024
"""Of a larger body only the first problem is reported: all those of 5 MiB may take a minute, and gigabytes."""
_PATTERN_LIMIT = 1024 * 1024
"""Bytes of a compiled pattern."""
_DEFS, _COMPONENTS = "#/$defs/", "#/components/schemas/"
_DEF_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_OF_ITS_OWN = frozenset(
    {"$anchor", "$dynamicAnchor", "$dynamicRef", "$vocabulary", "$recursiveRef", "$recursiveAnchor"}
)
"""Words by which a schema names itself, or leads elsewhere: within other documents they would mean another."""
_ROOT_ONLY = frozenset({"$schema", "$id", "$defs"})
_OF_NAMES = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})
"""Words whose value is an object of schemas by name."""
_OF_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_BOOLEANS: Mapping[bool, JsonSchema] = {True: {}, False: {"not": {}}}
_OF_VALUES = frozenset({"const", "enum", "default", "examples", "example"})
"""Words whose value is no schema."""


class JsonSchemaBody:
    """Validated by jsonschema-rs. `name` is the event's: types in its body have it before theirs."""

    def __init__(self, name: str, schema: JsonSchema) -> None:
        self._name = name
        self._schema = schema

    def render(self, body: Mapping[str, object], zone: str) -> Rendered:
        """As `BodyType` has it. Datetimes, UUIDs and Decimals are written as JSON has them, in no particular zone."""
        try:
            text = json_text(body)
            value = body if is_json(body) else _read(body, text)
            if not self.is_valid(value):
                raise Invalid(self._problems(value, len(text)))
        except RecursionError:
            raise Invalid([("", "is nested too deeply")]) from None
        return text, value

    def is_valid(self, value: Any) -> bool:
        """Whether a JSON value keeps the schema."""
        return self._validator.is_valid(value)

    def msgspec_type(self) -> Any:
        """What msgspec decodes it as, before it is validated."""
        return dict[str, Any]

    def json_schema(self, refs: str) -> JsonSchema:
        """As `BodyType` has it."""
        return self._described.body(refs)

    def types(self, refs: str) -> dict[str, JsonSchema]:
        """As `BodyType` has it."""
        return self._described.types(refs)

    def example(self) -> dict[str, Any]:
        """As `BodyType` has it."""
        return self._described.example()

    def _problems(self, value: Any, size: int) -> Problems:
        """All; of a large body the first, as jsonschema-rs makes all before it gives one."""
        if size <= ALL_PROBLEMS_BYTES:
            return [problem for error in self._validator.iter_errors(value) for problem in _problems(error)]
        try:
            self._validator.validate(value)
        except ValueError as error:
            return _problems(error)[:1]  # type: ignore[arg-type]  # a ValidationError, which is imported for types only
        return []

    @cached_property
    def _validator(self) -> "Draft202012Validator":
        return compiled(self._schema)

    @cached_property
    def _described(self) -> "BodyDescription":
        from dispatcher.schemas.marshmallow_json_schema import BodyDescription  # noqa: PLC0415 -- of the server only

        prefix = f"{_COMPONENTS}{self._name}."
        types = {f"{self._name}.{name}": _renamed(one, prefix) for name, one in self._schema.get("$defs", {}).items()}
        body = {word: value for word, value in self._schema.items() if word not in _ROOT_ONLY}
        return BodyDescription(_renamed(body, prefix), types)


def _read(body: Mapping[str, object], text: bytes) -> Any:
    """What is sent of Python's objects; raises Invalid where that is another value."""
    if problems := list(infinite(body)):
        raise Invalid(problems)
    return json.loads(text)


def compiled(schema: JsonSchema) -> "Draft202012Validator":
    """What validates by it; raises ValueError where jsonschema-rs refuses it, InvalidCatalogue where there is none."""
    try:
        import jsonschema_rs  # noqa: PLC0415 -- a process without such events does without it
    except ModuleNotFoundError as error:
        text = "events that a JSON Schema describes need jsonschema-rs: pip install jsonschema-rs"
        raise InvalidCatalogue(text) from error
    return jsonschema_rs.Draft202012Validator(
        schema,
        validate_formats=True,
        offline=True,
        pattern_options=jsonschema_rs.RegexOptions(size_limit=_PATTERN_LIMIT, dfa_size_limit=_PATTERN_LIMIT),
        mask="the value",  # which may be confidential
    )


def problems_of(schema: Any) -> list[str]:
    """Why it cannot be the schema of a body; empty where it can."""
    if not isinstance(schema, dict):
        return ["must be a JSON Schema, an object"]
    try:
        if len(json_text(schema)) > SIZE_LIMIT:
            return [f"is too long (maximum is {SIZE_LIMIT // 1024} KiB)"]
        if _depth(schema) > DEPTH_LIMIT:
            return [f"is nested too deeply (maximum is {DEPTH_LIMIT} levels)"]
    except (Invalid, RecursionError):
        return ["holds what is no JSON"]
    if str(schema.get("$schema", DIALECT)).rstrip("#") != DIALECT:
        return [f"$schema: must be {DIALECT}, or absent"]
    if schema.get("type") != "object" or not isinstance(schema.get("properties"), dict):
        return ['must have "type": "object" and `properties`: a body is an object']
    problems = list(_references(schema, schema))
    if not problems:
        try:
            compiled(schema)
        except ValueError as error:
            problems = [_first_line(error)]
    return problems


def _first_line(error: ValueError) -> str:
    at = ".".join(str(part) for part in getattr(error, "instance_path", ()))
    text = plain(str(getattr(error, "message", error)).partition("\n")[0])
    if '"regex"' in text:
        text += "; look-around and back-references are not supported"
    return f"{at}: {text}" if at else text


def _references(part: Any, whole: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """What leads out of the schema, or would mean something else within another document."""
    if isinstance(part, list):
        for number, one in enumerate(part):
            yield from _references(one, whole, f"{path}[{number}]")
    if not isinstance(part, dict):
        return
    for word, value in part.items():
        at = f"{path}.{plain(word)}".lstrip(".")
        if word in _OF_ITS_OWN or (path and word in _ROOT_ONLY):
            yield f"{at}: is not supported; put types into `$defs` of the schema itself, and refer to them by `$ref`"
        elif word == PERSONAL and not isinstance(value, bool):
            yield f"{at}: must be true or false"
        elif word == "$ref":
            name = value.removeprefix(_DEFS) if isinstance(value, str) and value.startswith(_DEFS) else ""
            if name not in whole.get("$defs", {}) or not _DEF_NAME.fullmatch(name):
                yield f"{at}: must be #/$defs/ and the name of a type there, of letters, digits, dots, hyphens and _"
        elif word in _OF_NAMES and isinstance(value, dict):
            for name, one in value.items():
                yield from _references(one, whole, f"{at}.{plain(name)}")
        elif word not in _OF_VALUES:
            yield from _references(value, whole, at)


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _renamed(schema: Any, prefix: str) -> Any:
    """It with its types named so; `true` and `false` are written as schemas, so that who reads it finds no others."""
    if not isinstance(schema, dict):
        return _BOOLEANS[schema] if isinstance(schema, bool) else schema
    return {word: _renamed_word(word, value, prefix) for word, value in schema.items()}


def _renamed_word(word: str, value: Any, prefix: str) -> Any:
    if word == "$ref" and isinstance(value, str):
        return prefix + value.removeprefix(_DEFS)
    if word in _OF_NAMES and isinstance(value, dict):
        return {name: _renamed(one, prefix) for name, one in value.items()}
    if word in _OF_LISTS and isinstance(value, list):
        return [_renamed(one, prefix) for one in value]
    if word == "items" or (isinstance(value, dict) and word not in _OF_VALUES):
        return _renamed(value, prefix)
    return value


_TEXTS: Mapping[str, str] = {
    "anyOf": "must keep one of the alternatives in anyOf",
    "oneOf": "must keep just one of the alternatives in oneOf",
    "enum": "must be one of {options}",
    "const": "must be {expected_value}",
    "format": "must be of the format {format}",
    "pattern": "must match {pattern}",
    "minLength": "must have at least {limit} characters",
    "maxLength": "must have at most {limit} characters",
    "minItems": "must have at least {limit} items",
    "maxItems": "must have at most {limit} items",
    "minProperties": "must have at least {limit} attributes",
    "maxProperties": "must have at most {limit} attributes",
    "minimum": "must be at least {limit}",
    "maximum": "must be at most {limit}",
    "exclusiveMinimum": "must be greater than {limit}",
    "exclusiveMaximum": "must be less than {limit}",
    "multipleOf": "must be a multiple of {multiple_of}",
    "uniqueItems": "must not have the same item twice",
    "falseSchema": "must be absent",
}
"""Word of a schema → what is said of a value that does not keep it. Nothing is repeated of the value itself."""


def _problems(error: "ValidationError") -> Problems:
    """Where and why, in the words of the schema."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path)
    word, facts = error.kind.name, error.kind.as_dict()
    if word == "required":
        return [(f"{path}.{facts['property']}", "missing")]
    if word in ("additionalProperties", "unevaluatedProperties"):
        return [(f"{path}.{name}", "unknown attribute") for name in facts["unexpected"]]
    if word == "type":
        return [(path, f"must be {_listed(facts['types'])}")]
    shown = {name: json.dumps(value, ensure_ascii=False, default=str) for name, value in facts.items()}
    return [(path, plain(_TEXTS.get(word, "does not keep `{word}` of the schema").format(word=word, **shown)))]


def _listed(types: list[str]) -> str:
    named = ["null" if one == "null" else f"{'an' if one[0] in 'aio' else 'a'} {one}" for one in types]
    return " or ".join(named)
