"""What the API and the commands return of deliveries, replays and signing secrets, as JSON objects."""

from collections.abc import Callable
from functools import partial
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


def _dump(schema: WireSchema, value: Any, time_zone: str | None = None) -> JSON:
    """`value` in its own time zone, or another."""
    with written_in(time_zone or value.time_zone):
        return dict(schema.dump(value))


delivery_json: Callable[[DeliveryRow], JSON] = partial(_dump, DeliverySchema())
"""As an item of a list: without what was sent, and with the last attempt's status only."""
delivery_details_json: Callable[[DeliveryRow], JSON] = partial(_dump, DeliveryWithAttemptsSchema())
failed_delivery_json: Callable[[DeliveryRow], JSON] = partial(_dump, FailedDeliverySchema())
"""In API v3's words (Webhooks, Failed deliveries)."""
replay_json: Callable[[Replay], JSON] = partial(_dump, ReplaySchema())
signing_secret_json: Callable[[SigningSecret, str], JSON] = partial(_dump, SigningSecretSchema())
"""The secret, and until when the one before it signs too, in a time zone."""
