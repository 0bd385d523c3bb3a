"""A delivery as it is shown: in API v3's words among its failed deliveries, else in our own."""

import json
from typing import Any

from dispatcher.storage.reads.deliveries import DeliveryRow
from schemas.api.delivery import DeliverySchema, DeliveryWithAttemptsSchema
from schemas.api.failed_delivery import FailedDeliverySchema
from schemas.wire.fields import written_in

_failed_delivery = FailedDeliverySchema()
_delivery, _delivery_with_attempts = DeliverySchema(), DeliveryWithAttemptsSchema()


def in_api_words(delivery: DeliveryRow) -> dict[str, Any]:
    """API v3, Webhooks, Failed deliveries; datetimes in the account's time zone."""
    with written_in(delivery.time_zone):
        dumped = _failed_delivery.dump(_with_api_names(delivery))
    return dict(dumped)


def shown(delivery: DeliveryRow) -> dict[str, Any]:
    """As a line of a list: without what was sent, and with the last attempt's status only."""
    with written_in(delivery.time_zone):
        return dict(_delivery.dump(_summary(delivery)))


def shown_with_attempts(delivery: DeliveryRow) -> dict[str, Any]:
    """All of it."""
    attempts = [
        {
            "id": one.id,
            "number": one.number,
            "request_id": one.request_id,
            "response_status": one.status,
            "reason": one.reason,
            "response_content_type": one.content_type,
            "response_body": one.body,
            "started_at": one.started_at,
            "finished_at": one.finished_at,
        }
        for one in delivery.attempts
    ]
    with written_in(delivery.time_zone):
        return dict(
            _delivery_with_attempts.dump(
                _summary(delivery) | {"body": _envelope(delivery), "attempts": attempts},
            )
        )


def _summary(delivery: DeliveryRow) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "idempotency_key": delivery.idempotency_key,
        "event_id": delivery.event_id,
        "event_name": delivery.event_name,
        "webhook_id": delivery.webhook_id,
        "url": delivery.webhook_url,
        "state": delivery.state,
        "attempt_count": len(delivery.attempts),
        "last_response_status": delivery.attempts[0].status if delivery.attempts else None,
        "next_attempt_at": delivery.next_attempt_at,
        "created_at": delivery.created_at,
        "updated_at": delivery.updated_at,
    }


def _envelope(delivery: DeliveryRow) -> dict[str, Any]:
    return {
        "webhook_id": delivery.webhook_id,
        "event_name": delivery.event_name,
        "created_at": delivery.event_created_at,
        "body": json.loads(delivery.body_json),
    }


def _with_api_names(delivery: DeliveryRow) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "event_name": delivery.event_name,
        "idempotency_key": delivery.idempotency_key,
        "url": delivery.webhook_url,
        "body": _envelope(delivery),
        "created_at": delivery.created_at,
        "updated_at": delivery.updated_at,
        "deliveries": [
            {
                "id": one.id,
                "request_id": one.request_id,
                "response_status": one.status,
                "response_content_type": one.content_type,
                "response_body": one.body,
                "started_at": one.started_at,
                "finished_at": one.finished_at,
                "created_at": one.finished_at,
            }
            for one in delivery.attempts
        ],
    }
