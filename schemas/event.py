"""An event's body: checked against the catalogue and rendered to JSON text, once, when the event is recorded."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import ValidationError

from schemas.catalogue import BodyKey, event_type
from schemas.errors import EventInvalid
from schemas.fields import DEFAULT_TIME_ZONE, Items, Shape, Wire, WireSchema, time_zone

Problems = list[tuple[str, str]]

_ABSENT = object()


def render_body(event_name: str, body: Mapping[str, object], *, time_zone: str = DEFAULT_TIME_ZONE) -> str:
    """The body's JSON text, exactly as it will be sent; raises EventInvalid with every problem found.

    `body` holds dicts or objects with attributes under the keys of the catalogue. Datetimes are written in
    `time_zone`. A dict with an attribute that the resource does not have is refused; an object may have more.
    """
    keys = event_type(event_name).body
    if not _is_mapping(body):
        raise EventInvalid(event_name, [("", "the body is not an object")])
    problems: Problems = []
    known = {key.name for key in keys}
    problems += [(str(name), "unknown key of the body") for name in body if name not in known]
    with _written_in(time_zone):
        wired = {}
        for key in keys:
            value = body.get(key.name, _ABSENT)
            if value is not _ABSENT:
                wired[key.name] = _body_value(key, value, problems)
            elif not key.optional:
                problems.append((key.name, "missing from the body"))
    if problems:
        raise EventInvalid(event_name, problems)
    return json.dumps(wired, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class _written_in:  # noqa: N801 - reads as a statement
    """Sets the zone of datetimes, for this thread (or task) only."""

    def __init__(self, name: str) -> None:
        self._zone = _zone(name)

    def __enter__(self) -> None:
        self._token = time_zone.set(self._zone)

    def __exit__(self, *_: object) -> None:
        time_zone.reset(self._token)


@lru_cache(maxsize=1_000)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


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
    """One pass over the attributes that checks and renders; the schemas nest a few levels, whatever the value does."""
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
