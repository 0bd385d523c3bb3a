"""Before a webhook is saved: how many of an account's last events a filter matches, and what would be sent."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from marshmallow import ValidationError

from dispatcher import clock
from dispatcher.errors import InvalidWebhook
from dispatcher.model.account import Account
from dispatcher.model.delivery import ClaimedDelivery
from dispatcher.model.webhook import POLL_URL, PayloadVersion, Target, Webhook
from dispatcher.payload import render
from dispatcher.pipeline.filters import compile_filter
from dispatcher.schemas import active
from dispatcher.schemas.api.webhook import FilterPreviewSchema
from dispatcher.schemas.catalogue import FIRST
from dispatcher.schemas.errors import DowngradeFailed, texts, texts_by_field
from dispatcher.storage.engine import Storage
from dispatcher.storage.options import read_options, write_options
from dispatcher.storage.reads import filter_preview, webhooks
from dispatcher.storage.reads.filter_preview import FilterPreview, NewestEvent
from dispatcher.webhooks.edit import changed_attributes, checked_attributes

_schema = FilterPreviewSchema()
_ANYWHERE: dict[str, Any] = {
    "secret_headers": {},
    "oauth2": None,
    "client_certificate": None,
    "destination": None,
    "credentials": None,
    "payload_limit": None,
    "timeout_s": None,
}
"""Attributes that say how a payload is sent, and not what is in it."""


def preview(storage: Storage, account_id: int, requested: Mapping[str, Any]) -> FilterPreview:
    """Of the newest events that `events` mean those that match `filter`; raises InvalidWebhook."""
    filter_, events = _checked(requested)
    return storage.read(filter_preview.count, account_id, filter_, events)


def payload_preview(
    storage: Storage, account: Account, before: Webhook | None, attributes: Mapping[str, Any], *, may_read: bool
) -> tuple[bytes, bool]:
    """What such a webhook would be POSTed of the newest event that it subscribes to; False: of an example.

    `before`: as it is stored; None: it is new. `may_read`: whether the reader may see personal fields, else an example
    is shown. Raises InvalidWebhook. How it is sent does not matter.
    """
    is_polled = attributes.get("delivery", before.delivery if before else None) == "poll"
    url = POLL_URL if is_polled else "https://example.com/"
    checked = checked_attributes(changed_attributes(before, {**attributes, **_ANYWHERE, "webhook_url": url}))
    names = active().subscribed(checked["events"])
    newest = storage.read(filter_preview.newest, account.id, names) if may_read else None
    event = newest or _example(next((name for name in names if name in active().events), names[0]))
    webhook_id = before.id if before else 0
    claimed = ClaimedDelivery(
        webhook_id=webhook_id,
        event_id=event.id,
        event_name=event.name,
        event_version=event.version,
        event_created_at=event.created_at,
        body_json=event.body_json,
        time_zone=account.time_zone,
    )
    target = Target(
        webhook_id=webhook_id,
        url="",
        auth_header=None,
        signing_keys=(),
        payload_version=PayloadVersion(checked["payload_version"]),
        options=read_options(write_options(checked, storage.secrets), storage.secrets),
    )
    try:
        return render(claimed, target), newest is not None
    except DowngradeFailed as error:
        raise InvalidWebhook({"event_versions": [str(error)]}) from None


def _example(name: str) -> NewestEvent:
    event = active().events.get(name)
    body, version = (event.example, event.version) if event else ({}, FIRST)
    return NewestEvent(0, name, version, clock.now(), json.dumps(body, ensure_ascii=False))


def unfit_filters(storage: Storage) -> Iterator[str]:
    """Stored filters that ask for what the newest versions of events do not have: of which webhook, and what."""
    for one in storage.read(webhooks.filters):
        try:
            compile_filter(one.filter, one.events)
        except ValidationError as error:
            yield f"webhook {one.webhook_id} of {one.account_slug}: its filter: {'; '.join(texts(error.messages))}"


def _checked(requested: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
    try:
        checked = _schema.load(dict(requested))
    except ValidationError as error:
        raise InvalidWebhook(texts_by_field(error)) from None
    try:
        return compile_filter(checked["filter"], checked["events"]), active().subscribed(checked["events"])
    except ValidationError as error:
        raise InvalidWebhook({"filter": texts(error.messages)}) from None
