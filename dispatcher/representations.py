"""What the API and the commands return of deliveries, replays and signing secrets, as JSON objects."""

from typing import Any

from dispatcher.model.replay import Replay
from dispatcher.model.webhook import SigningSecret
from dispatcher.schemas.api.delivery import DeliverySchema, DeliveryWithAttemptsSchema
from dispatcher.schemas.api.failed_delivery import FailedDeliverySchema
from dispatcher.schemas.api.replay import ReplaySchema
from dispatcher.schemas.api.signing import SigningSecretSchema
from dispatcher.schemas.wire.fields import WireSchema, written_in
from dispatcher.storage.reads.deliveries import DeliveryRow

JSON = dict[str, Any]

_delivery, _delivery_with_attempts = DeliverySchema(), DeliveryWithAttemptsSchema()
_failed_delivery, _replay, _signing_secret = FailedDeliverySchema(), ReplaySchema(), SigningSecretSchema()


def delivery_json(delivery: DeliveryRow) -> JSON:
    """As an item of a list: without what was sent, and with the last attempt's status only."""
    return _dump(_delivery, delivery, delivery.time_zone)


def delivery_details_json(delivery: DeliveryRow) -> JSON:
    """All of it."""
    return _dump(_delivery_with_attempts, delivery, delivery.time_zone)


def failed_delivery_json(delivery: DeliveryRow) -> JSON:
    """In API v3's words (Webhooks, Failed deliveries)."""
    return _dump(_failed_delivery, delivery, delivery.time_zone)


def replay_json(replay: Replay) -> JSON:
    """All of it."""
    return _dump(_replay, replay, replay.time_zone)


def signing_secret_json(secret: SigningSecret, time_zone: str) -> JSON:
    """The secret, and until when the one before it signs too."""
    return _dump(_signing_secret, secret, time_zone)


def _dump(schema: WireSchema, value: object, time_zone: str) -> JSON:
    with written_in(time_zone):
        return dict(schema.dump(value))
