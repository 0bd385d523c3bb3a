"""The versions of events to which a webhook is pinned, as they are written."""

from typing import Any

from marshmallow import fields
from marshmallow.validate import Range

_TEXT = 'must be an object of events and their versions, or "newest"'


class EventVersions(fields.Dict):
    """Event → the version of its body that is sent. Whether there is such a one is not asked here."""

    def __init__(self, **options: Any) -> None:
        messages: dict[str, Any] = {"invalid": _TEXT, "null": _TEXT}
        version = fields.Integer(strict=True, validate=Range(min=1))
        super().__init__(fields.String(), version, error_messages=messages, **options)
