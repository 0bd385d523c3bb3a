"""An example of each event's body. Pure; made once."""

from functools import cache
from typing import Any

from schemas.wire.catalogue import body_schema


@cache
def event_example(name: str) -> dict[str, Any]:
    """The body of the event; raises InvalidEvent for a name not in the catalogue. Shared, not to be changed."""
    return body_schema(name).example_object()
