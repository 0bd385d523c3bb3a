"""The wire contract: what an event's payload holds, and the objects of the API. marshmallow only, no I/O."""

from schemas.catalogue import EVENT_TYPES, EventType
from schemas.errors import EventInvalid
from schemas.resources import RESOURCES

__all__ = ["EVENT_TYPES", "RESOURCES", "EventInvalid", "EventType"]
