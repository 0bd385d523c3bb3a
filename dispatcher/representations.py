"""What the API and the commands return of deliveries, replays, secrets and event types, as JSON objects."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar

from dispatcher.model.alert import AlertChannel
from dispatcher.model.replay import Replay
from dispatcher.model.webhook import SigningSecret
from dispatcher.schemas import EventType, active
from dispatcher.schemas.api.alert_channel import AlertChannelSchema
from dispatcher.schemas.api.delivery import DeliverySchema, DeliveryWithAttemptsSchema
from dispatcher.schemas.api.erasure import ErasureSchema
from dispatcher.schemas.api.event import EventDeliverySchema, EventSchema
from dispatcher.schemas.api.event_type import StoredEventTypeSchema
from dispatcher.schemas.api.failed_delivery import FailedDeliverySchema
from dispatcher.schemas.api.replay import ReplaySchema
from dispatcher.schemas.api.signing import SigningSecretSchema
from dispatcher.schemas.personal import MASK, has_personal, masked
from dispatcher.schemas.stored import NAME as STORED
from dispatcher.schemas.wire.fields import WireSchema, written_in
from dispatcher.storage.admin.erasures import Erasure
from dispatcher.storage.reads.deliveries import DeliveryRow
from dispatcher.storage.reads.events import EmittedEvent, ResultingDelivery

JSON = dict[str, Any]
Value = TypeVar("Value", contravariant=True)

_event_type = StoredEventTypeSchema()


class ToJson(Protocol[Value]):
    """What a value is as JSON: with its times in its own time zone, or in another."""

    def __call__(self, value: Value, time_zone: str | None = None, /) -> JSON:
        """The JSON object."""


def _dump(schema: WireSchema, value: Any, time_zone: str | None = None) -> JSON:
    with written_in(time_zone or value.time_zone):
        return dict(schema.dump(value))


alert_channel_json: ToJson[AlertChannel] = partial(_dump, AlertChannelSchema())
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
_erasure = ErasureSchema()
_resulting_delivery = EventDeliverySchema()


def erasure_json(erasure: Erasure) -> JSON:
    """An erasure, without the person's id."""
    return _dump(_erasure, erasure, "UTC")


def without_personal(delivery: DeliveryRow) -> DeliveryRow:
    """It for readers without the right to personal fields: `***` in its body; nor responses, which may repeat them."""
    name, version = delivery.event_name, delivery.event_version
    if not has_personal(name, version):
        return delivery
    body = masked(name, version, json.loads(delivery.body_json))
    attempts = (replace(one, body=one.body and MASK, headers=None) for one in delivery.attempts)
    return replace(delivery, body_json=json.dumps(body, ensure_ascii=False), attempts=tuple(attempts))


def event_without_personal(event: EmittedEvent) -> EmittedEvent:
    """It for readers without the right to personal fields."""
    return replace(event, body=masked(event.name, event.version, event.body))


def event_details_json(event: EmittedEvent, deliveries: Sequence[ResultingDelivery], time_zone: str) -> JSON:
    """With its body, and its deliveries."""
    with written_in(time_zone):
        listed = [_resulting_delivery.dump(one) for one in deliveries]
    return event_json(event, time_zone) | {"body": event.body, "deliveries": listed}


def event_type_json(event: EventType) -> JSON:
    """An event type as /api/v1 and the command show it; the schema of a stored one is as it was put."""
    stored = active().stored.versions.get((event.name, event.version)) if event.catalogue == STORED else None
    value = {
        "name": event.name,
        "version": event.version,
        "versions": list(active().event(event.name).versions),
        "catalogue": event.catalogue,
        "group": event.group,
        "description": event.description,
        "resource": event.resource or None,
        "resource_id": stored.resource_id if stored else event.about.id,
        "schema": json.loads(stored.schema) if stored else event.schema,
        "example": event.example,
        "supersedes": event.supersedes,
        "downgrade": json.loads(stored.downgrade) if stored and stored.downgrade else None,
        "subjects": list(event.subjects),
        "payload_retention_days": event.payload_retention_days,
        "deprecated": event.deprecated_at is not None,
        "deprecated_at": event.deprecated_at,
        "created_at": stored and stored.created_at,
        "updated_at": stored and stored.updated_at,
    }
    return _dump(_event_type, value, "UTC")
