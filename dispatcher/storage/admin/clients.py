"""Clients: programs that may call the API, each with an id and a secret. Never deleted, only revoked."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dispatcher.errors import ClientNotFound
from dispatcher.storage.engine import Connection, Row, rows
from dispatcher.storage.secrets import hash_of, new_secret

SCOPES = ("webhooks", "events:read", "events:write", "deliveries")
"""What a client may be allowed; all of it unless told otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """`redirect_uris`: empty where it speaks for its own account (client credentials), else where users are sent."""

    id: int
    client_id: str
    account_id: int
    name: str
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


COLUMNS = "c.id, c.client_id, c.account_id, c.name, c.redirect_uris, c.scopes, c.created_at, c.revoked_at"
COLUMN_COUNT = 8

_CREATE = f"""
insert into clients as c (account_id, client_id, secret_hash, name, redirect_uris, scopes)
values (%(account_id)s, %(client_id)s, %(secret_hash)s, %(name)s, %(redirect_uris)s, %(scopes)s) returning {COLUMNS}
"""

_LIVE = f"select {COLUMNS}, c.secret_hash from clients c where c.client_id = %(client_id)s and c.revoked_at is null"

_ALL = f"""
select {COLUMNS}, a.slug from clients c join accounts a on a.id = c.account_id
where %(slug)s::text is null or a.slug = %(slug)s order by c.id
"""

_HOLD = "select from clients where id = %(id)s and revoked_at is null for share"

_REVOKE = """
update clients set revoked_at = now() where client_id = %(client_id)s and revoked_at is null returning id
"""

_REVOKE_TOKENS = """
update tokens set revoked_at = dispatcher_now() where client_id = %(id)s and revoked_at is null
"""


def create(
    connection: Connection, account_id: int, name: str, redirect_uris: Sequence[str], scopes: Sequence[str]
) -> tuple[Client, str]:
    """A new client and its secret, which is stored nowhere and seen only now."""
    secret = new_secret(40)
    parameters = {
        "account_id": account_id,
        "client_id": new_secret(40),
        "secret_hash": hash_of(secret),
        "name": name,
        "redirect_uris": list(redirect_uris),
        "scopes": list(scopes),
    }
    return client(rows(connection, _CREATE, parameters)[0]), secret


def find(connection: Connection, client_id: str) -> Client | None:
    """The live client of that id; None for what cannot be one."""
    found = rows(connection, _LIVE, {"client_id": client_id})
    return client(found[0]) if found else None


def authenticate(connection: Connection, client_id: str, secret: str) -> Client | None:
    """The live client, if the secret is its own."""
    found = rows(connection, _LIVE, {"client_id": client_id})
    if not found or not hmac.compare_digest(bytes(found[0][COLUMN_COUNT]), hash_of(secret)):
        return None
    return client(found[0])


def hold(connection: Connection, id_: int) -> None:
    """Keeps the client from being revoked until the transaction ends; raises ClientNotFound where it was already."""
    if not rows(connection, _HOLD, {"id": id_}):
        raise ClientNotFound(str(id_))


def list_all(connection: Connection, slug: str | None = None) -> list[tuple[Client, str]]:
    """Every client with its account's slug, revoked ones too; only that account's where a slug is given."""
    return [(client(row), row[COLUMN_COUNT]) for row in rows(connection, _ALL, {"slug": slug})]


def revoke(connection: Connection, client_id: str) -> int:
    """Ends the client and its tokens, and returns its row's id; raises ClientNotFound, also where it was revoked."""
    found = rows(connection, _REVOKE, {"client_id": client_id})
    if not found:
        raise ClientNotFound(client_id)
    id_: int = found[0][0]
    rows(connection, _REVOKE_TOKENS, {"id": id_})
    return id_


def client(row: Row) -> Client:
    """A Client from COLUMNS."""
    return Client(
        id=row[0],
        client_id=row[1],
        account_id=row[2],
        name=row[3],
        redirect_uris=tuple(row[4]),
        scopes=tuple(row[5]),
        created_at=row[6],
        revoked_at=row[7],
    )
