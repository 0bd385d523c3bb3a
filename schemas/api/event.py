"""An event as /api/v1 shows it: what was emitted, and what became of it. Of the log API v3 shows words only."""

from marshmallow import fields

from dispatcher.schemas.wire.fields import Boolean, DateTime, Integer, Shape, String, Uuid, WireSchema


class EventSchema(WireSchema):
    """An event, of a version of its type. `pending`: it has not fanned out yet, so it has no deliveries.

    `erasure`: why its payload was erased: its person's are (`subject`), or it was kept long enough (`retention`).
    """

    id = Integer(required=True)
    name = String(required=True)
    version = Integer(required=True)
    created_at = DateTime(required=True)
    idempotency_key = String(required=True, allow_none=True)
    pending = Boolean(required=True, attribute="is_waiting")
    erasure = String(required=True, allow_none=True, choices=("subject", "retention"))


class EventDeliverySchema(WireSchema):
    """A delivery of the event. `next_attempt_at` is null once it is finished."""

    id = Integer(required=True, attribute="delivery_id")
    webhook_id = Integer(required=True)
    idempotency_key = Uuid(required=True)
    state = String(required=True, choices=("pending", "delivered", "failed", "cancelled", "superseded"))
    attempt_count = Integer(required=True)
    next_attempt_at = DateTime(required=True, allow_none=True)
    created_at = DateTime(required=True)


class EventWithDeliveriesSchema(EventSchema):
    """An event with its body, and its deliveries."""

    body = fields.Dict(required=True)
    deliveries = Shape(EventDeliverySchema, many=True, required=True)
