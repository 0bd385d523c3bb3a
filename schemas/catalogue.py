"""A catalogue: the events of one company, and what the body of each holds. API v3's is one among others.

    catalogue = Catalogue("shop")
    order = catalogue.resource("order", OrderSchema, id="id")
    catalogue.event("order.created", order)
    catalogue.event("order.shipped", order, parcel=ParcelSchema)

Defining one costs nothing: schemas are looked into when the first event is rendered.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from marshmallow import Schema, fields

from dispatcher.schemas.envelopes import ENVELOPES, Envelope
from dispatcher.schemas.errors import InvalidCatalogue, InvalidEvent
from dispatcher.schemas.marshmallow_body import MarshmallowBody, Types
from dispatcher.schemas.wire.body import Rendered, WireBody
from dispatcher.schemas.wire.fields import Invalid, JsonSchema, Shape, WireSchema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
OPERATIONAL_EVENTS = frozenset({"webhook_deactivated", "webhook_recovered", "delivery_failed"})
"""Events of the dispatcher itself, for the account's webhooks that subscribed to them; no service can emit them."""

_RESERVED = OPERATIONAL_EVENTS | {"ping"}
_DEFS = "#/$defs/"
_EVENT_NAME = re.compile(r"(?=.{1,100}\Z)[A-Za-z0-9_]+([.-][A-Za-z0-9_]+)*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,49}")
_ID_LIMIT = 200
_PLAIN_IDS = (int, UUID)


class BodyType(Protocol):
    """What is asked of an event's body. `WireBody` is one of our own fields, `MarshmallowBody` one of any others.

    A third way to say what a body holds (a JSON Schema that was POSTed, say) is a third class, given as `body` of an
    EventType; nothing else needs to change.
    """

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

    `label`: the attribute by which people know one.
    """

    name: str
    field: Any
    id: str | None = "id"
    label: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class EventType:
    """An event that can be emitted. `keys`: those of its body, each with its field, the resource's first."""

    name: str
    about: Resource
    keys: Mapping[str, Any]
    body: BodyType
    envelope: Envelope
    catalogue: str = ""
    supersedes: bool = False
    """Whether a newer one of a resource makes a pending one superfluous, for webhooks with `superseding`."""
    description: str = ""
    given_example: Mapping[str, Any] | None = field(default=None, repr=False)

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
        if self.about.id is None:
            return None
        about = value.get(self.about.name)
        return self.named(about.get(self.about.id) if isinstance(about, Mapping) else None)

    def named(self, id_: object) -> str:
        """What an event is about, by its id; raises Invalid."""
        if type(id_) in _PLAIN_IDS or (isinstance(id_, str) and 1 <= len(id_) <= _ID_LIMIT):
            return f"{self.about.name}:{id_}"
        text = f"must be an integer, or a string of 1 to {_ID_LIMIT} characters"
        raise Invalid([(f"{self.about.name}.{self.about.id}", text)])

    @cached_property
    def example(self) -> dict[str, Any]:
        """An example of its body, shared and not to be changed."""
        return dict(self.given_example or self.body.example())

    @cached_property
    def schema(self) -> JsonSchema:
        """The JSON Schema of its body, complete in itself."""
        described = {"description": self.description} if self.description else {}
        body = self.body.json_schema(_DEFS)
        return {"$schema": DIALECT, "title": self.name, **described, **body, "$defs": self.body.types(_DEFS)}

    @property
    def described(self) -> dict[str, Any]:
        """As the API lists it."""
        return {
            "name": self.name,
            "resource": self.resource,
            "bulk": self.bulk,
            "schema": self.schema,
            "example": self.example,
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

    def resource(self, name: str, schema: Any, *, id: str | None = "id", label: str | None = None) -> Resource:  # noqa: A002
        """What events are about; `name` is its key in their bodies, `schema` a marshmallow schema (or its class).

        `id` is the attribute that identifies one, as it is spelt in JSON; None where the body holds a summary of many.
        `label` is one by which people know it, such as a number. Raises InvalidCatalogue.
        """
        _check_name("resource", name)
        if name in self._resources:
            raise InvalidCatalogue(f"{self.name}: the resource {name} is defined twice")
        self._resources[name] = Resource(name, _field(schema), id, label)
        return self._resources[name]

    def event(
        self,
        name: str,
        resource: Resource,
        /,
        *,
        supersedes: bool = False,
        example: Mapping[str, Any] | None = None,
        description: str = "",
        **keys: Any,
    ) -> EventType:
        """An event about `resource`. `keys`: what else its body holds: marshmallow schemas, or fields.

        `supersedes`: a newer one of a resource makes a pending one superfluous, as an update does. `example` is a body
        in JSON; without it one is made up. Raises InvalidCatalogue.
        """
        if not _EVENT_NAME.fullmatch(name):
            text = "takes letters, digits and underscores, in parts with dots or hyphens between, 100 characters"
            raise InvalidCatalogue(f"{self.name}: the name of event {name!r} {text}")
        if name in _RESERVED:
            raise InvalidCatalogue(f"{self.name}: {name} is an event of the dispatcher itself")
        if name in self._events:
            raise InvalidCatalogue(f"{self.name}: the event {name} is defined twice")
        all_keys = {resource.name: resource.field, **{key: _field(value) for key, value in keys.items()}}
        event = EventType(
            name=name,
            about=resource,
            keys=MappingProxyType(all_keys),
            body=_body(self._types, name, all_keys),
            envelope=self.envelope,
            catalogue=self.name,
            supersedes=supersedes,
            description=description,
            given_example=example,
        )
        self._events[name] = event
        return event


def _body(types: Types, name: str, keys: Mapping[str, Any]) -> BodyType:
    ours = all(isinstance(field, Shape) and issubclass(field.of, WireSchema) for field in keys.values())
    return WireBody(name, keys) if ours else MarshmallowBody(types, name, keys)


def _field(value: Any) -> Any:
    """The field of a body's key, which must be there if it is given as a schema."""
    if isinstance(value, fields.Field):
        return value
    one = value if isinstance(value, type) else type(value)
    if not issubclass(one, Schema):
        raise InvalidCatalogue(f"{value!r} is neither a marshmallow schema nor a field")
    many = isinstance(value, Schema) and bool(value.many)
    return (Shape if issubclass(one, WireSchema) else fields.Nested)(value, many=many, required=True)


def _check_name(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidCatalogue(f"the name of {what} {name!r} takes letters, digits and underscores, at most 50")


def _is_mapping(value: object) -> bool:
    """Asked of what an untyped caller hands over, whatever the signature says."""
    return isinstance(value, Mapping)
