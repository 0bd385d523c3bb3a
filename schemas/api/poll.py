"""What is fetched of a polled webhook, and acknowledged (docs/guides/poll.md)."""

from marshmallow import fields

from dispatcher.schemas.wire.fields import Boolean, DateTime, String, WireSchema

_NO_CURSOR = "must be a `cursor` of this webhook"


class FetchedDeliverySchema(WireSchema):
    """A delivery: `body` and `headers` are those of the request that would have been made, the signature among them.

    `id` is the same whenever it is fetched; `cursor` acknowledges it and all before it.
    """

    id = String(required=True)
    cursor = String(required=True)
    event_name = String(required=True)
    headers = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    body = String(required=True)


class PollSchema(WireSchema):
    """Deliveries in their order. `cursor`: to go on from, and to acknowledge; null where nothing was ever fetched.

    `has_more` false: there was nothing more a moment ago.
    """

    data = fields.List(fields.Nested(FetchedDeliverySchema), required=True)
    cursor = String(required=True, allow_none=True)
    has_more = Boolean(required=True)


class AcknowledgementSchema(WireSchema):
    """Up to which place deliveries were received."""

    cursor = fields.String(
        required=True, error_messages={"required": _NO_CURSOR, "null": _NO_CURSOR, "invalid": _NO_CURSOR}
    )


class AcknowledgedSchema(WireSchema):
    """How many deliveries are delivered by it that were not before."""

    acknowledged = fields.Integer(required=True)


class PollTokenSchema(WireSchema):
    """A poll token, shown only now. Until `previous_valid_until`, unless that is null, the one before goes on."""

    poll_token = String(required=True, attribute="token")
    previous_valid_until = DateTime(required=True, allow_none=True)
