"""What the API and the commands return of deliveries, replays and signing secrets, as JSON objects."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from dispatcher.model.replay import Replay
from dispatcher.model.webhook import SigningSecret
from dispatcher.schemas.api.delivery import DeliverySchema, DeliveryWithAttemptsSchema
from dispatcher.schemas.api.event import EventDeliverySchema, EventSchema
from dispatcher.schemas.api.failed_delivery import FailedDeliverySchema
from dispatcher.schemas.api.replay import ReplaySchema
from dispatcher.schemas.api.signing import SigningSecretSchema
from dispatcher.schemas.wire.fields import WireSchema, written_in
from dispatcher.storage.reads.deliveries import DeliveryRow
from dispatcher.storage.reads.events import EmittedEvent, ResultingDelivery

JSON = dict[str, Any]
Value = TypeVar("Value", contravariant=True)


class ToJson(Protocol[Value]):
    """What a value is as JSON: with its times in its own time zone, or in another."""

    def __call__(self, value: Value, time_zone: str | None = None, /) -> JSON:
        """The JSON object."""


def _dump(schema: WireSchema, value: Any, time_zone: str | None = None) -> JSON:
    with written_in(time_zone or value.time_zone):
        return dict(schema.dump(value))


delivery_json: ToJson[DeliveryRow] = partial(_dump, DeliverySchema())
"""As an item of a list: without what was sent, and with the last attempt's status only."""
delivery_details_json: ToJson[DeliveryRow] = partial(_dump, DeliveryWithAttemptsSchema())
failed_delivery_json: ToJson[DeliveryRow] = partial(_dump, FailedDeliverySchema())
"""In API v3's words (Webhooks, Failed deliveries)."""
event_json: ToJson[EmittedEvent] = partial(_dump, EventSchema())
"""As an item of a list."""
replay_json: ToJson[Replay] = partial(_dump, ReplaySchema())
signing_secret_json: ToJson[SigningSecret] = partial(_dump, SigningSecretSchema())
"""The secret, and until when the one before it signs too, in a time zone."""
_resulting_delivery = EventDeliverySchema()


def event_details_json(event: EmittedEvent, deliveries: Sequence[ResultingDelivery], time_zone: str) -> JSON:
    """With its body, and its deliveries."""
    with written_in(time_zone):
        listed = [_resulting_delivery.dump(one) for one in deliveries]
    return event_json(event, time_zone) | {"body": event.body, "deliveries": listed}
