"""What /api/v1 shows and takes of the portal: how it looks, who may frame it, and the links that open it."""

import re
from typing import Any

from marshmallow import fields
from marshmallow.validate import Length, OneOf, Range, Regexp

from dispatcher.schemas.wire.fields import DateTime, Integer, WireSchema

SESSION_S = 3_600
SESSION_MIN_S, SESSION_MAX_S = 60, 43_200

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PORT = r"(?::[0-9]{1,5})?"
_LOOPBACK = rf"http://(?:localhost|127\.0\.0\.1|\[::1\]){_PORT}"
_HOST = rf"https://{_LABEL}(?:\.{_LABEL}){{0,20}}{_PORT}"
# Nothing that could end a directive of the Content-Security-Policy, or an attribute of a page.
_ORIGIN = re.compile(rf"(?:{_LOOPBACK}|{_HOST}|https://\*(?:\.{_LABEL}){{2,20}}{_PORT})\Z")
_URL = re.compile(rf"(?:{_LOOPBACK}|{_HOST})(?:[/?#][A-Za-z0-9._~:/?#@!$&()*+,;=%\[\]-]{{0,1900}})?\Z")
_COLOUR = re.compile(r"#[0-9a-f]{6}\Z")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+\Z")


def _text(pattern: re.Pattern[str], error: str, most: int, **options: Any) -> fields.String:
    validate = [Length(1, most, error=error), Regexp(pattern, error=error)]
    return fields.String(validate=validate, error_messages={"invalid": error, "null": error}, **options)


def _url(about: str) -> fields.String:
    return _text(_URL, "must be an https URL", 2_000, metadata={"description": about})


class PortalThemeSchema(WireSchema):
    """How the portal looks. Colours are changed as far as text in them needs it to be readable."""

    company = _text(_PRINTABLE, "must have 1 to 60 printable characters", 60)
    logo_url = _url("An image beside the name")
    accent = _text(_COLOUR, "must be a colour such as #1f5f8b", 7)
    accent_dark = _text(_COLOUR, "must be a colour such as #8cc4ea", 7)


class PortalSchema(WireSchema):
    """The portal of an account. Without `frame_ancestors` no page may frame it."""

    frame_ancestors = fields.List(
        _text(_ORIGIN, "must be origins such as https://app.example.com or https://*.example.com", 255),
        validate=Length(max=20, error="must have at most 20 origins"),
    )
    theme = fields.Nested(PortalThemeSchema)


class PortalSessionSchema(WireSchema):
    """A link to the portal, or the session that it started. Until `started_at` is set `ends_at` is the link's end."""

    id = Integer(dump_only=True)
    role = fields.String(load_default="read", validate=OneOf(("read", "manage"), error="must be `read` or `manage`"))
    label = _text(_PRINTABLE, "must have 1 to 200 printable characters", 200, allow_none=True)
    return_url = _text(_URL, "must be an https URL", 2_000, allow_none=True)
    created_at = DateTime(dump_only=True)
    started_at = DateTime(dump_only=True, allow_none=True)
    ends_at = DateTime(dump_only=True)
    expires_in = fields.Integer(
        load_default=SESSION_S,
        load_only=True,
        strict=True,
        validate=Range(
            SESSION_MIN_S, SESSION_MAX_S, error=f"must be between {SESSION_MIN_S} and {SESSION_MAX_S:,} seconds"
        ),
        error_messages={"invalid": "must be a number of seconds"},
        metadata={"description": "Seconds that the session lasts, from the use of the link"},
    )
    theme = fields.Nested(PortalThemeSchema, load_only=True)


class NewPortalSessionSchema(PortalSessionSchema):
    """A new link, which is shown only now. It starts one session, within an hour."""

    url = fields.String(dump_only=True)
