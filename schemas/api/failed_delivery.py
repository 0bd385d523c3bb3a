"""Failed deliveries in API v3's words: it calls our delivery a "webhook event" and our attempts `deliveries`.

Source: API v3, Webhooks, Failed deliveries. No other module may speak this way.
"""

from dispatcher.schemas.wire.fields import DateTime, Integer, Shape, String, Url, Uuid, WireSchema
from dispatcher.schemas.wire.payload import EnvelopeSchema


class AttemptSchema(WireSchema):
    """One request. `response_status` is a code as a string or a word such as `timeout`; the set of words may grow."""

    id = Integer()
    request_id = Uuid()
    response_status = String(attribute="status")
    response_content_type = String(allow_none=True, attribute="content_type")
    response_body = String(allow_none=True, attribute="body")
    started_at = DateTime()
    finished_at = DateTime()
    created_at = DateTime()


class FailedDeliverySchema(WireSchema):
    """A delivery whose every attempt failed, with its attempts, newest first; `body` is the whole envelope as sent."""

    id = Integer()
    event_name = String()
    idempotency_key = Uuid()
    url = Url(attribute="webhook_url")
    body = Shape(EnvelopeSchema, attribute="envelope")
    created_at = DateTime()
    updated_at = DateTime()
    deliveries = Shape(AttemptSchema, many=True, attribute="attempts")
