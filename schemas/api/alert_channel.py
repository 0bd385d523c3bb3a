"""Channels of alerts as /api/v1, `apply` and the console show and take them."""

from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import ContainsOnly, Length, OneOf, Range, Regexp

from dispatcher.schemas.api.addresses import EMAIL
from dispatcher.schemas.api.urls import check_url
from dispatcher.schemas.api.webhook import Names
from dispatcher.schemas.wire.choices import allowed
from dispatcher.schemas.wire.fields import Boolean, DateTime, Integer, WireSchema

TYPES = ("email", "slack", "webhook")
KINDS = ("failing", "disabled", "recovered", "quota_reached", "backlog", "outbox")
"""The last two are for operators' channels."""
WEEK_MINUTES = 10_080
NAME_LIMIT = 100

_NAME = f"must have 1 to {NAME_LIMIT} printable characters"
_MINUTES = f"must be between 1 and {WEEK_MINUTES:,}"


class AlertChannelSchema(WireSchema):
    """Somebody who is notified. `target`: an e-mail address, or a URL, of which only the host is shown again.

    `failing_after_minutes`: how long nothing but failures make a webhook count as failing. `last_error`: why the
    last message was not taken, null where it was.
    """

    id = Integer(dump_only=True)
    name = fields.String(
        required=True,
        validate=[
            Length(1, NAME_LIMIT, error=_NAME),
            Regexp(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*\Z", error=_NAME),
        ],
        error_messages={"invalid": _NAME, "null": _NAME},
    )
    type = fields.String(
        required=True,
        validate=OneOf(TYPES, error=allowed(TYPES)),
        error_messages={"invalid": allowed(TYPES), "null": allowed(TYPES)},
    )
    target = fields.String(required=True, attribute="shown_target", data_key="target")
    alerts = Names(validate=[Length(1, error="can't be empty"), ContainsOnly(KINDS, error=allowed(KINDS))])
    failing_after_minutes = fields.Integer(
        strict=True,
        validate=Range(1, WEEK_MINUTES, error=_MINUTES),
        error_messages={"invalid": _MINUTES, "null": _MINUTES},
    )
    active = Boolean(error_messages={"null": allowed(("true", "false"))})
    last_sent_at = DateTime(dump_only=True, allow_none=True)
    last_error = fields.String(dump_only=True, allow_none=True)
    created_at = DateTime(dump_only=True)
    updated_at = DateTime(dump_only=True)

    @validates_schema
    def _check_target(self, data: dict[str, Any], **_: Any) -> None:
        """Once its type is known."""
        if data["type"] == "email" and not EMAIL.match(data["shown_target"]):
            raise ValidationError("must be an e-mail address", "target")
        if data["type"] != "email":
            try:
                check_url(data["shown_target"])
            except ValidationError as error:
                raise ValidationError(error.messages, "target") from None


class AlertChannelChangesSchema(AlertChannelSchema):
    """For the documentation of PATCH."""


class NewAlertChannelSchema(AlertChannelSchema):
    """A new channel. `signing_secret`, of a webhook, signs its messages (Standard Webhooks), and is shown only now."""

    signing_secret = fields.String(dump_only=True, allow_none=True)


class AlertTestSchema(WireSchema):
    """What became of a test. `error`: why it was not taken, null where it was."""

    sent = Boolean(required=True)
    error = fields.String(required=True, allow_none=True)
