"""Records as the API and the command show them: JSON, with datetimes in the account's time zone."""

import json
from dataclasses import asdict
from typing import Any

from dispatcher.model.replay import Replay
from dispatcher.model.webhook import SigningSecret
from dispatcher.storage.reads.deliveries import DeliveryRow
from schemas.api.delivery import DeliverySchema, DeliveryWithAttemptsSchema
from schemas.api.failed_delivery import FailedDeliverySchema
from schemas.api.replay import ReplaySchema
from schemas.api.signing import SigningSecretSchema
from schemas.wire.fields import WireSchema, written_in

_delivery, _delivery_with_attempts, _failed_delivery = (
    DeliverySchema(), DeliveryWithAttemptsSchema(), FailedDeliverySchema()
)  # fmt: skip
_replay, _signing_secret = ReplaySchema(), SigningSecretSchema()


def delivery_json(delivery: DeliveryRow) -> dict[str, Any]:
    """As a line of a list: without the body, and with the last attempt's status only."""
    return _dump(_delivery, _attributes(delivery), delivery.time_zone)


def delivery_details_json(delivery: DeliveryRow) -> dict[str, Any]:
    """All of it."""
    attributes = _attributes(delivery) | {"body": _envelope(delivery), "attempts": _attempts(delivery)}
    return _dump(_delivery_with_attempts, attributes, delivery.time_zone)


def failed_delivery_json(delivery: DeliveryRow) -> dict[str, Any]:
    """API v3, Webhooks, Failed deliveries, which calls attempts deliveries."""
    attributes = _attributes(delivery) | {"body": _envelope(delivery), "deliveries": _attempts(delivery)}
    return _dump(_failed_delivery, attributes, delivery.time_zone)


def replay_json(replay: Replay) -> dict[str, Any]:
    """All of it."""
    return _dump(_replay, asdict(replay.requested) | asdict(replay), replay.time_zone)


def signing_secret_json(secret: SigningSecret, time_zone: str) -> dict[str, Any]:
    """The secret, and until when the previous one also signs."""
    attributes = {"signing_secret": secret.secret, "previous_valid_until": secret.previous_valid_until}
    return _dump(_signing_secret, attributes, time_zone)


def _dump(schema: WireSchema, attributes: dict[str, Any], time_zone: str) -> dict[str, Any]:
    """Those of the attributes that the schema has."""
    with written_in(time_zone):
        return dict(schema.dump(attributes))


def _attributes(delivery: DeliveryRow) -> dict[str, Any]:
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


def _attempts(delivery: DeliveryRow) -> list[dict[str, Any]]:
    return [
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
            "created_at": one.finished_at,
        }
        for one in delivery.attempts
    ]
