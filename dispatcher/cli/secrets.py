"""`dispatcher secrets`: the keys that encrypt signing secrets and auth headers."""

import click
from cryptography.fernet import Fernet

from dispatcher.current import current_container
from dispatcher.webhooks.secrets import encrypt_with_newest_key


@click.group()
def secrets() -> None:
    """Manage the keys in SECRET_KEYS."""


@secrets.command()
def generate() -> None:
    """Print a new key for SECRET_KEYS."""
    print(Fernet.generate_key().decode())


@secrets.command()
def rotate() -> None:
    """Encrypt every stored secret with the newest key in SECRET_KEYS; older keys can be removed afterwards."""
    count = encrypt_with_newest_key(current_container().storage)
    print(f"secrets of {count} webhooks encrypted with the newest key")
