"""POSTed events straight from JSON text to JSON text, by types that msgspec makes of the schemas.

msgspec parses, checks and writes in C, which takes a third of the time of `json` and `body`. It gives an answer only
where all is well, and then the one that `body` gives. Whatever else it may be (an error, an attribute that needs a
closer look, a spelling that only Python reads, an event whose body is of plain marshmallow) is left to them.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any, NamedTuple, Union

import msgspec
from marshmallow import ValidationError
from msgspec import Meta

from dispatcher.schemas.active_catalogues import Catalogues, active
from dispatcher.schemas.catalogue import EventType
from dispatcher.schemas.json_schema_body import JsonSchemaBody
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


class _Reading(NamedTuple):
    """How a body that was decoded goes on; what is None is not wanted. `is_valid`: whether it keeps its JSON Schema."""

    of: EventType
    resource_id: Callable[[Any], Any] | None
    is_valid: Callable[[Any], bool] | None


_Types = dict[type, _Reading]
"""By the type of a POSTed event."""


def _render(types: _Types, item: Any) -> RenderedEvent:
    of, resource_id, is_valid = types[type(item)]
    if is_valid is not None and not is_valid(item.body):
        raise ValidationError("")
    resource = resource_id and of.named(resource_id(item.body))
    return RenderedEvent(of, _encoder.encode(item.body), resource, item.idempotency_key)


_encoder = msgspec.json.Encoder()


@lru_cache(maxsize=4)
def _engine(catalogues: Catalogues, is_array: bool) -> tuple[_Types, msgspec.json.Decoder[Any] | None]:
    """The types of POSTed events, and what decodes one of them, or an array; None: there are none that it can."""
    types: _Types = dict(reading for of in catalogues.events.values() if (reading := _reading(of)) is not None)
    if not types:
        return types, None
    one: Any = Union[tuple(types)]  # noqa: UP007 - made of what is known at run time only
    return types, msgspec.json.Decoder(
        Annotated[list[one], Meta(min_length=1, max_length=BATCH_LIMIT)] if is_array else one
    )


@lru_cache(maxsize=10_000)
def _reading(of: EventType) -> tuple[type, _Reading] | None:
    """Made once for each event, whatever is active besides."""
    body = of.body
    if isinstance(body, WireBody):
        return _event(of, body), _Reading(of, None if of.bulk else attrgetter(f"{of.resource}.{of.about.id}"), None)
    if isinstance(body, JsonSchemaBody):
        return _event(of, body), _Reading(of, None if of.bulk else of.id_in, body.is_valid)
    return None


def _event(of: EventType, body: WireBody | JsonSchemaBody) -> type:
    attributes: Any = [("body", body.msgspec_type()), ("idempotency_key", str, None)]
    return struct(of.name, attributes, tag_field="name", tag=of.name)
