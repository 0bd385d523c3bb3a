"""Events of the dispatcher itself: a webhook was disabled or has recovered, a delivery has failed.

Not API v3's: these go only to webhooks that subscribed to their names (`catalogue.OPERATIONAL_EVENTS`).
"""

import json
from typing import Any

from dispatcher.schemas.wire.fields import Boolean, DateTime, Integer, Shape, String, Uuid, WireSchema, written_in


class WebhookStateSchema(WireSchema):
    """A webhook in trouble, or out of it. `webhook_url` is without its query, which may hold a token."""

    id = Integer()
    webhook_url = String()
    active = Boolean()
    deactivated_at = DateTime(allow_none=True)
    deactivated_reason = String(allow_none=True)


class FailedSchema(WireSchema):
    """A delivery whose every attempt failed; `response_status` is the last attempt's."""

    id = Integer()
    webhook_id = Integer()
    event_name = String()
    idempotency_key = Uuid()
    attempts = Integer()
    response_status = String()


class OperationalBodySchema(WireSchema):
    """The body of an operational event: one of the two."""

    webhook = Shape(WebhookStateSchema)
    delivery = Shape(FailedSchema)


_schema = OperationalBodySchema()


def operational_json(body: dict[str, Any], time_zone: str) -> str:
    """The body's JSON text, its datetimes in `time_zone`."""
    with written_in(time_zone):
        return json.dumps(_schema.dump(body), ensure_ascii=False, separators=(",", ":"))
