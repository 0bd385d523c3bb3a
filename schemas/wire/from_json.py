"""POSTed events straight from JSON text to JSON text, by types that msgspec makes of the schemas.

msgspec parses, checks and writes in C, which takes a third of the time of `json` and `body`. It gives an answer only
where all is well, and then the one that `body` gives. Whatever else it may be (an error, an attribute that needs a
closer look, a spelling that only Python reads) is left to them.
"""

import re
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, NamedTuple, Union

import msgspec
from marshmallow import ValidationError
from msgspec import Meta

from dispatcher.schemas.wire.catalogue import EVENT_TYPES, EventType, body_schema
from dispatcher.schemas.wire.fields import Shape, written_in
from dispatcher.schemas.wire.fields.nested import struct

BATCH_LIMIT = 1_000
"""Events in one array."""

_UNSENDABLE = re.compile(rb"\\u(0000|[dD])")
"""How NUL and surrogates are written in JSON; pairs of them are fine, but so rare that nobody need tell them apart."""


class RenderedEvent(NamedTuple):
    """An event that is in order. `resource_id` is the `id` of what it is about; None for a bulk event."""

    of: EventType
    body_json: bytes
    resource_id: Any
    idempotency_key: str | None


def render_events(data: bytes, zone: str) -> tuple[list[RenderedEvent], bool] | None:
    """The events of a POST's body, with datetimes written in `zone`, and whether they came as an array.

    None: they must be checked one by one (`body`), as something may be wrong.
    """
    if b"\\" in data and _UNSENDABLE.search(data):
        return None
    is_array = data.lstrip()[:1] == b"["
    try:
        with written_in(zone):
            decoded = _decoder(is_array=is_array).decode(data)
        return [_render(one) for one in (decoded if is_array else [decoded])], is_array
    except (msgspec.MsgspecError, ValidationError, UnicodeDecodeError, RecursionError):
        return None


def _render(item: Any) -> RenderedEvent:
    of, resource_id = _event_types()[type(item)]
    return RenderedEvent(of, _encoder.encode(item.body), resource_id and resource_id(item.body), item.idempotency_key)


_encoder = msgspec.json.Encoder()


@cache
def _decoder(*, is_array: bool) -> msgspec.json.Decoder[Any]:
    one: Any = Union[tuple(_event_types())]  # noqa: UP007 - made of what is known at run time only
    return msgspec.json.Decoder(Annotated[list[one], Meta(min_length=1, max_length=BATCH_LIMIT)] if is_array else one)


@cache
def _event_types() -> dict[type, tuple[EventType, Callable[[Any], Any] | None]]:
    """The type of each POSTed event → its event type, and what finds the id in its body."""
    return {_event(of): (of, None if of.bulk else attrgetter(f"{of.resource}.id")) for of in EVENT_TYPES.values()}


def _event(of: EventType) -> type:
    body: Any = ("body", Shape(type(body_schema(of.name))).msgspec_type())
    return struct(of.name, [body, ("idempotency_key", str, None)], tag_field="name", tag=of.name)
