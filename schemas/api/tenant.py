"""What /api/v1 shows and takes of accounts, users and clients."""

import re
from typing import Any

from marshmallow import ValidationError, fields
from marshmallow.validate import Length, Range, Regexp

from dispatcher.schemas.api.portal import PortalSchema
from dispatcher.schemas.api.webhook import FilteredWebhookSchema
from dispatcher.schemas.wire.fields import UNSENDABLE, Boolean, DateTime, Integer, WireSchema

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,64}@[^@\s\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}\Z")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,320}\Z")

_NO_PASSWORD = "must have 8 to 1,024 characters"  # noqa: S105 - a message


def _limit(most: int) -> fields.Integer:
    text = f"must be between 1 and {most:,}, or null for the default"
    messages: dict[str, Any] = {"invalid": text}
    return fields.Integer(allow_none=True, strict=True, validate=Range(1, most, error=text), error_messages=messages)


def _text(pattern: re.Pattern[str], error: str, **options: Any) -> fields.String:
    return fields.String(
        validate=Regexp(pattern, error=error), error_messages={"invalid": error, "null": error}, **options
    )


def _name(**options: Any) -> fields.String:
    return _text(_PRINTABLE, "must have 1 to 320 printable characters", **options)


def _check_password(password: str) -> None:
    if UNSENDABLE.search(password):
        raise ValidationError(_NO_PASSWORD)


def _check_permission(permission: str) -> None:
    """The owner comes with the account; operators have none."""
    if permission not in ("write", "read"):
        raise ValidationError("must be `write` or `read`")


class TenantSchema(WireSchema):
    """An account. Where a limit is null the setting applies; limits per minute are for each of its clients."""

    external_id = fields.String(dump_only=True)
    slug = _text(_SLUG, "must have 1 to 63 lower-case letters, digits, - or _")
    time_zone = _text(_PRINTABLE, "must be the name of a time zone, such as Europe/Prague")
    owner_email = _text(_EMAIL, "must be an e-mail address")
    owner_name = _name()
    requests_per_minute = _limit(10_000_000)
    emits_per_minute = _limit(10_000_000)
    retention_days = _limit(3_650)
    portal = fields.Nested(PortalSchema)
    created_at = DateTime(dump_only=True)
    updated_at = DateTime(dump_only=True)


class TenantUserSchema(WireSchema):
    """Somebody who may sign in to the console. Without a password they cannot, until one is set."""

    id = Integer(dump_only=True)
    email = _text(_EMAIL, "must be an e-mail address", required=True)
    full_name = _name()
    permission = fields.String(load_default="read", validate=_check_permission)
    password = fields.String(load_only=True, validate=[Length(8, 1_024, error=_NO_PASSWORD), _check_password])


class TenantClientSchema(WireSchema):
    """A client of API v3."""

    client_id = fields.String(dump_only=True)
    name = _name(required=True)
    redirect_uris = fields.List(fields.String(), load_default=list)
    scopes = fields.List(fields.String())
    created_at = DateTime(dump_only=True)
    revoked_at = DateTime(dump_only=True, allow_none=True)


class NewTenantClientSchema(TenantClientSchema):
    """A new client, with its secret, which is not shown again."""

    client_secret = fields.String(dump_only=True)


class TenantWebhookSchema(FilteredWebhookSchema):
    """A webhook, whoever created it."""

    class Meta(FilteredWebhookSchema.Meta):
        """Without what is API v3's own."""

        exclude = ("url", "failed_deliveries_uuid")


class TenantWebhookChangesSchema(TenantWebhookSchema):
    """For the documentation of PATCH: the same, loaded with `partial=True`."""


class NewTenantWebhookSchema(TenantWebhookSchema):
    """A new webhook, with the secret that signs its requests."""

    signing_secret = fields.String(dump_only=True)


class ErasedSchema(WireSchema):
    """What was deleted of an account so far. `complete` false: workers go on with the rest."""

    external_id = fields.String(required=True)
    complete = Boolean(required=True)
    deleted = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


class ProblemFieldSchema(WireSchema):
    """What is wrong with one attribute."""

    field = fields.String(required=True)
    detail = fields.String(required=True)


class ProblemSchema(WireSchema):
    """An error (RFC 9457). `code` is for programs; `errors` names attributes where these are at fault."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    code = fields.String(required=True)
    detail = fields.String(required=True)
    errors = fields.List(fields.Nested(ProblemFieldSchema))
