"""An event's body whose schemas are plain marshmallow's: a company's own.

A body that holds JSON values only is taken as it will be sent, its attributes spelt as in JSON, and validated. Anything
else (objects, datetimes, Decimals) is dumped, and what came out is validated. So what is sent is what schemas allow.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, ValidationError, fields

from dispatcher.schemas.wire.body import Rendered
from dispatcher.schemas.wire.fields import Invalid, JsonSchema, Problems, written_in
from dispatcher.schemas.wire.json_schema import is_personal
from dispatcher.schemas.wire.json_values import is_json, json_text

if TYPE_CHECKING:
    from dispatcher.schemas.marshmallow_json_schema import BodyDescription, Spec

_STRICT: tuple[tuple[type, tuple[type, ...], str], ...] = (
    (fields.Boolean, (bool,), "not a boolean"),
    (fields.Integer, (int,), "not an integer"),
    (fields.Number, (int, float, Decimal), "not a number"),
)
"""Fields that marshmallow also reads from other types of JSON, such as "1". They are sent as they come: as one type."""

_TELLING = 3
"""Characters of a value that says something when a text repeats it."""
_Spelling = Callable[[str, Any], str]
"""The name of a schema's attribute and its field → the key of a dict under which its value is."""


class Types:
    """The types of a catalogue's bodies; their names in JSON Schema begin with the catalogue's."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    @cached_property
    def spec(self) -> "Spec":
        """Where they are described, once each."""
        from dispatcher.schemas.marshmallow_json_schema import Spec  # noqa: PLC0415 -- of the server only

        return Spec(self._prefix)


class MarshmallowBody:
    """Rendered by marshmallow's `dump` and `validate`."""

    def __init__(self, types: Types, name: str, keys: Mapping[str, Any], personal: Sequence[str] = ()) -> None:
        """`personal`: paths of personal fields, besides those whose field says so."""
        self._types = types
        self._personal = frozenset(personal)
        self._name = name
        self._keys = dict(keys)

    @cached_property
    def schema(self) -> Schema:
        """The schema of the body, which reads what it dumps: `dump_only` attributes too, and no `load_only` ones."""
        schema: Schema = Schema.from_dict(self._keys, name=f"{self._name}_body")()
        _read_what_is_dumped(schema, frozenset())
        return schema

    def render(self, body: Mapping[str, object], zone: str) -> Rendered:
        """As `BodyType` has it."""
        try:
            return self._render(body, zone)
        except RecursionError:
            raise Invalid([("", "is nested too deeply")]) from None

    def _render(self, body: Mapping[str, object], zone: str) -> Rendered:
        with written_in(zone):  # of attributes that are of our own types
            value, problems = (body, _of_another_type(self.schema, body)) if is_json(body) else self._dump(body)
            if value is not None:
                known = {path for path, _ in problems}
                problems += [one for one in _flat(self.schema.validate(value)) if one[0] not in known]
        if problems:
            raise Invalid(self._without_personal(problems, value))
        return json_text(value), value

    def _without_personal(self, problems: Problems, value: Any) -> Problems:
        """A company's own validator may repeat a value. Of a personal one only a field's fixed texts are repeated."""
        secret = set(_texts_of(self.schema, value, "", self._personal))
        return [
            (path, text if _is_harmless(self.schema, path, text, self._personal, secret) else "is invalid")
            for path, text in problems
        ]

    def json_schema(self, refs: str) -> JsonSchema:
        """As `BodyType` has it."""
        return self._described.body(refs)

    def types(self, refs: str) -> dict[str, JsonSchema]:
        """As `BodyType` has it."""
        return self._described.types(refs)

    def example(self) -> dict[str, Any]:
        """As `BodyType` has it."""
        return self._described.example()

    @cached_property
    def _described(self) -> "BodyDescription":
        return self._types.spec.describe(self.schema)

    def _dump(self, body: Mapping[str, object]) -> tuple[Any, Problems]:
        """The JSON value, and what is wrong with the values that it was to be made of."""
        if problems := _lost(self.schema, body):
            return None, problems
        try:
            return self.schema.dump(body), []
        except Exception as error:  # whatever a field's own code raises for a value that is not of its type
            return None, list(_undumpable(self.schema, body, "")) or [("", f"cannot be dumped: {type(error).__name__}")]


def _read_what_is_dumped(schema: Schema, within: frozenset[type]) -> None:
    schema.load_fields = schema.dump_fields
    if type(schema) not in within:  # one that is nested in itself has no end
        for field in schema.dump_fields.values():
            for nested in _schemas(field):
                nested.load = _validating(nested)  # type: ignore[method-assign]
                _read_what_is_dumped(nested, within | {type(schema)})


def _validating(schema: Schema) -> Callable[..., Any]:
    """`load` of a nested schema, without its hooks: they may make the company's own objects of it."""

    def load(data: Any, *, many: bool | None = None, unknown: Any = None, **_: Any) -> Any:
        schema.unknown = unknown or schema.unknown
        if messages := schema.validate(data, many=many):
            raise ValidationError(messages)
        return data

    return load


def _schemas(field: Any) -> Iterator[Schema]:
    if isinstance(field, fields.Nested):
        yield field.schema
    for inner in (getattr(field, "inner", None), getattr(field, "value_field", None)):
        if inner is not None and not isinstance(field, fields.Nested):
            yield from _schemas(inner)


def _flat(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Marshmallow's messages as (path, reason) pairs."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            part = f"[{key}]" if isinstance(key, int) else "" if key == "_schema" else f".{key}"
            yield from _flat(inner, path + part)
    else:
        for text in messages if isinstance(messages, list) else [messages]:
            yield path, str(text)


def _texts_of(schema: Schema, value: Any, path: str, personal: Collection[str]) -> Iterator[str]:
    """What stands in personal fields of a body, as text."""
    if not isinstance(value, Mapping):
        return
    for name, inner in value.items():
        at = f"{path}.{name}".lstrip(".")
        field = _named(schema, name)
        if at in personal or _is_marked(field):
            yield from _leaves(inner)
        else:
            for nested in _schemas(field):
                for item in inner if isinstance(inner, list) else [inner]:
                    yield from _texts_of(nested, item, at, personal)


def _leaves(value: Any) -> Iterator[str]:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for one in inner:
        yield from _leaves(one)
    if isinstance(value, str | int | float) and len(str(value)) >= _TELLING:
        yield str(value)


def _is_harmless(schema: Schema, path: str, text: str, personal: Collection[str], secret: Collection[str]) -> bool:
    """Whether a text about that path of a body reveals nothing of a personal field."""
    names = [part for part in re.split(r"\[[0-9]+\]|\.", path) if part]
    field: Any = None
    for number, name in enumerate(names, 1):
        field = _named(schema, name)
        if ".".join(names[:number]) in personal or _is_marked(field):
            return text in getattr(field, "error_messages", {}).values()
        schema = next(_schemas(field), Schema())
    return not any(one in text for one in secret)


def _named(schema: Schema, name: str) -> Any:
    """The field whose value stands under that name in JSON."""
    return next((field for key, field in schema.dump_fields.items() if (field.data_key or key) == name), None)


def _is_marked(field: Any) -> bool:
    return field is not None and is_personal(field)


def _of_another_type(schema: Schema, body: Mapping[str, Any]) -> Problems:
    return [
        (path, text)
        for part, value, path in _parts(schema, body, "", lambda name, field: field.data_key or name)
        if value is not None and not isinstance(part, Schema)
        for kind, types, text in [next((one for one in _STRICT if isinstance(part, one[0])), (None, (), ""))]
        if kind and type(value) not in ((str,) if getattr(part, "as_string", False) else types)
    ]


def _lost(schema: Schema, body: Mapping[str, Any]) -> Problems:
    """What a dump would leave out of a dict: attributes that its schema does not have."""
    return [
        (f"{path}.{key}", "unknown attribute" if path else "unknown key of the body")
        for part, value, path in _parts(schema, body, "", _attribute)
        if isinstance(part, Schema)
        for key in value.keys() - {_attribute(name, field).partition(".")[0] for name, field in part.fields.items()}
    ]


def _attribute(name: str, field: Any) -> str:
    return field.attribute or name


def _parts(schema: Schema, value: Mapping[str, Any], path: str, spelt: _Spelling) -> Iterator[tuple[Any, Any, str]]:
    """The schema with its dict, then those of all dicts within; and the fields of plain values with these."""
    yield schema, value, path
    for name, field in schema.dump_fields.items():
        key = spelt(name, field)
        if key in value:
            yield from _parts_of_value(field, value[key], f"{path}.{key}", spelt)


def _parts_of_value(field: Any, value: Any, path: str, spelt: _Spelling) -> Iterator[tuple[Any, Any, str]]:
    is_nested = isinstance(field, fields.Nested)
    if isinstance(value, list | tuple) and (isinstance(field, fields.List) or (is_nested and field.many)):
        for number, item in enumerate(value):
            yield from _parts_of_value(field if is_nested else field.inner, item, f"{path}[{number}]", spelt)
    elif is_nested and isinstance(value, Mapping):
        yield from _parts(field.schema, value, path, spelt)
    else:
        yield field, value, path


def _undumpable(schema: Schema, value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Which values cannot be dumped, as near as the fields tell."""
    for name, field in schema.dump_fields.items():
        at = f"{path}.{field.data_key or name}"
        try:
            field.serialize(name, value)
        except Exception:  # as where it was dumped
            inner = schema.get_attribute(value, _attribute(name, field), None)
            problems: Problems = []
            if isinstance(field, fields.Nested) and not field.many and inner is not None:
                problems = list(_undumpable(field.schema, inner, at))
            yield from problems or [(at, f"is no value of a {type(field).__name__}")]
