"""POSTed events straight from JSON text to JSON text, by types that msgspec makes of the schemas.

msgspec parses, checks and writes in C, which takes a third of the time of `json` and `event`. It gives an answer only
where all is well, and then the one that `event` gives. Whatever else it may be (an error, an attribute that needs a
closer look, a spelling that only Python reads) is left to them.
"""

import re
from collections.abc import Callable
from datetime import date
from functools import cache, singledispatch
from operator import attrgetter
from typing import Annotated, Any, Literal, NamedTuple, Union
from uuid import UUID

import msgspec
from marshmallow import ValidationError
from msgspec import UNSET, Meta, UnsetType

from schemas.wire import fields
from schemas.wire.catalogue import EVENT_TYPES, BodyKey, EventType
from schemas.wire.fields import WireSchema, rewritten, time_zone, written_in

BATCH_LIMIT = 1_000
"""Events in one array."""

_UNSENDABLE = re.compile(rb"\\u(0000|[dD])")
"""How NUL and surrogates are written in JSON; pairs of them are fine, but so rare that nobody need tell them apart."""
_PLAIN_URL = r"^https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[!-~]*)?\Z"
_64_BITS = Meta(ge=-(2**63), le=2**63 - 1)


class Rendered(NamedTuple):
    """An event that is in order. `resource_id` is the `id` of what it is about; None for a bulk event."""

    of: EventType
    body_json: bytes
    resource_id: Any
    idempotency_key: str | None


def rendered(data: bytes, zone: str) -> tuple[list[Rendered], bool] | None:
    """The events of a POST's body, with datetimes written in `zone`, and whether they came as an array.

    None: `event` shall look at them, as there may be something to say.
    """
    if b"\\" in data and _UNSENDABLE.search(data):
        return None
    is_array = data.lstrip()[:1] == b"["
    try:
        with written_in(zone):
            found = _decoder(is_array=is_array).decode(data)
        return [_rendered(one) for one in (found if is_array else [found])], is_array
    except (msgspec.MsgspecError, ValidationError, UnicodeDecodeError, RecursionError):
        return None


def _rendered(item: Any) -> Rendered:
    of, resource_id = _told_by()[type(item)]
    return Rendered(of, _encoder.encode(item.body), resource_id and resource_id(item.body), item.idempotency_key)


_encoder = msgspec.json.Encoder()


@cache
def _decoder(*, is_array: bool) -> msgspec.json.Decoder[Any]:
    one: Any = Union[tuple(_told_by())]  # noqa: UP007 - made of what is known at run time only
    return msgspec.json.Decoder(Annotated[list[one], Meta(min_length=1, max_length=BATCH_LIMIT)] if is_array else one)


@cache
def _told_by() -> dict[type, tuple[EventType, Callable[[Any], Any] | None]]:
    """The type of each POSTed event → its event type, and what finds the id in its body."""
    return {_event(of): (of, None if of.bulk else attrgetter(f"{of.resource}.id")) for of in EVENT_TYPES.values()}


def _event(of: EventType) -> Any:
    body = _struct(f"{of.name}_body", map(_key, of.body))
    return _struct(of.name, [("body", body), ("idempotency_key", str, None)], tag_field="name", tag=of.name)


def _struct(name: str, attributes: Any, **options: Any) -> Any:
    """Attributes are written in the order given, and no others are taken."""
    return msgspec.defstruct(name, attributes, kw_only=True, forbid_unknown_fields=True, gc=False, **options)


def _key(key: BodyKey) -> tuple[Any, ...]:
    shape: Any = _shape(key.schema)
    return _attribute(key.name, list[shape] if key.many else shape, required=not key.optional)


def _attribute(name: str, type_: Any, *, required: bool) -> tuple[Any, ...]:
    return (name, type_) if required else (name, type_ | UnsetType, UNSET)


@cache
def _shape(schema: WireSchema) -> Any:
    """The type of an object."""
    attributes = [
        _attribute(name, _type(field) | None if field.allow_none else _type(field), required=field.required)
        for name, field in schema.fields.items()
    ]
    moments = tuple(name for name, field in schema.fields.items() if isinstance(field, fields.DateTime))
    return _struct(type(schema).__name__, attributes, namespace={"__post_init__": _in_zone(moments)} if moments else {})


def _in_zone(names: tuple[str, ...]) -> Callable[[Any], None]:
    """What msgspec calls with each object: it writes its datetimes anew. A ValueError is one of msgspec's then."""

    def in_zone(self: Any) -> None:
        zone = time_zone.get()
        for name in names:
            text = getattr(self, name)
            if text is not None and text is not UNSET:
                setattr(self, name, rewritten(text, zone))

    return in_zone


@singledispatch
def _type(field: Any) -> Any:
    """The type of an attribute: it takes what is in its wire form already."""
    raise TypeError(f"no type is known for a {type(field).__name__}")


@_type.register
def _(field: fields.Shape) -> Any:
    nested: Any = field.schema
    return list[_shape(nested)] if field.many else _shape(nested)  # type: ignore[misc]


@_type.register
def _(field: fields.Items) -> Any:
    return list[_type(field.inner)]  # type: ignore[misc]


@_type.register
def _(_: fields.Integer) -> Any:
    return Annotated[int, _64_BITS]


@_type.register
def _(_: fields.Number) -> Any:
    return Annotated[int, _64_BITS] | Annotated[float, Meta(gt=-1e15, lt=1e15)]  # larger ones are spelt otherwise


@_type.register
def _(field: fields.String) -> Any:
    return Literal[tuple(sorted(field.choices))] if field.choices else str


@_type.register
def _(_: fields.Url) -> Any:
    return Annotated[str, Meta(pattern=_PLAIN_URL)]


@_type.register
def _(field: fields.DecimalString) -> Any:
    return Annotated[str, Meta(pattern="^" + (fields.DECIMAL if field.as_given else fields.FRACTION).pattern)]


@_type.register
def _(_: fields.Boolean) -> Any:
    return bool


@_type.register
def _(_: fields.Date) -> Any:
    return date


@_type.register
def _(_: fields.DateTime) -> Any:
    return str  # and see `_in_zone`


@_type.register
def _(_: fields.Uuid) -> Any:
    return UUID
