"""Personal fields of events' bodies: which they are, and bodies without them, for readers who lack the right.

A schema marks them by `"x-personal": true` (a marshmallow field by `metadata={"personal": True}`), an event by paths
(`personal=`). What may be personal under some branch of a schema is masked, whether that branch is the one or not.
"""

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from dispatcher.schemas.active_catalogues import active
from dispatcher.schemas.catalogue import OPERATIONAL_EVENTS, EventType
from dispatcher.schemas.located import Schema, part_at
from dispatcher.schemas.wire.json_schema import PERSONAL

MASK = "***"
_REMEMBERED = 5_000
"""Paths of one event: with attributes that its schema does not name there may be any number."""
_BRANCHES = ("allOf", "anyOf", "oneOf", "prefixItems")
_BRANCH = ("items", "contains", "unevaluatedItems", "if", "then", "else", "not")

Path = tuple[str, ...]
"""Names of attributes, which may have dots in them; not of items."""
Place = tuple[bool, list[Schema]]
"""Whether what stands there is personal, and the schemas that it may keep."""


def masked(event_name: str, version: int, value: Any) -> Any:
    """The body, as JSON, with `***` in place of what is personal; null stays.

    Of an event that is unknown here all values are masked: nobody knows any more what they are.
    """
    if event_name in OPERATIONAL_EVENTS:
        return value
    mask = _mask(event_name, version)
    try:
        return _all(value) if mask is None else mask.apply(value)
    except RecursionError:  # whatever is nested so deeply
        return dict.fromkeys(value, MASK)


def has_personal(event_name: str, version: int) -> bool:
    """Whether anything of such a body may be personal."""
    mask = None if event_name in OPERATIONAL_EVENTS else _mask(event_name, version)
    return event_name not in OPERATIONAL_EVENTS and (mask is None or not mask.is_idle)


def _mask(event_name: str, version: int) -> "_Mask | None":
    event = active().events.get(event_name) or active().stored.deleted(event_name)
    return None if event is None or version not in event.versions else _mask_of(event.versions[version])


@lru_cache(maxsize=1_000)
def _mask_of(event: EventType) -> "_Mask":
    return _Mask(event)


def _all(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _all(inner) for name, inner in value.items()}
    return [_all(item) for item in value] if isinstance(value, list) else value if value is None else MASK


class _Mask:
    """Of one version of an event."""

    def __init__(self, event: EventType) -> None:
        self._whole = event.schema
        self._paths = frozenset(tuple(path.split(".")) for path in event.personal)
        self.is_idle = not self._paths and f'"{PERSONAL}"' not in json.dumps(event.schema)
        self._places: dict[Path, Place] = {}

    def apply(self, value: Any) -> Any:
        return value if self.is_idle else self._apply(value, (), self._place([self._whole]))

    def _apply(self, value: Any, path: Path, place: Place) -> Any:
        is_personal, schemas = place
        if value is None or is_personal or path in self._paths:
            return value if value is None else MASK
        if isinstance(value, dict):
            return {name: self._attribute(name, inner, path, schemas) for name, inner in value.items()}
        return [self._apply(item, path, place) for item in value] if isinstance(value, list) else value

    def _attribute(self, name: str, value: Any, path: Path, schemas: list[Schema]) -> Any:
        inner = (*path, name)
        place = self._places.get(inner)
        if place is None:
            place = self._place(_within(name, schemas))
            if len(self._places) < _REMEMBERED:
                self._places[inner] = place
        return self._apply(value, inner, place)

    def _place(self, schemas: Iterable[Any]) -> Place:
        """All that the value, or the items of an array, may have to keep."""
        seen: dict[int, Schema] = {}
        pending = list(schemas)
        while pending:
            schema = pending.pop()
            if not isinstance(schema, dict) or id(schema) in seen:
                continue
            seen[id(schema)] = schema
            if "$ref" in schema:
                pending.append(part_at(self._whole, schema["$ref"]))
            pending += [one for word in _BRANCHES for one in schema.get(word, ())]
            pending += [schema[word] for word in _BRANCH if word in schema]
            pending += schema.get("dependentSchemas", {}).values()
        return any(schema.get(PERSONAL) is True for schema in seen.values()), list(seen.values())


def _within(name: str, schemas: Iterable[Schema]) -> Iterator[Any]:
    for schema in schemas:
        properties = schema.get("properties", {})
        if name in properties:
            yield properties[name]
        else:
            yield from (schema[word] for word in ("additionalProperties", "unevaluatedProperties") if word in schema)
        yield from schema.get("patternProperties", {}).values()
