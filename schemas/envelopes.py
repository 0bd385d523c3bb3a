"""What is put around an event's body when it is POSTed: one form for all events of a catalogue. Pure."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from dispatcher.schemas.wire.fields import JsonSchema, render_datetime, zone_of

VERSION_HEADER = "webhook-version"
"""The header of a POST whose body is not of its event's version 1: a number."""
_TEXT, _TIME = {"type": "string"}, {"type": "string", "format": "date-time"}


class Write(Protocol):
    """The bytes to send, in which the body's text stands as it is, byte for byte."""

    def __call__(
        self,
        *,
        event_id: int | str,
        webhook_id: int,
        event_name: str,
        created_at: datetime,
        body_json: str,
        time_zone: str,
    ) -> bytes:
        """`created_at` is when the event happened, `time_zone` the account's; `event_id` that of a ping is its key."""


class Envelope(NamedTuple):
    """One form: how it is written, and as what it is described. `attributes`: those around the body, by name."""

    write: Write
    attributes: Mapping[str, JsonSchema]
    name: str
    """The attribute that holds the event's name."""
    body: str
    """The attribute that holds the event's body."""
    content_type: str = "application/json"

    def json_schema(self, event_name: str, body: JsonSchema) -> JsonSchema:
        """The JSON Schema of what is POSTed, around that of the body."""
        properties = {**self.attributes, self.name: {"const": event_name}, self.body: body}
        return {"type": "object", "properties": properties, "required": list(properties)}


def envelope_json(
    *,
    webhook_id: int,
    event_name: str,
    created_at: datetime,
    body_json: str,
    time_zone: str,
    event_id: int | str = 0,  # which API v3 does not tell
) -> bytes:
    """The envelope around a rendered body, which goes in as it is, byte for byte."""
    written = render_datetime(created_at, zone_of(time_zone))
    return (
        f'{{"webhook_id":{webhook_id},"event_name":"{event_name}","created_at":"{written}","body":{body_json}}}'
    ).encode()


def _standard(*, event_name: str, created_at: datetime, body_json: str, **_: Any) -> bytes:
    return f'{{"type":"{event_name}","timestamp":"{_utc(created_at)}","data":{body_json}}}'.encode()


def _cloudevents(source: str) -> Envelope:
    """CloudEvents 1.0, "JSON Event Format", structured. `id` is the event's: the same for all of its webhooks."""
    source_json = json.dumps(source, ensure_ascii=False)

    def write(*, event_id: int | str, event_name: str, created_at: datetime, body_json: str, **_: Any) -> bytes:
        return (
            f'{{"specversion":"1.0","id":"{event_id}","source":{source_json},"type":"{event_name}",'
            f'"time":"{_utc(created_at)}","datacontenttype":"application/json","data":{body_json}}}'
        ).encode()

    attributes: dict[str, JsonSchema] = {
        "specversion": {"const": "1.0"},
        "id": _TEXT,
        "source": {"const": source},
        "type": _TEXT,
        "time": _TIME,
        "datacontenttype": {"const": "application/json"},
    }
    content_type = "application/cloudevents+json"
    return Envelope(write=write, attributes=attributes, name="type", body="data", content_type=content_type)


_API_V3 = Envelope(
    write=envelope_json,
    attributes={"webhook_id": {"type": "integer"}, "event_name": _TEXT, "created_at": _TIME},
    name="event_name",
    body="body",
)
"""API v3, Webhooks, Webhook delivery."""
_STANDARD = Envelope(write=_standard, attributes={"type": _TEXT, "timestamp": _TIME}, name="type", body="data")
"""Standard Webhooks, "Payload structure"."""

ENVELOPES: Mapping[str, Callable[[str], Envelope]] = {
    "api_v3": lambda _: _API_V3,
    "standard": lambda _: _STANDARD,
    "cloudevents": _cloudevents,
}
"""Name → the envelope for a catalogue of that source, a URI reference, which CloudEvents names."""


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
