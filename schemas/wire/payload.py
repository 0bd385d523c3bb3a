"""The payloads that are POSTed: API v3's envelope, and the flat object of integrations from before v2."""

import json
from typing import Any

from marshmallow import fields

from dispatcher.schemas.wire.fields import DateTime, Integer, String, WireSchema

LEGACY_EVENTS = frozenset({"invoice_paid", "invoice_overdue"})
"""The events a legacy webhook can have."""


class EnvelopeSchema(WireSchema):
    """What is POSTed (API v3, Webhooks, Webhook delivery); `created_at` is when the event happened."""

    webhook_id = Integer(required=True)
    event_name = String(required=True)
    created_at = DateTime(required=True)
    body = fields.Dict(required=True)


def legacy_json(*, event_name: str, body_json: str) -> bytes:
    """The flat object of one of LEGACY_EVENTS, from a rendered body. Its attributes are inferred from the names."""
    body: dict[str, Any] = json.loads(body_json)
    invoice: dict[str, Any] = body["invoice"]
    payment: dict[str, Any] = body.get("payment") or {}
    flat = {
        "invoice_id": invoice["id"],
        "number": invoice.get("number"),
        "status": invoice.get("status"),
        "total": invoice.get("total"),
        "paid_at": invoice.get("paid_on") or payment.get("paid_on"),
        "event_name": event_name,
        "invoice_custom_id": invoice.get("custom_id"),
    }
    return json.dumps(flat, ensure_ascii=False, separators=(",", ":")).encode()
