"""A catalogue: the events of one company, and what the body of each holds. API v3's is one among others.

    catalogue = Catalogue("shop")
    order = catalogue.resource("order", OrderSchema, id="id")
    catalogue.event("order.created", order)
    catalogue.event("order.shipped", order, parcel=ParcelSchema)
    catalogue.event("order.shipped", order, parcel=ParcelV2Schema, version=2, downgrade=to_v1)

Defining one costs nothing: schemas are read when the first event is rendered.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from marshmallow import Schema, fields

from dispatcher.schemas.envelopes import ENVELOPES, Envelope
from dispatcher.schemas.errors import DowngradeFailed, InvalidCatalogue, InvalidEvent
from dispatcher.schemas.json_patch import PatchFailed
from dispatcher.schemas.marshmallow_body import MarshmallowBody, Types
from dispatcher.schemas.wire.body import Rendered, WireBody
from dispatcher.schemas.wire.fields import Invalid, JsonSchema, Shape, WireSchema
from dispatcher.schemas.wire.json_schema import DIALECT

OPERATIONAL_EVENTS = frozenset({"webhook_deactivated", "webhook_recovered", "delivery_failed"})
"""Events of the dispatcher itself, for the account's webhooks that subscribed to them; no service can emit them."""

_RESERVED = OPERATIONAL_EVENTS | {"ping"}
_DEFS = "#/$defs/"
_EVENT_NAME = re.compile(r"(?=.{1,100}\Z)[A-Za-z0-9_]+([.-][A-Za-z0-9_]+)*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,49}")
_ID_LIMIT = 200
_PLAIN_IDS = (int, UUID)

FIRST = 1
"""The version of every event that is not said to have another."""
Downgrade = Callable[[dict[str, Any]], Mapping[str, Any]]
"""A body of a version, as JSON → the same as the version before has it. It may change and return what it is given."""


class BodyType(Protocol):
    """What is asked of an event's body: `WireBody` of our own fields, `MarshmallowBody` of others, `JsonSchemaBody`."""

    def render(self, body: Mapping[str, object], zone: str) -> Rendered:
        """The JSON text and the JSON value to send; datetimes are written in the zone. Raises Invalid."""

    def json_schema(self, refs: str) -> JsonSchema:
        """Its JSON Schema; the types in it are named as `refs` and their name."""

    def types(self, refs: str) -> dict[str, JsonSchema]:
        """The JSON Schemas of the types in it, by name."""

    def example(self) -> dict[str, Any]:
        """A body that is in order; shared and not to be changed."""


class Resource(NamedTuple):
    """What events are about. `id`: the attribute that identifies one, a string or an integer in JSON; None: none does.

    `label`: the attribute by which people know one. `subjects`: where within it the ids of persons stand.
    """

    name: str
    field: Any
    id: str | None = "id"
    label: str | None = None
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class EventType:
    """An event that can be emitted, in one version; those before it hang on it by `previous`.

    `keys`: those of its body, each with its field, the resource's first.
    """

    name: str
    about: Resource
    keys: Mapping[str, Any]
    body: BodyType
    envelope: Envelope
    catalogue: str = ""
    supersedes: bool = False
    """Whether a newer one of a resource makes a pending one superfluous, for webhooks with `superseding`."""
    description: str = ""
    group: str = ""
    """Under which people find it, where that is not its resource."""
    deprecated_at: datetime | None = None
    declared_example: Mapping[str, Any] | None = field(default=None, repr=False)
    version: int = FIRST
    previous: "EventType | None" = field(default=None, repr=False)
    downgrade: Downgrade | None = None
    """There wherever there is a `previous`."""
    subjects: tuple[str, ...] = ()
    """Paths of the body where the ids of the persons stand whom it is about, such as `order.customer.id`."""
    personal: tuple[str, ...] = ()
    """Paths of personal fields, besides those that the schema marks by `x-personal`."""
    payload_retention_days: int | None = None
    """For which bodies are kept; None: as long as the events are."""

    @property
    def qualified_name(self) -> str:
        """Its name, with the version where that is not 1: `order.shipped.v2`. So a name always means the same."""
        return qualified_name(self.name, self.version)

    @property
    def stored_version(self) -> int | None:
        """Its version as events have it: None for the first."""
        return None if self.version == FIRST else self.version

    @property
    def resource(self) -> str:
        """The key of the body under which its resource stands."""
        return self.about.name

    @property
    def bulk(self) -> bool:
        """Whether it is about no resource in particular: the body holds a summary."""
        return self.about.id is None

    def render(self, body: Mapping[str, object], zone: str) -> tuple[bytes, str | None]:
        """The body's JSON text, exactly as it will be sent, and what it is about (`order:17`; None for a bulk event).

        `body` holds dicts or objects with attributes under the event's keys. A dict with an attribute that the resource
        does not have is refused; an object may have more. Raises InvalidEvent with every problem found.
        """
        try:
            if not _is_mapping(body):
                raise Invalid([("", "the body is not an object")])
            text, value = self.body.render(body, zone)
            return text, self.resource_of(value)
        except Invalid as error:
            problems = [(path.removeprefix("."), reason) for path, reason in error.problems]
            raise InvalidEvent(self.name, problems) from None

    def resource_of(self, value: Mapping[str, Any]) -> str | None:
        """What a body's JSON value is about, with its id as text; raises Invalid."""
        return None if self.about.id is None else self.named(self.id_in(value))

    def id_in(self, value: Mapping[str, Any]) -> object:
        """What identifies the resource in a body's JSON value; None where it is not there."""
        about = value.get(self.about.name)
        return about.get(self.about.id) if isinstance(about, Mapping) else None

    def named(self, id_: object) -> str:
        """What an event is about, by its id; raises Invalid."""
        if type(id_) in _PLAIN_IDS or (isinstance(id_, str) and 1 <= len(id_) <= _ID_LIMIT):
            return f"{self.about.name}:{id_}"
        text = f"must be an integer, or a string of 1 to {_ID_LIMIT} characters"
        raise Invalid([(f"{self.about.name}.{self.about.id}", text)])

    def persons_in(self, value: Mapping[str, Any]) -> set[str]:
        """The ids of the persons whom a body's JSON value is about, as text."""
        return {person for path in self.subjects for person in _texts_at(value, path.split("."))}

    @cached_property
    def versions(self) -> Mapping[int, "EventType"]:
        """Its versions up to this one, the oldest first."""
        return {**(self.previous.versions if self.previous else {}), self.version: self}

    def at(self, version: int) -> "EventType":
        """It in that version; raises InvalidEvent where it is not known here."""
        if version not in self.versions:
            raise InvalidEvent(self.name, [("version", f"must be from 1 to {self.version}")])
        return self.versions[version]

    def downgraded(self, body_json: str, version: int, zone: str) -> str:
        """The JSON text of a body of this version as that older one has it: always the same, and valid there.

        Raises DowngradeFailed.
        """
        event, body = self, json.loads(body_json)
        try:
            while event.version > version and event.downgrade and event.previous:
                body, event = event.downgrade(body), event.previous
            return event.render(body, zone)[0].decode()
        except (InvalidEvent, PatchFailed) as error:
            raise DowngradeFailed(self.name, self.version, version, str(error)) from error
        except Exception as error:  # whatever a company's own code raises; its words may hold a payload
            raise DowngradeFailed(self.name, self.version, version, type(error).__name__) from error

    def check_example(self) -> None:
        """Raises InvalidEvent where its example is refused, DowngradeFailed where no older version can be made."""
        body, _ = self.render(self.example, "UTC")
        for version in reversed(range(1, self.version)):
            self.downgraded(body.decode(), version, "UTC")

    @cached_property
    def example(self) -> dict[str, Any]:
        """An example of its body, shared and not to be changed."""
        return dict(self.declared_example or self.body.example())

    @cached_property
    def schema(self) -> JsonSchema:
        """The JSON Schema of its body, complete in itself."""
        described = {"description": self.description} if self.description else {}
        body = self.body.json_schema(_DEFS)
        return {"$schema": DIALECT, "title": self.qualified_name, **described, **body, "$defs": self.body.types(_DEFS)}

    @property
    def described(self) -> dict[str, Any]:
        """As the API lists it."""
        return {
            "name": self.name,
            "resource": self.resource,
            "bulk": self.bulk,
            "schema": self.schema,
            "example": self.example,
            "version": self.version,
            "older_versions": [
                {"version": one.version, "schema": one.schema, "example": one.example}
                for one in self.versions.values()
                if one is not self
            ],
        }


class Catalogue:
    """A company's events.

    `envelope` is what is put around the bodies: "standard" (Standard Webhooks: `type`, `timestamp`, `data`),
    "cloudevents" (structured JSON 1.0; `source` is that attribute, by default `/` and the catalogue's name), or
    "api_v3". `time_zone` is that of accounts created without one.
    """

    def __init__(self, name: str, *, envelope: str = "standard", source: str = "", time_zone: str = "UTC") -> None:
        _check_name("catalogue", name)
        if envelope not in ENVELOPES:
            raise InvalidCatalogue(f"{name}: envelope {envelope!r} is not among {', '.join(ENVELOPES)}")
        self.name = name
        self.envelope = ENVELOPES[envelope](source or f"/{name}")
        self.time_zone = ZoneInfo(time_zone).key
        self._types = Types(name)
        self._events: dict[str, EventType] = {}
        self._resources: dict[str, Resource] = {}

    @property
    def events(self) -> Mapping[str, EventType]:
        """Event name → its type, in the order of their definition."""
        return MappingProxyType(self._events)

    def resource(
        self,
        name: str,
        schema: Any,
        *,
        id: str | None = "id",  # noqa: A002
        label: str | None = None,
        subjects: Sequence[str] = (),
    ) -> Resource:
        """What events are about; `name` is its key in their bodies, `schema` a marshmallow schema (or its class).

        `id` is the attribute that identifies one, as it is spelt in JSON; None where the body holds a summary of many.
        `label` is one by which people know it, such as a number. `subjects`: where within it the ids of the persons
        stand whom its events are about, such as `customer.id`. Raises InvalidCatalogue.
        """
        _check_name("resource", name)
        if name in self._resources:
            raise InvalidCatalogue(f"{self.name}: the resource {name} is defined twice")
        self._resources[name] = Resource(name, _field(schema), id, label, _paths(subjects))
        return self._resources[name]

    def event(
        self,
        name: str,
        resource: Resource,
        /,
        *,
        version: int = FIRST,
        schema: Any = None,
        downgrade: Downgrade | None = None,
        supersedes: bool | None = None,
        example: Mapping[str, Any] | None = None,
        description: str = "",
        subjects: Sequence[str] | None = None,
        personal: Sequence[str] = (),
        payload_retention_days: int | None = None,
        **keys: Any,
    ) -> EventType:
        """An event about `resource`. `keys`: what else its body holds: marshmallow schemas, or fields.

        `supersedes`: a newer one of a resource makes a pending one superfluous, as an update does. `example` is a body
        in JSON; without it one is made up.

        `subjects`: paths of the body where the ids of persons stand, `order.customer.id`; by default those of the
        resource. `personal`: paths of personal fields, `order.lines.note`, besides those whose marshmallow field has
        `metadata={"personal": True}`. After `payload_retention_days` bodies are erased; events stay.

        A body that changed so that receivers would notice is a `version` of its own, defined after those before: all of
        its keys, and the resource's `schema` if it is another one. What is emitted is of the newest. `downgrade` makes
        a body of this version one of the version before, for webhooks that were made at its time; it depends on
        nothing else, so that each attempt sends the same. Raises InvalidCatalogue.
        """
        if problem := problem_of_name(name):
            raise InvalidCatalogue(f"{self.name}: {problem}")
        previous = self._events.get(name)
        self._check_version(name, resource, version, previous, downgrade)
        first = resource.field if schema is None else _field(schema)
        all_keys = {resource.name: first, **{key: _field(value) for key, value in keys.items()}}
        if payload_retention_days is not None and payload_retention_days < 1:
            raise InvalidCatalogue(f"{self.name}: payload_retention_days of the event {name} must be 1 or more")
        event = EventType(
            name=name,
            about=resource,
            keys=MappingProxyType(all_keys),
            body=_body(self._types, name, all_keys, personal),
            envelope=self.envelope,
            catalogue=self.name,
            supersedes=bool(previous and previous.supersedes) if supersedes is None else supersedes,
            description=description or (previous.description if previous else ""),
            declared_example=example,
            version=version,
            previous=previous,
            downgrade=downgrade,
            subjects=tuple(f"{resource.name}.{path}" for path in resource.subjects)
            if subjects is None
            else _paths(subjects),
            personal=_paths(personal),
            payload_retention_days=payload_retention_days,
        )
        self._events[name] = event
        return event

    def _check_version(
        self, name: str, resource: Resource, version: object, previous: EventType | None, downgrade: object
    ) -> None:
        wrong = ""
        if previous is None and version != 1:
            wrong = f"cannot have a version {version!r} before it has version 1"
        elif previous is not None and version in previous.versions:
            wrong = "is defined twice" if version == 1 else f"is defined twice in version {version}"
        elif previous is not None and version != previous.version + 1:
            wrong = f"needs version {previous.version + 1} after {previous.version}, not {version!r}"
        elif previous is not None and previous.about != resource:
            wrong = f"is about {previous.about.name}; all of its versions must be"
        elif previous is not None and downgrade is None:
            wrong = f"needs a `downgrade` from version {version} to {previous.version}"
        elif previous is None and downgrade is not None:
            wrong = "has no version before the first, to which it could be downgraded"
        if wrong:
            raise InvalidCatalogue(f"{self.name}: the event {name} {wrong}")


def problem_of_name(name: str) -> str:
    """Why an event cannot be called that; empty where it can."""
    if not _EVENT_NAME.fullmatch(name):
        text = "takes letters, digits and underscores, in parts with dots or hyphens between, 100 characters"
        return f"the name of event {name!r} {text}"
    return f"{name} is an event of the dispatcher itself" if name in _RESERVED else ""


def qualified_name(name: str, version: int | None) -> str:
    """An event's name with its version, unless that is the first (None: it is)."""
    return name if version in (None, FIRST) else f"{name}.v{version}"


def _body(types: Types, name: str, keys: Mapping[str, Any], personal: Sequence[str]) -> BodyType:
    ours = all(isinstance(field, Shape) and issubclass(field.of, WireSchema) for field in keys.values())
    return WireBody(name, keys) if ours else MarshmallowBody(types, name, keys, _paths(personal))


def _field(value: Any) -> Any:
    """The field of a body's key, which must be there if it is given as a schema."""
    if isinstance(value, fields.Field):
        return value
    one = value if isinstance(value, type) else type(value)
    if not issubclass(one, Schema):
        raise InvalidCatalogue(f"{value!r} is neither a marshmallow schema nor a field")
    many = isinstance(value, Schema) and bool(value.many)
    return (Shape if issubclass(one, WireSchema) else fields.Nested)(value, many=many, required=True)


def _paths(paths: Sequence[str]) -> tuple[str, ...]:
    """As they are kept: a path leads through each item of an array, so `lines.*.note` is `lines.note`."""
    if isinstance(paths, str):
        raise InvalidCatalogue(f"{paths!r}: several paths are needed, such as [{paths!r}]")
    return tuple(".".join(part for part in path.split(".") if part != "*") for path in paths)


def _texts_at(value: Any, path: Sequence[str]) -> Iterator[str]:
    """The strings and integers where the path leads, as text."""
    if isinstance(value, list):
        for item in value:
            yield from _texts_at(item, path)
    elif path and isinstance(value, Mapping):
        yield from _texts_at(value.get(path[0]), path[1:])
    elif not path and isinstance(value, str | int) and not isinstance(value, bool):
        yield str(value)


def _check_name(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidCatalogue(f"the name of {what} {name!r} takes letters, digits and underscores, at most 50")


def _is_mapping(value: object) -> bool:
    """Asked of what an untyped caller hands over, whatever the signature says."""
    return isinstance(value, Mapping)
