"""Service tokens as operators make, rotate and revoke them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from dispatcher.access.clients import check_name, checked_scopes
from dispatcher.storage.admin import audit, service_tokens
from dispatcher.storage.admin.service_tokens import NO_LIMITS, SCOPES, ServiceToken
from dispatcher.storage.engine import Connection, Storage, transactional

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
    in_order = checked_scopes(scopes, SCOPES)

    def add(connection: Connection) -> tuple[ServiceToken, str]:
        created, text = service_tokens.create(connection, name, in_order, lifetime, limits)
        audit.record(connection, "service_token.created", created.id, name=name, scopes=in_order)
        return created, text

    return storage.transact(add)


@transactional
def edit(connection: Connection, id_: int, limits: Mapping[str, int | None]) -> ServiceToken:
    """The token with those limits that are given; None: it has none. Raises ServiceTokenNotFound."""
    edited = service_tokens.edit(connection, id_, limits)
    audit.record(connection, "service_token.updated", id_, **limits)
    return edited


def list_all(storage: Storage) -> list[ServiceToken]:
    """Every token, also those that have ended."""
    return storage.read(service_tokens.list_all)


@transactional
def rotate(connection: Connection, id_: int, overlap: timedelta = OVERLAP) -> tuple[ServiceToken, str]:
    """A new token with the same name, scopes, limits and lifetime; the old one ends after `overlap`.

    Raises ServiceTokenNotFound.
    """
    created, text = service_tokens.rotate(connection, id_, overlap)
    audit.record(connection, "service_token.rotated", id_, by=created.id)
    return created, text


@transactional
def revoke(connection: Connection, id_: int) -> None:
    """Ends the token: at once in Postgres, within 50 ms in each web process. Raises ServiceTokenNotFound."""
    service_tokens.revoke(connection, id_)
    audit.record(connection, "service_token.revoked", id_)
