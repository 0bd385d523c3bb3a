"""An event's body: checked against the catalogue and rendered to JSON text, once, when the event is recorded."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import orjson
from marshmallow import ValidationError

from schemas.errors import InvalidEvent
from schemas.wire.catalogue import BodyKey, event_type
from schemas.wire.fields import DEFAULT_TIME_ZONE, Items, Shape, Wire, WireSchema, written_in

Problems = list[tuple[str, str]]

_ABSENT = object()
_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""For what orjson refuses: integers beyond 64 bits, which are numbers too."""


def render_body(event_name: str, body: Mapping[str, object], *, time_zone: str = DEFAULT_TIME_ZONE) -> str:
    """As `rendered_body`, as text."""
    return rendered_body(event_name, body, time_zone=time_zone).decode()


def rendered_body(event_name: str, body: Mapping[str, object], *, time_zone: str = DEFAULT_TIME_ZONE) -> bytes:
    """The body's JSON text, exactly as it will be sent; raises InvalidEvent with every problem found.

    `body` holds dicts or objects with attributes under the keys of the catalogue. Datetimes are written in
    `time_zone`. A dict with an attribute that the resource does not have is refused; an object may have more.
    """
    keys = event_type(event_name).body
    if not _is_mapping(body):
        raise InvalidEvent(event_name, [("", "the body is not an object")])
    with written_in(time_zone):
        try:
            wired = _quickly(_body_plan(event_name), body)
        except (ValidationError, _Doubtful):
            wired = _closely(event_name, keys, body)
    try:
        return orjson.dumps(wired)
    except TypeError:
        return _json(wired).encode()


# -- the quick way: right for what is nearly always handed over, dicts in which all is well ------------------------


class _Doubtful(Exception):
    """To be looked at closely: no error yet, it may be an object with attributes."""


Convert = Callable[[Any], Any]
"""Gives the JSON value, or raises ValidationError or _Doubtful."""
AsIs = tuple[type, Callable[[Any], object]]
Plan = tuple[tuple[str, type, Callable[[Any], object], Convert, bool, bool], ...]
"""Of each attribute: its name, what is taken as it is (`Wire.as_is`), its conversion otherwise, whether it is required,
and whether it may be null."""

_NOTHING: AsIs = (type("_Nothing", (), {}), bool)
"""For attributes that are always converted."""


def _quickly(plan: Plan, value: object) -> dict[str, Any]:
    if type(value) is not dict:
        raise _Doubtful
    wired: dict[str, Any] = {}
    get = value.get
    for name, kind, is_fine, convert, required, nullable in plan:
        found = get(name, _ABSENT)
        if type(found) is kind and is_fine(found):
            wired[name] = found
        elif found is _ABSENT:
            if required:
                raise _Doubtful
        elif found is not None:
            wired[name] = convert(found)
        elif nullable:
            wired[name] = None
        else:
            raise _Doubtful
    if len(wired) != len(value):  # there is more than the schema knows
        raise _Doubtful
    return wired


def _each_quickly(convert: Convert, value: object) -> list[Any]:
    if type(value) is not list:
        raise _Doubtful
    return [convert(item) for item in value]


@cache
def _body_plan(event_name: str) -> Plan:
    return tuple(
        (key.name, *_NOTHING, _conversion(_plan(key.schema), many=key.many), not key.optional, False)
        for key in event_type(event_name).body
    )


@cache
def _plan(schema: WireSchema) -> Plan:
    return tuple(
        (name, *_as_is(field), _convert(field), field.required, bool(field.allow_none))
        for name, field in schema.fields.items()
    )


def _as_is(field: Any) -> AsIs:
    return (field.as_is if isinstance(field, Wire) else None) or _NOTHING


def _convert(field: Any) -> Convert:
    if isinstance(field, Shape):
        nested: Any = field.schema
        return _conversion(_plan(nested), many=bool(field.many))
    if isinstance(field, Items):
        return partial(_each_quickly, _convert(field.inner))
    assert isinstance(field, Wire)  # noqa: S101 - the three kinds of field there are
    return field.wire


def _conversion(plan: Plan, *, many: bool) -> Convert:
    convert = partial(_quickly, plan)
    return partial(_each_quickly, convert) if many else convert


# -- the close way: takes objects with attributes too, and tells every problem ---------------------------------------


def _closely(event_name: str, keys: Sequence[BodyKey], body: Mapping[str, object]) -> dict[str, Any]:
    known = {key.name for key in keys}
    problems: Problems = [(str(name), "unknown key of the body") for name in body if name not in known]
    wired = {}
    for key in keys:
        value = body.get(key.name, _ABSENT)
        if value is not _ABSENT:
            wired[key.name] = _body_value(key, value, problems)
        elif not key.optional:
            problems.append((key.name, "missing from the body"))
    if problems:
        raise InvalidEvent(event_name, problems)
    return wired


def _is_mapping(value: object) -> bool:
    """Asked of what an untyped caller hands over, whatever the signature says."""
    return isinstance(value, Mapping)


def _body_value(key: BodyKey, value: object, problems: Problems) -> Any:
    if not key.many:
        return _object(key.schema, value, key.name, problems)
    return _array(value, key.name, problems, lambda item, path: _object(key.schema, item, path, problems))


def _array(value: object, path: str, problems: Problems, item: Any) -> list[Any] | None:
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__iter__"):
        problems.append((path, "not an array"))
        return None
    return [item(each, f"{path}[{n}]") for n, each in enumerate(value)]


def _object(schema: WireSchema, value: object, path: str, problems: Problems) -> dict[str, Any] | None:
    """Checks and renders the attributes; the schemas nest a few levels, whatever the value does."""
    fields = schema.fields
    if isinstance(value, Mapping):
        given = value
        if not given.keys() <= fields.keys():
            problems.extend((f"{path}.{name}", "unknown attribute") for name in given if name not in fields)
    elif _is_plain(value):
        problems.append((path, "not an object"))
        return None
    else:
        given = {name: found for name in fields if (found := getattr(value, name, _ABSENT)) is not _ABSENT}
        if not given:  # a Decimal, a date, a set
            problems.append((path, "not an object with such attributes"))
            return None
    wired: dict[str, Any] = {}
    for name, field in fields.items():
        found = given.get(name, _ABSENT)
        if found is _ABSENT:
            if field.required:
                problems.append((f"{path}.{name}", "missing"))
        elif found is None:
            wired[name] = None
            if not field.allow_none:
                problems.append((f"{path}.{name}", "may not be null"))
        else:
            wired[name] = _attribute(field, found, f"{path}.{name}", problems)
    return wired


def _is_plain(value: object) -> bool:
    """Whether it is a value or an array; a namedtuple and a row of a SELECT are sequences too, but have attributes."""
    if isinstance(value, Sequence):
        return not hasattr(value, "_fields")
    return value is None or isinstance(value, int | float)


def _attribute(field: Any, value: object, path: str, problems: Problems) -> Any:
    if isinstance(field, Wire):
        try:
            return field.wire(value)
        except ValidationError as error:
            problems.append((path, str(error.messages[0])))
            return None
    if isinstance(field, Items):
        return _array(value, path, problems, lambda item, at: _attribute(field.inner, item, at, problems))
    assert isinstance(field, Shape)  # noqa: S101 - the three kinds of field there are
    nested: Any = field.schema
    if not field.many:
        return _object(nested, value, path, problems)
    return _array(value, path, problems, lambda item, at: _object(nested, item, at, problems))
