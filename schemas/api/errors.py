"""The two bodies of API v3's error responses."""

from marshmallow import fields

from dispatcher.schemas.wire.fields import WireSchema


class FieldErrorsSchema(WireSchema):
    """Body A, for invalid data: `{"errors": {"events": ["can't be empty"]}}` (API v3, Errors)."""

    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()), required=True)


class ErrorSchema(WireSchema):
    """Body B, for all else: `{"error": "not_found", "error_description": "..."}` (API v3, Errors)."""

    error = fields.String(required=True)
    error_description = fields.String(required=True)
