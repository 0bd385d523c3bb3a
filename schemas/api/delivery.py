"""A delivery in our own words: one event for one webhook, and its attempts. API v3 has only those that failed."""

from marshmallow import ValidationError, fields

from dispatcher.schemas.active_catalogues import active
from dispatcher.schemas.wire.choices import no_such_event
from dispatcher.schemas.wire.fields import DateTime, Integer, Shape, String, Uuid, WireSchema
from dispatcher.schemas.wire.payload import EnvelopeSchema


def _check_event(name: str) -> None:
    if name not in active().events:
        raise ValidationError(no_such_event(name, active().events))


class DeliveryAttemptSchema(WireSchema):
    """One request. `response_status` is a code as a string, or a word such as `timeout`; `reason` says more of it.

    `response_headers`: `Name: value`, a line each; null where it was a 2xx.
    """

    id = Integer(required=True)
    number = Integer(required=True)
    request_id = Uuid(required=True)
    response_status = String(required=True, attribute="status")
    reason = String(required=True, allow_none=True)
    response_content_type = String(required=True, allow_none=True, attribute="content_type")
    response_body = String(required=True, allow_none=True, attribute="body")
    response_headers = String(required=True, allow_none=True, attribute="headers")
    started_at = DateTime(required=True)
    finished_at = DateTime(required=True)


class WaitingSchema(WireSchema):
    """Why a delivery has not been sent yet; `text` says it for people."""

    reason = String(
        required=True,
        choices=(
            "inactive", "held_back", "sending", "circuit_open", "paused", "rate_limited", "due", "postponed",
            "backing_off",
        ),
    )  # fmt: skip
    text = String(required=True)


class DeliverySchema(WireSchema):
    """A delivery. `next_attempt_at` is null once it is finished; while it is sent, it is the end of the lease."""

    id = Integer(required=True)
    idempotency_key = Uuid(required=True)
    event_id = Integer(required=True)
    event_name = String(required=True)
    webhook_id = Integer(required=True)
    url = String(required=True, attribute="webhook_url")
    state = String(required=True, choices=("pending", "delivered", "failed", "cancelled", "superseded"))
    attempt_count = Integer(required=True, attribute="recorded_attempts")
    last_response_status = String(required=True, allow_none=True, attribute="last_status")
    next_attempt_at = DateTime(required=True, allow_none=True)
    created_at = DateTime(required=True)
    updated_at = DateTime(required=True)


class DeliveryWithAttemptsSchema(DeliverySchema):
    """A delivery with the envelope that is sent, and its attempts, newest first. `waiting`: while it is pending.

    `erasure`: why its event's payload was erased (`subject`: its person's are; `retention`), and what was pending
    cancelled.
    """

    waiting = Shape(WaitingSchema, required=True, allow_none=True)
    erasure = String(required=True, allow_none=True, choices=("subject", "retention"))
    body = Shape(EnvelopeSchema, required=True, attribute="envelope")
    attempts = Shape(DeliveryAttemptSchema, many=True, required=True)


class PingRequestSchema(WireSchema):
    """What to send: the example of an event of the catalogue, with the header `webhook-test: true`; null: `ping`."""

    event_name = fields.String(
        load_default=None, allow_none=True, validate=_check_event, error_messages={"invalid": "must be a string"}
    )


class PingSchema(WireSchema):
    """What came of a ping. Statuses are those of an attempt."""

    idempotency_key = Uuid(required=True)
    response_status = String(required=True)
    reason = String(required=True, allow_none=True)
    duration_ms = Integer(required=True)
    response_content_type = String(required=True, allow_none=True)
    response_body = String(required=True, allow_none=True)
    response_headers = String(required=True, allow_none=True)
