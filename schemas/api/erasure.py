"""What /api/v1 takes and shows of erasures."""

from marshmallow import fields

from dispatcher.schemas.wire.fields import DateTime, Integer, String, WireSchema


class NewErasureSchema(WireSchema):
    """Whose payloads are to be erased: `subject`, the id of a person as it stands in the bodies of events.

    Or `digest`, that of an earlier erasure: to erase again what a restore has brought back.
    """

    subject = fields.String(error_messages={"invalid": "must be a string"})
    digest = fields.String(error_messages={"invalid": "must be a string"})


class ErasureSchema(WireSchema):
    """An erasure: how many events have lost their payloads, how many responses, and how much pending was cancelled.

    `finished_at` null: workers go on with it. `digest` stands for the person, whose id is not kept.
    """

    id = Integer(required=True)
    digest = String(required=True)
    events = Integer(required=True)
    attempts = Integer(required=True)
    cancelled = Integer(required=True)
    created_at = DateTime(required=True)
    finished_at = DateTime(required=True, allow_none=True)
