"""Bodies of the active catalogues' events: rendered, described, made up."""

from collections.abc import Mapping
from typing import Any

from dispatcher.schemas import EventType, active
from dispatcher.schemas.wire.body import WireBody
from dispatcher.schemas.wire.fields import WireSchema


def event_type(name: str) -> EventType:
    return active().event(name)


def event_example(name: str) -> dict[str, Any]:
    return event_type(name).example


def event_schema(name: str) -> dict[str, Any]:
    return event_type(name).schema


def body_schema(name: str) -> WireSchema:
    """Of one of our own types."""
    body = event_type(name).body
    assert isinstance(body, WireBody)
    return body.schema


def render_body(name: str, body: Mapping[str, object], *, time_zone: str = "Europe/Prague") -> bytes:
    return event_type(name).render(body, time_zone)[0]
