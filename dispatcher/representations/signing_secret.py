"""A signing secret as it is shown."""

from typing import Any

from dispatcher.model.webhook import SigningSecret
from schemas.api.signing import SigningSecretSchema
from schemas.wire.fields import written_in

_schema = SigningSecretSchema()


def shown_signing_secret(secret: SigningSecret, time_zone: str) -> dict[str, Any]:
    """The secret, and until when the one before it signs too; datetimes in `time_zone`."""
    with written_in(time_zone):
        return dict(
            _schema.dump({"signing_secret": secret.secret, "previous_valid_until": secret.previous_valid_until})
        )
