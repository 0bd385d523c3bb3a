"""Service tokens as operators make, rotate and revoke them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from dispatcher.access.clients import check_name, checked_scopes
from dispatcher.storage.admin import service_tokens
from dispatcher.storage.admin.service_tokens import NO_LIMITS, SCOPES, ServiceToken
from dispatcher.storage.engine import Storage

OVERLAP = timedelta(days=1)
"""How long a token that was rotated goes on, by default."""


def create(
    storage: Storage,
    name: str,
    scopes: Sequence[str],
    lifetime: timedelta | None,
    limits: Mapping[str, int | None] = NO_LIMITS,
) -> tuple[ServiceToken, str]:
    """A new token and its text, shown only now; `lifetime` None: until it is revoked. Raises InvalidClientAttribute."""
    check_name(name)
    return storage.transact(service_tokens.create, name, checked_scopes(scopes, SCOPES), lifetime, limits)


def edit(storage: Storage, id_: int, limits: Mapping[str, int | None]) -> ServiceToken:
    """The token with those limits that are given; None: it has none. Raises ServiceTokenNotFound."""
    return storage.transact(service_tokens.edit, id_, limits)


def list_all(storage: Storage) -> list[ServiceToken]:
    """Every token, also those that have ended."""
    return storage.read(service_tokens.list_all)


def rotate(storage: Storage, id_: int, overlap: timedelta = OVERLAP) -> tuple[ServiceToken, str]:
    """A new token with the same name, scopes, limits and lifetime; the old one ends after `overlap`.

    Raises ServiceTokenNotFound.
    """
    return storage.transact(service_tokens.rotate, id_, overlap)


def revoke(storage: Storage, id_: int) -> None:
    """Ends the token: at once in Postgres, within 50 ms in each web process. Raises ServiceTokenNotFound."""
    storage.transact(service_tokens.revoke, id_)
