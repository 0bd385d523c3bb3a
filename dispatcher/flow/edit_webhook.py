"""Webhooks as their owners make, change and delete them: checked here, stored, and told to the clock."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from dispatcher.errors import WebhookInvalid
from dispatcher.model.webhook import PayloadVersion, Webhook
from dispatcher.schedule.clock import Schedule
from dispatcher.storage import accounts, deliveries, webhooks
from dispatcher.storage.engine import Connection, Storage
from schemas.payload import LEGACY_EVENTS
from schemas.webhook import WebhookSchema

_schema = WebhookSchema()


def create_webhook(storage: Storage, slug: str, attributes: Mapping[str, Any]) -> Webhook:
    """A new webhook of the account; raises AccountUnknown or WebhookInvalid (messages by field, API v3's body A)."""
    checked = _checked({"active": True, "auth_header": None, "payload_version": PayloadVersion.V3} | dict(attributes))
    return storage.run(
        lambda connection: webhooks.create(connection, storage.secrets, accounts.find(connection, slug).id, checked)
    )


def edit_webhook(
    storage: Storage, schedule: Schedule, slug: str, webhook_id: int, changes: Mapping[str, Any]
) -> Webhook:
    """The webhook with `changes`; one that is active now goes on with what waited for it."""

    def edit(connection: Connection) -> tuple[Webhook, dict[int, float]]:
        account = accounts.find(connection, slug)
        before = webhooks.find(connection, storage.secrets, account.id, webhook_id)
        checked = _checked({name: getattr(before, name) for name in _WRITABLE} | dict(changes))
        after = webhooks.edit(connection, storage.secrets, account.id, webhook_id, checked)
        return after, deliveries.next_due(connection, [webhook_id])

    webhook, waits = storage.run(edit)
    schedule.due(waits)
    return webhook


def delete_webhook(storage: Storage, slug: str, webhook_id: int) -> None:
    """Deletes the webhook and cancels what waits for it; raises WebhookUnknown."""
    storage.run(lambda connection: webhooks.delete(connection, accounts.find(connection, slug).id, webhook_id))


_WRITABLE = ("webhook_url", "auth_header", "active", "events", "payload_version")


def _checked(attributes: dict[str, Any]) -> dict[str, Any]:
    """`attributes` as they are stored; raises WebhookInvalid with every message at once."""
    version = str(attributes.pop("payload_version"))
    messages: dict[str, list[str]] = {}
    try:
        checked: dict[str, Any] = _schema.load(attributes | {"events": list(attributes.get("events") or ())})
    except ValidationError as error:
        messages = {field: _texts(found) for field, found in error.normalized_messages().items()}
        checked = {}
    if version not in set(PayloadVersion):
        messages["payload_version"] = ["is not included in the list"]
    elif version == PayloadVersion.LEGACY and not set(checked.get("events", ())) <= LEGACY_EVENTS:
        messages["events"] = [f"must be among {', '.join(sorted(LEGACY_EVENTS))} for a legacy payload"]
    if messages:
        raise WebhookInvalid(messages)
    return checked | {"payload_version": version}


def _texts(found: object) -> list[str]:
    """Marshmallow's messages of one field, flat: those of a list's items come as a dict by index."""
    if isinstance(found, dict):
        return list(dict.fromkeys(text for inner in found.values() for text in _texts(inner)))
    return [str(text) for text in found] if isinstance(found, list) else [str(found)]
