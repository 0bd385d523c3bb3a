"""`dispatcher secrets`: the keys that encrypt signing secrets and auth headers."""

import click
from cryptography.fernet import Fernet

from dispatcher.container import current_container
from dispatcher.storage.admin import webhooks


@click.group()
def secrets() -> None:
    """Keys of SECRET_KEYS."""


@secrets.command()
def generate() -> None:
    """Print a new key for SECRET_KEYS."""
    print(Fernet.generate_key().decode())


@secrets.command()
def rotate() -> None:
    """Encrypt every stored secret with the newest key of SECRET_KEYS; then the older keys may go."""
    storage = current_container().storage
    after = count = 0
    while True:
        done, after = storage.transact(webhooks.rotate_secrets, secrets=storage.secrets, after=after)
        count += done
        if not done:
            break
    print(f"secrets of {count} webhooks are encrypted with the newest key")
