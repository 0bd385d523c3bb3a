"""The wire contract: catalogues of events, what an event's payload holds, and the objects of the API.

marshmallow only, no I/O. It is imported as `dispatcher.schemas`, always: the plain name is a service's own.
"""

from dispatcher.schemas.active_catalogues import active
from dispatcher.schemas.catalogue import Catalogue, EventType
from dispatcher.schemas.errors import InvalidCatalogue, InvalidEvent

__all__ = ["Catalogue", "EventType", "InvalidCatalogue", "InvalidEvent", "active"]
