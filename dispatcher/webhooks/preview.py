"""How many of an account's last events a filter would have matched, before it is saved."""

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import ValidationError

from dispatcher.errors import InvalidWebhook
from dispatcher.pipeline.filters import compile_filter
from dispatcher.schemas import active
from dispatcher.schemas.api.webhook import FilterPreviewSchema
from dispatcher.schemas.errors import texts, texts_by_field
from dispatcher.storage.engine import Storage
from dispatcher.storage.reads import filter_preview
from dispatcher.storage.reads.filter_preview import FilterPreview

_schema = FilterPreviewSchema()


def preview(storage: Storage, account_id: int, requested: Mapping[str, Any]) -> FilterPreview:
    """Of the newest events that `events` mean those that match `filter`; raises InvalidWebhook."""
    filter_, events = _checked(requested)
    return storage.read(filter_preview.count, account_id, filter_, events)


def _checked(requested: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
    try:
        checked = _schema.load(dict(requested))
    except ValidationError as error:
        raise InvalidWebhook(texts_by_field(error)) from None
    try:
        return compile_filter(checked["filter"], checked["events"]), active().subscribed(checked["events"])
    except ValidationError as error:
        raise InvalidWebhook({"filter": texts(error.messages)}) from None
