"""The versions of events to which a webhook is pinned, as they are written."""

from typing import Any

from marshmallow import fields
from marshmallow.validate import Range

_TEXT = 'must be an object of events and their versions, or "newest"'


class EventVersions(fields.Field[Any]):
    """Event → the version of its body that is sent. Whether there is such a one is not asked here.

    "newest", which only requests have, is an object by the time it comes here (`dispatcher.webhooks.versions`).
    """

    def __init__(self, **options: Any) -> None:
        versions = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}
        newest = {"type": "string", "enum": ["newest"], "writeOnly": True}
        messages: dict[str, Any] = {"invalid": _TEXT, "null": _TEXT}
        super().__init__(metadata={"anyOf": [versions, newest]}, error_messages=messages, **options)
        version = fields.Integer(strict=True, validate=Range(min=1))
        self._versions = fields.Dict(fields.String(), version, error_messages=messages)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return self._versions.deserialize(value)
