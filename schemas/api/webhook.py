"""The webhook object (API v3, Webhooks): what is returned, and what may be written, with API v3's messages.

What a webhook has beyond API v3 is in a schema of its own, so that the documented object stays exactly that.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema
from marshmallow.validate import Range, Regexp

from dispatcher.schemas.active_catalogues import active, active_with
from dispatcher.schemas.api import labels
from dispatcher.schemas.api.destinations import (
    Credentials,
    DestinationSettings,
    check_address,
    check_destination,
    kind_of,
)
from dispatcher.schemas.api.headers import is_header_value
from dispatcher.schemas.api.options import OptionsSchema
from dispatcher.schemas.api.urls import BLANK, INVALID, check_url
from dispatcher.schemas.wildcards import SHAPE, is_wildcard
from dispatcher.schemas.wire.choices import allowed, no_such_event, not_among
from dispatcher.schemas.wire.fields import UNSENDABLE, Boolean, DateTime, Integer, Url, Uuid, WireSchema

EMPTY = "can't be empty"
_NOT_BOOLEAN = allowed(("true", "false"))

EXTERNAL_ID = re.compile(r"[A-Za-z0-9._:@-]{1,255}\Z")
"""An id that the company itself gave."""
_NOT_AN_ID = "must have 1 to 255 characters of A-Z a-z 0-9 . _ : @ -"
_UNKNOWN_SHOWN = 100
"""Messages about names that no event has."""
_DESCRIPTION_LIMIT = 1_000
_WILDCARD_LIMIT = 100
"""Of one webhook: each is asked about events that no other subscription means."""


def _check_any_url(url: str) -> None:
    """That of HTTP, or of another destination."""
    kind = kind_of(url)
    if kind is None:
        check_url(url)
    else:
        check_address(url, kind)


def _check_auth_header(value: str) -> None:
    if not is_header_value(value):
        raise ValidationError(INVALID)


def check_events(names: Sequence[str]) -> None:
    """Raises a ValidationError where there are none, or that lists those that no event has, with the nearest ones."""
    if not names:
        raise ValidationError(EMPTY)
    unknown = [name for name in names if name not in active_with(name).names]
    if unknown:
        raise ValidationError([no_such_event(name, active().names) for name in unknown[:_UNKNOWN_SHOWN]])


def check_subscriptions(names: Sequence[str]) -> None:
    """As `check_events`; wildcards are allowed too, unless they mean no event."""
    if sum(map(is_wildcard, names)) > _WILDCARD_LIMIT:
        raise ValidationError(f"must have at most {_WILDCARD_LIMIT} wildcards")
    fine = [name for name in names if is_wildcard(name) and SHAPE.fullmatch(name) and _means_events(name)]
    if len(fine) < max(1, len(names)):
        check_events([name for name in names if name not in fine])


def _means_events(wildcard: str) -> bool:
    return bool(active().subscribed([wildcard]) or active_with(wildcard).subscribed([wildcard]))


def _check_description(description: str) -> None:
    if UNSENDABLE.search(description):
        raise ValidationError(INVALID)
    if len(description) > _DESCRIPTION_LIMIT:
        raise ValidationError(f"is too long (maximum is {_DESCRIPTION_LIMIT} characters)")


def _check_among(*words: str) -> Callable[[str], None]:
    def check(word: str) -> None:
        if word not in words:
            raise ValidationError(not_among(word, words))

    return check


def _one_of(*words: str) -> fields.String:
    text = allowed(words)
    return fields.String(validate=_check_among(*words), error_messages={"invalid": text, "null": text})


class Names(fields.List[Any]):
    """An array of words; one that is repeated counts once."""

    def __init__(self, *, error_messages: dict[str, str] | None = None, **options: Any) -> None:
        word = fields.String(error_messages={"invalid": INVALID, "null": INVALID})
        super().__init__(word, error_messages={"invalid": INVALID, **(error_messages or {})}, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[Any]:
        if isinstance(value, Mapping):  # marshmallow would take its keys
            raise self.make_error("invalid")
        return list(dict.fromkeys(super()._deserialize(value, attr, data, **kwargs)))


def flag(**options: Any) -> Boolean:
    """A boolean that may not be null."""
    return Boolean(error_messages={"null": _NOT_BOOLEAN}, **options)


def rate_per_second(**options: Any) -> fields.Integer:
    """A number per second from 1 to 100,000, or null."""
    bounds = [Range(1, error="must be greater than 0"), Range(max=100_000, error="must be less than or equal to {max}")]
    messages: dict[str, Any] = {"invalid": "is not a number"}
    return fields.Integer(allow_none=True, strict=True, validate=bounds, error_messages=messages, **options)


def _url(check: Callable[[str], None], *, required: bool = True) -> fields.String:
    messages: dict[str, Any] = {"required": BLANK, "null": BLANK, "invalid": INVALID}
    return fields.String(required=required, validate=check, error_messages=messages)


class WebhookSchema(WireSchema):
    """A webhook. Writable are `webhook_url`, `auth_header`, `active`, `events`; for PATCH load with `partial=True`."""

    id = Integer(dump_only=True)
    failed_deliveries_uuid = Uuid(dump_only=True)
    webhook_url = _url(check_url)
    auth_header = fields.String(allow_none=True, validate=_check_auth_header, error_messages={"invalid": INVALID})
    active = flag()
    events = Names(required=True, validate=check_events, error_messages={"required": EMPTY, "null": EMPTY})
    url = Url(dump_only=True)
    created_at = DateTime(dump_only=True)
    updated_at = DateTime(dump_only=True)

    @post_load
    def _empty_header_is_none(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return data | ({"auth_header": None} if data.get("auth_header") == "" else {})


class WebhookWithExtrasSchema(OptionsSchema, WebhookSchema):
    """With what is not API v3's: accepted on every write, returned where `?include=extras` asks for it.

    `rate_limit` is in requests per second. `signing` "none" leaves the headers of Standard Webhooks out. `ordering`
    "resource" sends deliveries of one resource one at a time, in the order of their events. With `superseding`, a
    pending update of a resource gives way to a newer one. `deactivated_reason`: why we, not its owner, disabled it.
    `public_key` verifies signatures of the scheme `v1a`; `jwks_path`, below the dispatcher's URL, has it as a JSON Web
    Key Set. What the sender goes by is in `OptionsSchema`.
    """

    description = fields.String(allow_none=True, validate=_check_description, error_messages={"invalid": INVALID})
    tags = labels.tags()
    metadata = labels.metadata()
    payload_version = _one_of("v3", "legacy")
    rate_limit = rate_per_second()
    signing = _one_of("standard", "none")
    ordering = _one_of("none", "resource")
    superseding = flag()
    deactivated_at = DateTime(dump_only=True, allow_none=True)
    deactivated_reason = fields.String(dump_only=True, allow_none=True)
    public_key = fields.String(dump_only=True, allow_none=True)
    jwks_path = fields.String(dump_only=True, allow_none=True)


def _subscriptions(check: Callable[[Sequence[str]], None] = check_subscriptions, **options: Any) -> Names:
    return Names(required=True, validate=check, error_messages={"required": EMPTY, "null": EMPTY}, **options)


class FilteredWebhookSchema(WebhookWithExtrasSchema):
    """With wildcards in `events`, a filter on bodies (docs/guides/filters.md), and the company's own id, `uid`.

    And with URLs of brokers, queues and buckets, for which `destination` and `credentials` are
    (docs/guides/destinations.md). Where `delivery` is "poll", deliveries are kept until they are fetched; then
    `webhook_url` is left out, and shown as `poll:`. API v3 has none of these.
    """

    webhook_url = _url(_check_any_url, required=False)
    delivery = _one_of("push", "poll")
    destination = DestinationSettings()
    credentials = Credentials()
    uid = fields.String(
        allow_none=True,
        validate=Regexp(EXTERNAL_ID, error=_NOT_AN_ID),
        error_messages={"invalid": _NOT_AN_ID},
    )
    events = _subscriptions()
    filter = fields.Dict(allow_none=True, error_messages={"invalid": "must be a JSON object, or null"})

    @validates_schema
    def _check_destination(self, data: Mapping[str, Any], **_: Any) -> None:
        check_destination(data)

    @post_load
    def _destination_of_others(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """That it is not null tells whoever sends that the URL is not HTTP's."""
        return data | ({"destination": data.get("destination") or {}} if kind_of(data.get("webhook_url")) else {})


class ClientWebhookSchema(FilteredWebhookSchema):
    """As a client of API v3 may write it; a filter that was set otherwise stays."""

    webhook_url = _url(check_url)
    events = _subscriptions(check_events)


class FilterPreviewSchema(WireSchema):
    """A filter to try out on an account's last events with these names, and how many of them it matches."""

    filter = fields.Dict(required=True, load_only=True, error_messages={"invalid": "must be a JSON object"})
    events = _subscriptions(load_only=True)
    matched = Integer(dump_only=True)
    of = Integer(dump_only=True)
    event_ids = fields.List(fields.Integer(), dump_only=True)


class WebhookChangesSchema(WebhookWithExtrasSchema):
    """For the documentation of PATCH: the same, loaded with `partial=True`."""
