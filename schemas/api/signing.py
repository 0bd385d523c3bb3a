"""A webhook's signing secret, as Standard Webhooks writes it, and its rotation."""

from marshmallow.validate import Range

from dispatcher.schemas.wire.fields import DateTime, Integer, String, WireSchema

DAY_S = 86_400


class RotationSchema(WireSchema):
    """What a rotation may say: for how many seconds the secret before it signs too, up to 7 days."""

    previous_valid_for_s = Integer(
        load_default=DAY_S, validate=Range(0, 7 * DAY_S, error="must be between {min} and {max}")
    )


class SigningSecretSchema(WireSchema):
    """The secret that signs. Until `previous_valid_until`, unless that is null, the one before it signs too.

    `public_key` is of the pair that signs with ed25519, null where there is none.
    """

    signing_secret = String(required=True, attribute="secret")
    public_key = String(required=True, allow_none=True)
    previous_valid_until = DateTime(required=True, allow_none=True)
