"""The audit log as /api/v1 shows it."""

from marshmallow import fields

from dispatcher.schemas.wire.fields import DateTime, Integer, Shape, String, WireSchema


class ActorSchema(WireSchema):
    """Who did it. `command`: somebody who ran `dispatcher`, by the name on that machine; `system`: a worker."""

    kind = String(required=True, choices=("user", "client", "service_token", "portal_session", "command", "system"))
    id = Integer(required=True, allow_none=True)
    name = String(required=True)


class AuditEntrySchema(WireSchema):
    """What was done: `action` such as `webhook.updated`, `subject` the id of the webhook. Secrets are not in it."""

    id = Integer(required=True)
    created_at = DateTime(required=True)
    account = String(required=True, allow_none=True)
    actor = Shape(ActorSchema, required=True)
    action = String(required=True)
    subject = String(required=True)
    details = fields.Dict(required=True)
