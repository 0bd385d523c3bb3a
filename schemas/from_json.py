"""POSTed events straight from JSON text to JSON text, by types that msgspec makes of the schemas.

msgspec parses, checks and writes in C, which takes a third of the time of `json` and `body`. It gives an answer only
where all is well, and then the one that `body` gives. Whatever else it may be (an error, an attribute that needs a
closer look, a spelling that only Python reads, an event whose body is not of our own fields) is left to them.
"""

import re
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, NamedTuple, Union

import msgspec
from marshmallow import ValidationError
from msgspec import Meta

from dispatcher.schemas.active_catalogues import Catalogues, active
from dispatcher.schemas.catalogue import EventType
from dispatcher.schemas.wire.body import WireBody
from dispatcher.schemas.wire.fields import written_in
from dispatcher.schemas.wire.fields.structs import struct

BATCH_LIMIT = 1_000
"""Events in one array."""

_UNSENDABLE = re.compile(rb"\\u(0000|[dD])")
"""How NUL and surrogates are written in JSON; pairs of them are fine, but so rare that nobody need tell them apart."""


class RenderedEvent(NamedTuple):
    """An event that is in order; `resource`: see `EventType.resource_of`."""

    of: EventType
    body_json: bytes
    resource: str | None
    idempotency_key: str | None


def render_events(data: bytes, zone: str) -> tuple[list[RenderedEvent], bool] | None:
    """The events of a POST's body, with datetimes written in `zone`, and whether they came as an array.

    None: they must be checked one by one (`body`), as something may be wrong.
    """
    if b"\\" in data and _UNSENDABLE.search(data):
        return None
    is_array = data.lstrip()[:1] == b"["
    types, decoder = _engine(active(), is_array)
    if decoder is None:
        return None
    try:
        with written_in(zone):
            decoded = decoder.decode(data)
        return [_render(types, one) for one in (decoded if is_array else [decoded])], is_array
    except (msgspec.MsgspecError, ValidationError, UnicodeDecodeError, RecursionError):
        return None


_Types = dict[type, tuple[EventType, Callable[[Any], Any] | None]]
"""The type of a POSTed event → its event type, and what finds the id in its body."""


def _render(types: _Types, item: Any) -> RenderedEvent:
    of, resource_id = types[type(item)]
    resource = resource_id and of.named(resource_id(item.body))
    return RenderedEvent(of, _encoder.encode(item.body), resource, item.idempotency_key)


_encoder = msgspec.json.Encoder()


@cache
def _engine(catalogues: Catalogues, is_array: bool) -> tuple[_Types, msgspec.json.Decoder[Any] | None]:
    """The types of POSTed events, and what decodes one of them, or an array; None: there are none of our own fields."""
    types: _Types = {
        _event(of, of.body): (of, None if of.bulk else attrgetter(f"{of.resource}.{of.about.id}"))
        for of in catalogues.events.values()
        if isinstance(of.body, WireBody)
    }
    if not types:
        return types, None
    one: Any = Union[tuple(types)]  # noqa: UP007 - made of what is known at run time only
    return types, msgspec.json.Decoder(
        Annotated[list[one], Meta(min_length=1, max_length=BATCH_LIMIT)] if is_array else one
    )


def _event(of: EventType, body: WireBody) -> type:
    attributes: Any = [("body", body.msgspec_type()), ("idempotency_key", str, None)]
    return struct(of.name, attributes, tag_field="name", tag=of.name)
