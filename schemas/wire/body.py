"""An event's body: checked against the catalogue and rendered to JSON text, once, when the event is recorded."""

import json
from collections.abc import Mapping

import orjson

from dispatcher.schemas.errors import InvalidEvent
from dispatcher.schemas.wire.catalogue import body_schema
from dispatcher.schemas.wire.fields import DEFAULT_TIME_ZONE, Invalid, written_in

_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""For what orjson refuses: integers beyond 64 bits, which are numbers too."""


def render_body(event_name: str, body: Mapping[str, object], *, time_zone: str = DEFAULT_TIME_ZONE) -> bytes:
    """The body's JSON text, exactly as it will be sent; raises InvalidEvent with every problem found.

    `body` holds dicts or objects with attributes under the keys of the catalogue. Datetimes are written in
    `time_zone`. A dict with an attribute that the resource does not have is refused; an object may have more.
    """
    schema = body_schema(event_name)
    if not _is_mapping(body):
        raise InvalidEvent(event_name, [("", "the body is not an object")])
    try:
        with written_in(time_zone):
            wired = schema.wire(body)
    except Invalid as error:
        raise InvalidEvent(event_name, [(path.removeprefix("."), reason) for path, reason in error.problems]) from None
    try:
        return orjson.dumps(wired)
    except TypeError:
        return _json(wired).encode()


def _is_mapping(value: object) -> bool:
    """Asked of what an untyped caller hands over, whatever the signature says."""
    return isinstance(value, Mapping)
