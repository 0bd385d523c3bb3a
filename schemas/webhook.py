"""The webhook object (API v3, Webhooks): what is returned, and what may be written, with API v3's messages."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, post_load, pre_load

from schemas.catalogue import EVENT_TYPES
from schemas.fields import Boolean, DateTime, Integer, Url, Uuid, WireSchema

EMPTY, BLANK, INVALID, NOT_IN_LIST = "can't be empty", "can't be blank", "is invalid", "is not included in the list"

# One line of printable ASCII without blanks at the ends: what may stand in a header as it is (RFC 9110, 5.5).
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?\Z")
_BLANK_OR_CONTROL = re.compile(r"[\s\x00-\x20\x7f-\xa0\ud800-\udfff\\]")  # \s: the blanks of all scripts
_URL_LIMIT = 2_048
_HEADER_LIMIT = 4_096


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
    if not set(events) <= EVENT_TYPES.keys():
        raise ValidationError(NOT_IN_LIST)


class WebhookSchema(WireSchema):
    """A webhook. Writable are `webhook_url`, `auth_header`, `active`, `events`; for PATCH load with `partial=True`."""

    id = Integer(dump_only=True)
    failed_deliveries_uuid = Uuid(dump_only=True)
    webhook_url = fields.String(
        required=True, validate=_check_url, error_messages={"required": BLANK, "null": BLANK, "invalid": INVALID}
    )
    auth_header = fields.String(allow_none=True, validate=_check_auth_header, error_messages={"invalid": INVALID})
    active = Boolean(error_messages={"null": NOT_IN_LIST})
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
        """A blank URL is reported as blank, an empty auth header means none."""
        if not isinstance(data, Mapping):
            return data  # what is no object is refused by the load
        changed = dict(data)
        if isinstance(changed.get("webhook_url"), str) and not changed["webhook_url"].strip():
            changed["webhook_url"] = None
        if changed.get("auth_header") == "":
            changed["auth_header"] = None
        return changed

    @post_load
    def _without_repetitions(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        if "events" in data:
            data["events"] = list(dict.fromkeys(data["events"]))
        return data
