"""Signing secrets of webhooks: read, rotated, and encrypted with the newest key; for every front door."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from dispatcher.model.webhook import SigningSecret
from dispatcher.schemas.api.signing import RotationSchema
from dispatcher.storage.admin import alert_channels, audit, webhooks
from dispatcher.storage.engine import Connection, Storage

_rotation = RotationSchema()


def show(storage: Storage, account_id: int, webhook_id: int, *, client_id: int | None = None) -> SigningSecret:
    """The secret that signs; raises WebhookNotFound. With `client_id`, only of that client's webhook."""

    def read(connection: Connection) -> SigningSecret:
        secret = webhooks.signing_secret(connection, storage.secrets, account_id, webhook_id, client_id=client_id)
        audit.record(connection, "webhook.secret_shown", webhook_id, account_id=account_id)
        return secret

    return storage.transact(read)


def rotate(
    storage: Storage,
    account_id: int,
    webhook_id: int,
    options: Mapping[str, Any] | None = None,
    *,
    client_id: int | None = None,
) -> SigningSecret:
    """A new secret; the one before signs too for a day, or as long as the options say (dispatcher.schemas.api.signing).

    Raises what `show` raises, and marshmallow's ValidationError.
    """
    valid_for = timedelta(seconds=_rotation.load(dict(options or {}))["previous_valid_for_s"])

    def store(connection: Connection) -> SigningSecret:
        secret = webhooks.rotate_signing_secret(
            connection, storage.secrets, account_id, webhook_id, valid_for, client_id=client_id
        )
        audit.record(connection, "webhook.secret_rotated", webhook_id, account_id=account_id)
        return secret

    return storage.transact(store)


def verification_keys(storage: Storage, webhook_id: int | None) -> list[bytes]:
    """The raw keys that verify its signatures now; empty where there is no such webhook.

    None: those of the newest webhooks, for a payload whose envelope does not say whose it is.
    """
    return storage.read(webhooks.signing_keys, storage.secrets, webhook_id)


def encrypt_with_newest_key(storage: Storage) -> int:
    """Encrypts the secrets of all webhooks again, 500 in a transaction; returns how many webhooks there are.

    Those of the few channels of alerts come first.
    """
    storage.transact(alert_channels.rotate_secrets, storage.secrets)
    after = count = 0
    while True:
        done, after = storage.transact(webhooks.rotate_secrets, storage.secrets, after)
        count += done
        if not done:
            return count
