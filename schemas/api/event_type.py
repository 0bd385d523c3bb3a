"""What /api/v1 shows and takes of event types: those of catalogues, and those that are stored."""

import re
from typing import Any

from marshmallow import ValidationError, fields
from marshmallow.validate import Length, Range, Regexp

from dispatcher.schemas import json_patch, json_schema_body
from dispatcher.schemas.api.field_paths import FieldPaths
from dispatcher.schemas.wire.fields import UNSENDABLE, Boolean, DateTime, WireSchema

VERSION_LIMIT = 100
"""Each version hangs on the one before, in every process."""
RETENTION_LIMIT = 3_650

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,49}\Z")
_OBJECT: dict[str, Any] = {"invalid": "must be a JSON object"}


def _text(most: int, **options: Any) -> fields.String:
    length = Length(max=most, error=f"must have at most {most:,} characters")
    return fields.String(validate=[length, _check_sendable], **options)


def _check_sendable(text: str) -> None:
    if UNSENDABLE.search(text):
        raise ValidationError("is invalid")


def _key(**options: Any) -> fields.String:
    error = "must have 1 to 50 letters, digits or underscores"
    return fields.String(validate=Regexp(_KEY, error=error), error_messages={"invalid": error}, **options)


def _check_schema(schema: Any) -> None:
    if problems := json_schema_body.problems_of(schema):
        raise ValidationError(problems)


def _check_patch(patch: Any) -> None:
    if problems := json_patch.problems_of(patch):
        raise ValidationError(problems)


class NewEventTypeSchema(WireSchema):
    """An event type to store. `schema`: the JSON Schema (2020-12) of the body, `example`: one that keeps it.

    `resource`: the key of the body under which stands what the event is about, `resource_id`: the attribute that
    identifies one; without them deliveries can be neither ordered nor superseded. `supersedes`: a newer event of a
    resource makes a pending one superfluous. `downgrade`: a JSON Patch (RFC 6902) from a body of this version to one of
    the version before, for webhooks that are pinned to that. `subjects`: paths of the body where the ids of persons
    stand, by which their payloads are erased; `"x-personal": true` in the schema marks personal fields, which are
    masked for readers without that right. `payload_retention_days`: then payloads are erased; events stay.
    """

    version = fields.Integer(
        strict=True, validate=Range(1, VERSION_LIMIT, error=f"must be a number from 1 to {VERSION_LIMIT}")
    )
    schema = fields.Raw(validate=_check_schema)
    example = fields.Dict(allow_none=True, error_messages=_OBJECT)
    resource = _key(allow_none=True)
    resource_id = _key()
    description = _text(1_000)
    group = _text(100)
    supersedes = Boolean()
    deprecated = Boolean()
    downgrade = fields.Raw(allow_none=True, validate=_check_patch)
    subjects = FieldPaths()
    payload_retention_days = fields.Integer(
        strict=True,
        allow_none=True,
        validate=Range(1, RETENTION_LIMIT, error=f"must be a number of days from 1 to {RETENTION_LIMIT:,}"),
    )


class StoredEventTypeSchema(NewEventTypeSchema):
    """An event type. `catalogue`: `stored`, or the catalogue in code that it comes from, which cannot be changed here.

    `versions`: all that there are; the newest is the one that is emitted.
    """

    resource_id = _key(allow_none=True)
    name = fields.String(dump_only=True)
    catalogue = fields.String(dump_only=True)
    versions = fields.List(fields.Integer(), dump_only=True)
    deprecated_at = DateTime(dump_only=True, allow_none=True)
    created_at = DateTime(dump_only=True, allow_none=True)
    updated_at = DateTime(dump_only=True, allow_none=True)
