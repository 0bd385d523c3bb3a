"""Event types that are stored in Postgres (`/api/v1/event_types`), as one more catalogue. Pure: the rows are given."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from itertools import groupby
from types import MappingProxyType

from dispatcher.schemas import json_patch
from dispatcher.schemas.catalogue import Downgrade, EventType, Resource, qualified_name
from dispatcher.schemas.envelopes import ENVELOPES
from dispatcher.schemas.json_schema_body import JsonSchemaBody

NAME = "stored"
"""Of the catalogue."""
_SOURCE = "/events"
"""Of CloudEvents."""
_KNOWN = 10_000
"""Types that a process keeps compiled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredType:
    """One version of an event. What is JSON is kept as text, so that two can be compared at once."""

    name: str
    version: int
    resource: str | None
    """The key of the body under which stands what it is about; None: the event is about no resource in particular."""
    resource_id: str
    """The attribute that identifies one."""
    schema: str
    """The JSON Schema of the body."""
    example: str | None
    description: str
    group: str
    supersedes: bool
    deprecated_at: datetime | None
    downgrade: str | None
    """A JSON Patch that makes a body of this version one of the version before; None: it is one already."""
    subjects: tuple[str, ...] = ()
    """Paths of the body where the ids of persons stand."""
    payload_retention_days: int | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    """Since when it can neither be emitted nor subscribed to; what was emitted before is still delivered."""


class StoredCatalogue:
    """What a `Catalogue` is to who only reads it. `revision` grows with each change of the rows."""

    name, time_zone = NAME, "UTC"

    def __init__(self, types: Iterable[StoredType], envelope: str = "standard", revision: int = 0) -> None:
        """`envelope`: a name in ENVELOPES."""
        self.envelope = ENVELOPES[envelope](_SOURCE)
        self.revision = revision
        ordered = sorted(types, key=lambda one: (one.name, one.version))
        self._by_name = by_name = {name: tuple(versions) for name, versions in groupby(ordered, lambda one: one.name)}
        self.versions: Mapping[tuple[str, int], StoredType] = {(one.name, one.version): one for one in ordered}
        self.newest: Mapping[str, StoredType] = MappingProxyType({name: of[-1] for name, of in by_name.items()})
        """Also of those that were deleted."""
        live = (of for of in by_name.values() if of[-1].deleted_at is None)
        self.events: Mapping[str, EventType] = MappingProxyType({of[-1].name: event_type(of, envelope) for of in live})
        self._envelope = envelope

    def deleted(self, name: str) -> EventType | None:
        """The type of an event that was deleted, of which some may still be pending."""
        return event_type(self._by_name[name], self._envelope) if name in self._by_name else None


@lru_cache(maxsize=_KNOWN)
def event_type(versions: tuple[StoredType, ...], envelope: str) -> EventType:
    """The event in the last of these versions; the same object as long as nothing about it changes."""
    *older, one = versions
    previous = event_type(tuple(older), envelope) if older else None
    return EventType(
        name=one.name,
        about=Resource(one.resource or "", None, one.resource_id if one.resource else None),
        keys=dict.fromkeys(json.loads(one.schema).get("properties", {})),
        body=JsonSchemaBody(qualified_name(one.name, one.version), json.loads(one.schema)),
        envelope=ENVELOPES[envelope](_SOURCE),
        catalogue=NAME,
        supersedes=one.supersedes,
        description=one.description,
        declared_example=None if one.example is None else json.loads(one.example),
        group=one.group,
        deprecated_at=one.deprecated_at,
        version=one.version,
        previous=previous,
        downgrade=_downgrade(one) if previous else None,
        subjects=one.subjects,
        payload_retention_days=one.payload_retention_days,
    )


def _downgrade(one: StoredType) -> Downgrade:
    return partial(json_patch.apply, json.loads(one.downgrade or "[]"))
