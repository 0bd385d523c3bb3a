"""Webhooks as their owners create, change and delete them: checked here, stored, and put into the schedule."""

import importlib.util
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from marshmallow import ValidationError

from dispatcher.errors import InvalidWebhook
from dispatcher.model.webhook import POLL_URL, Ordering, PayloadVersion, Webhook
from dispatcher.pipeline.filters import compile_filter
from dispatcher.pipeline.wake import wake
from dispatcher.schedule.schedule import Schedule
from dispatcher.schemas import active
from dispatcher.schemas.api.destinations import kind_of, place_of
from dispatcher.schemas.api.field_paths import problems_of_paths
from dispatcher.schemas.api.urls import BLANK, INVALID
from dispatcher.schemas.api.webhook import ClientWebhookSchema, FilteredWebhookSchema
from dispatcher.schemas.errors import texts, texts_by_field
from dispatcher.schemas.wire.payload import LEGACY_EVENTS
from dispatcher.settings import Settings
from dispatcher.storage.admin import accounts, audit, clients, webhooks
from dispatcher.storage.engine import Connection, Storage
from dispatcher.storage.pipeline import deliveries, order
from dispatcher.webhooks.credentials import read_credentials, with_kept_secrets
from dispatcher.webhooks.differences import differences, shown
from dispatcher.webhooks.versions import changed_versions

Checked = dict[str, Any]
"""Attributes of a webhook as they are stored."""
SettingsOrDefaults = Settings | type[Settings]
"""What bounds a webhook's timeout and claim checks: the settings of this process, or their defaults."""

_schema, _of_client = FilteredWebhookSchema(), ClientWebhookSchema()


def create_webhook(
    storage: Storage,
    slug: str,
    attributes: Mapping[str, Any],
    *,
    client_id: int | None = None,
    signing_secret: str | None = None,
    settings: SettingsOrDefaults = Settings,
) -> Webhook:
    """A new webhook of the account; raises AccountNotFound or InvalidWebhook (messages by field, API v3's body A).

    `client_id` is the row's id of the API's client whose it is: only that one sees it there.
    `signing_secret`: one that its receiver has already, for imports; None: a new one.
    """
    _check_client_attributes(attributes, client_id)
    schema = _schema if client_id is None else _of_client
    checked = checked_attributes(changed_attributes(None, attributes, settings), schema) | {"client_id": client_id}

    def create(connection: Connection) -> Webhook:
        account = accounts.hold(connection, slug)
        if client_id is not None:
            clients.hold(connection, client_id)  # a client that is revoked meanwhile leaves no webhook behind
        created = webhooks.create(connection, storage.secrets, account.id, checked, signing_secret=signing_secret)
        visible = {name: shown(name, value) for name, value in attributes.items()}
        audit.record(connection, "webhook.created", created.id, account_id=account.id, attributes=visible)
        return created

    return storage.transact(create)


def edit_webhook(
    storage: Storage,
    schedule: Schedule,
    slug: str,
    webhook_id: int,
    changes: Mapping[str, Any],
    *,
    client_id: int | None = None,
    settings: SettingsOrDefaults = Settings,
) -> Webhook:
    """The webhook with `changes`; where it is active now, its pending deliveries resume.

    With `client_id` it must be that client's. Raises WebhookNotFound, and what `create_webhook` raises.
    """
    _check_client_attributes(changes, client_id)

    def edit(connection: Connection) -> tuple[Webhook, bool]:
        account = accounts.find(connection, slug)
        before = webhooks.find(connection, storage.secrets, account.id, webhook_id, client_id=client_id, to_edit=True)
        requested = dict(changes)
        if client_id is not None and _are_same(requested.get("events"), active().subscribed(before.events)):
            del requested["events"]  # it writes back what it was shown: wildcards stay
        schema = _of_client if client_id is not None and "events" in requested else _schema
        checked = checked_attributes(changed_attributes(before, requested, settings), schema, before)
        if before.client_id is not None and kind_of(checked["webhook_url"]):
            raise InvalidWebhook({"webhook_url": ["must be http or https: the webhook is a client's of API v3"]})
        ordering, superseding = checked["ordering"], checked["superseding"]
        switched = (ordering, superseding) != (before.ordering, before.superseding)
        in_order = switched and (superseding or ordering != Ordering.NONE)
        with order.switching(connection, webhook_id, ordering) if in_order else nullcontext():
            edited = webhooks.edit(connection, storage.secrets, account.id, webhook_id, checked)
        if changed := differences(before, {name: getattr(edited, name) for name in requested}):
            audit.record(connection, "webhook.updated", webhook_id, account_id=account.id, changes=changed)
        return edited, switched

    webhook, switched = storage.transact(edit)
    if switched:  # where order is off now, all that it held back is released
        storage.autocommit(order.settle_all, webhook_id=webhook_id)
    wake(schedule, storage.read(deliveries.next_due, webhook_ids=[webhook_id]), afresh=True)  # health may be outdated
    return webhook


def delete_webhook(storage: Storage, slug: str, webhook_id: int, *, client_id: int | None = None) -> None:
    """Deletes the webhook and cancels its pending deliveries; raises WebhookNotFound. With `client_id`, its own."""

    def delete(connection: Connection) -> None:
        account_id = accounts.find(connection, slug).id
        webhooks.delete(connection, account_id, webhook_id, client_id=client_id)
        audit.record(connection, "webhook.deleted", webhook_id, account_id=account_id)

    storage.transact(delete)


def _are_same(events: Any, names: list[str]) -> bool:
    return isinstance(events, list) and all(isinstance(name, str) for name in events) and {*events} == {*names}


def _check_client_attributes(attributes: Mapping[str, Any], client_id: int | None) -> None:
    """A client's webhook is API v3's, which has no filter, no uid, and only HTTP; what was set otherwise stays."""
    if client_id is None:
        return
    if unknown := attributes.keys() & {"filter", "uid", "delivery", "destination", "credentials"}:
        raise InvalidWebhook({name: ["Unknown field."] for name in sorted(unknown)})
    if kind_of(attributes.get("webhook_url")):
        raise InvalidWebhook({"webhook_url": [INVALID]})


def changed_attributes(
    before: Webhook | None, changes: Mapping[str, Any], settings: SettingsOrDefaults = Settings
) -> dict[str, Any]:
    """All that may be written of a webhook, with `changes`; of a new one where `before` is None.

    Raises InvalidWebhook where `settings` do not allow a change.
    """
    if changes.get("payload_limit") is not None and not settings.public_url:
        raise InvalidWebhook({"payload_limit": ["needs DISPATCHER_PUBLIC_URL, which is not set in this process"]})
    timeout_s = changes.get("timeout_s")
    is_longer = isinstance(timeout_s, int) and timeout_s > settings.timeout_s
    if is_longer and (before is None or timeout_s != before.timeout_s):
        raise InvalidWebhook({"timeout_s": [f"must be at most {settings.timeout_s:g}, as DISPATCHER_TIMEOUT_S is"]})
    _check_destination(before, changes)
    kept = webhooks.DEFAULTS if before is None else {name: getattr(before, name) for name in webhooks.WRITABLE}
    versions = {"event_versions": changed_versions(before, changes)}
    attributes = {**kept, **changes, **versions, **with_kept_secrets(before, changes)}
    for name in ("secret_headers", "credentials"):
        secret = changes.get(name)
        if before is not None and isinstance(secret, Mapping):  # null stands for a value that was not shown
            stored = getattr(before, name) or {}
            attributes[name] = {key: stored.get(key) if value is None else value for key, value in secret.items()}
    return attributes


def _check_destination(before: Webhook | None, changes: Mapping[str, Any]) -> None:
    """Raises InvalidWebhook where its library is missing, or stored credentials would be shown to somebody else."""
    url = changes.get("webhook_url") if before is None else changes.get("webhook_url", before.webhook_url)
    kind = kind_of(url)
    if kind is not None and not _is_installed(kind.module):
        raise InvalidWebhook({"webhook_url": [f"needs webhook-dispatcher[{kind.extra}], which is not installed here"]})
    credentials = changes.get("credentials", {None: None})
    if before is None or not before.credentials or not isinstance(credentials, Mapping):
        return
    if None not in credentials.values():
        return
    destination = changes.get("destination", before.destination)
    was = place_of(before.webhook_url, before.destination)
    if kind is None or not isinstance(destination, Mapping | None) or place_of(str(url), destination) != was:
        raise InvalidWebhook({"credentials": ["must be given again, or be null, where the URL's host changes"]})


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # nor its package
        return False


def checked_attributes(
    attributes: dict[str, Any], schema: FilteredWebhookSchema = _schema, before: Webhook | None = None
) -> dict[str, Any]:
    """`attributes` as they are stored; raises InvalidWebhook with every message at once.

    Events, paths and a filter that are as they were `before` stay, also where the catalogue has changed so that they
    would be refused now (`preview.unfit_filters`): otherwise their webhook could not even be paused.
    """
    messages: dict[str, list[str]] = {}
    kept: Checked = {}
    if before is not None and attributes["events"] is before.events:
        kept["events"] = [*before.events]
    if attributes["delivery"] == "poll" and attributes.get("webhook_url") in (None, POLL_URL):
        kept["webhook_url"] = POLL_URL
    try:
        loaded = {name: value for name, value in attributes.items() if name not in kept}
        checked: Checked = schema.load(loaded, partial=tuple(kept)) | kept
        checked |= read_credentials(checked)
    except ValidationError as error:
        messages = texts_by_field(error)
        checked = {}
    if checked:
        messages |= _problems_of_polling(checked, before)
    if checked.get("payload_version") == PayloadVersion.LEGACY and not set(checked["events"]) <= LEGACY_EVENTS:
        messages["events"] = [f"must be among {', '.join(sorted(LEGACY_EVENTS))} for a legacy payload"]
    only, excluded = checked.get("only_fields", ()), checked.get("excluded_fields", ())
    if checked.get("filter") is not None:
        try:
            checked["filter_path"] = compile_filter(checked["filter"], checked["events"])
        except ValidationError as error:
            if before is None or (before.filter, [*before.events]) != (checked["filter"], checked["events"]):
                messages["filter"] = texts(error.messages)
    if (only or excluded) and not (before and _has_same_paths(before, checked)):
        messages |= problems_of_paths(checked["events"], checked["event_versions"], only, excluded)
    if messages:
        raise InvalidWebhook(messages)
    return checked


def _problems_of_polling(checked: Checked, before: Webhook | None) -> Mapping[str, list[str]]:
    """What does not go with how deliveries reach their receiver, by field."""
    delivery = checked["delivery"]
    if before is not None and delivery != before.delivery:
        return {"delivery": ["cannot be changed; create another webhook"]}
    if delivery == "push":
        return {} if "webhook_url" in checked else {"webhook_url": [BLANK]}
    problems = {}
    if checked["webhook_url"] != POLL_URL:
        problems["webhook_url"] = ["must be left out where deliveries are polled"]
    if checked["ordering"] != Ordering.NONE:
        problems["ordering"] = ["must be none where deliveries are polled, which are always in order"]
    if checked["superseding"]:
        problems["superseding"] = ["must be false where deliveries are polled"]
    return problems


def _has_same_paths(before: Webhook, checked: Mapping[str, Any]) -> bool:
    """Whether it selects the same fields of the same events."""
    same = all([*getattr(before, name)] == checked[name] for name in ("events", "only_fields", "excluded_fields"))
    return same and before.event_versions == checked["event_versions"]
