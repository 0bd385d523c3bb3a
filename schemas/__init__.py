"""The wire contract: what an event's payload holds, and the objects of the API. marshmallow only, no I/O."""

from schemas.errors import InvalidEvent
from schemas.wire.catalogue import EVENT_TYPES, EventType

__all__ = ["EVENT_TYPES", "EventType", "InvalidEvent"]
