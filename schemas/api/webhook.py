"""The webhook object (API v3, Webhooks): what is returned, and what may be written, with API v3's messages.

What a webhook has beyond API v3 is in a schema of its own, so that the documented object stays exactly that.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, post_load, pre_load

from schemas.wire.catalogue import EVENT_TYPES, OPERATIONAL_EVENTS
from schemas.wire.choices import allowed, no_such_event, not_among
from schemas.wire.fields import UNSENDABLE, Boolean, DateTime, Integer, Url, Uuid, WireSchema

EMPTY, BLANK, INVALID = "can't be empty", "can't be blank", "is invalid"
NOT_BOOLEAN = allowed(("true", "false"))
NOT_A_NUMBER, NOT_POSITIVE, TOO_HIGH = (
    "is not a number",
    "must be greater than 0",
    "must be less than or equal to 100000",
)
TOO_LONG = "is too long (maximum is 1000 characters)"

# One line of printable ASCII without blanks at the ends: what may stand in a header as it is (RFC 9110, 5.5).
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?\Z")
_BLANK_OR_CONTROL = re.compile(r"[\s\x00-\x20\x7f-\xa0\ud800-\udfff\\]")  # \s: the blanks of all scripts
_URL_LIMIT = 2_048
_HEADER_LIMIT = 4_096
_UNKNOWN_SHOWN = 100
"""Names that no event has, of which each is told."""
_DESCRIPTION_LIMIT = 1_000
_RATE_LIMIT_MAX = 100_000


def _check_url(url: str) -> None:
    """Absolute, http or https, with a host and a valid port, without credentials.

    Whether its address is public is not asked here but when it is connected to.
    """
    try:
        parts = urlsplit(url)
        fine = (
            parts.scheme.lower() in ("http", "https")
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
            and "@" not in parts.netloc
        )
    except ValueError:  # a port that is no number, a broken IPv6 address
        fine = False
    if not fine or len(url) > _URL_LIMIT or _BLANK_OR_CONTROL.search(url):
        raise ValidationError(INVALID)


def _check_auth_header(value: str | None) -> None:
    if value is not None and (len(value) > _HEADER_LIMIT or not _HEADER_VALUE.match(value)):
        raise ValidationError(INVALID)


def _check_events(events: list[str]) -> None:
    if not events:
        raise ValidationError(EMPTY)
    check_event_names(events)


def check_event_names(names: Sequence[str]) -> None:
    """Raises a ValidationError that tells each name that no event has, and the nearest that there are."""
    known = (*EVENT_TYPES, *sorted(OPERATIONAL_EVENTS))
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if unknown:
        raise ValidationError([no_such_event(name, known) for name in unknown[:_UNKNOWN_SHOWN]])


def check_rate_limit(rate_limit: int | None) -> None:
    """Raises a ValidationError unless it is a number per second from 1 to 100,000, or None."""
    if rate_limit is not None and rate_limit < 1:
        raise ValidationError(NOT_POSITIVE)
    if rate_limit is not None and rate_limit > _RATE_LIMIT_MAX:
        raise ValidationError(TOO_HIGH)


def _check_description(description: str | None) -> None:
    if description is not None and UNSENDABLE.search(description):
        raise ValidationError(INVALID)
    if description is not None and len(description) > _DESCRIPTION_LIMIT:
        raise ValidationError(TOO_LONG)


def _check_among(*words: str) -> Callable[[str], None]:
    def check(word: str) -> None:
        if word not in words:
            raise ValidationError(not_among(word, words))

    return check


def _one_of(*words: str) -> fields.String:
    text = allowed(words)
    return fields.String(validate=_check_among(*words), error_messages={"invalid": text, "null": text})


class WebhookSchema(WireSchema):
    """A webhook. Writable are `webhook_url`, `auth_header`, `active`, `events`; for PATCH load with `partial=True`."""

    id = Integer(dump_only=True)
    failed_deliveries_uuid = Uuid(dump_only=True)
    webhook_url = fields.String(
        required=True, validate=_check_url, error_messages={"required": BLANK, "null": BLANK, "invalid": INVALID}
    )
    auth_header = fields.String(allow_none=True, validate=_check_auth_header, error_messages={"invalid": INVALID})
    active = Boolean(error_messages={"null": NOT_BOOLEAN})
    events = fields.List(
        fields.String(error_messages={"invalid": INVALID, "null": INVALID}),
        required=True,
        validate=_check_events,
        error_messages={"required": EMPTY, "null": EMPTY, "invalid": INVALID},
    )
    url = Url(dump_only=True)
    created_at = DateTime(dump_only=True)
    updated_at = DateTime(dump_only=True)

    @pre_load
    def _blank_is_missing(self, data: Any, **_: Any) -> Any:
        """A blank URL is reported as blank, an empty auth header means none, an object is no list of events."""
        if not isinstance(data, Mapping):
            return data  # what is no object is refused by the load
        changed = dict(data)
        if isinstance(changed.get("webhook_url"), str) and not changed["webhook_url"].strip():
            changed["webhook_url"] = None
        if changed.get("auth_header") == "":
            changed["auth_header"] = None
        if isinstance(changed.get("events"), Mapping):  # marshmallow would take its keys
            changed["events"] = ""
        return changed

    @post_load
    def _without_repetitions(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        if "events" in data:
            data["events"] = list(dict.fromkeys(data["events"]))
        return data


class WebhookWithExtrasSchema(WebhookSchema):
    """With what is not API v3's: accepted on every write, returned where `?include=extras` asks for it.

    `rate_limit` is in requests per second. `signing` "none" leaves the headers of Standard Webhooks out. `ordering`
    "resource" sends deliveries of one resource one at a time, in the order of their events. With `superseding`, a
    waiting update of a resource gives way to a newer one. `deactivated_reason`: why we, not its owner, switched it off.
    """

    description = fields.String(allow_none=True, validate=_check_description, error_messages={"invalid": INVALID})
    payload_version = _one_of("v3", "legacy")
    rate_limit = fields.Integer(
        allow_none=True, strict=True, validate=check_rate_limit, error_messages={"invalid": NOT_A_NUMBER}
    )
    signing = _one_of("standard", "none")
    ordering = _one_of("none", "resource")
    superseding = Boolean(error_messages={"null": NOT_BOOLEAN})
    deactivated_at = DateTime(dump_only=True, allow_none=True)
    deactivated_reason = fields.String(dump_only=True, allow_none=True)


class WebhookChangesSchema(WebhookWithExtrasSchema):
    """For the documentation of PATCH: the same, loaded with `partial=True`."""
