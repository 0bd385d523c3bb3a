"""The wire contract: what an event's payload holds, and the objects of the API. marshmallow only, no I/O.

It is imported as `dispatcher.schemas`, always: the plain name is a service's own.
"""

from dispatcher.schemas.errors import InvalidEvent
from dispatcher.schemas.wire.catalogue import EVENT_TYPES, EventType

__all__ = ["EVENT_TYPES", "EventType", "InvalidEvent"]
