"""Clients: programs that may call the API, each with an id and a secret. Never deleted, only revoked."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dispatcher.errors import ClientNotFound
from dispatcher.storage.engine import Connection, one, record, rows
from dispatcher.storage.secrets import hash_of, new_secret

SCOPES = ("webhooks", "events:read", "events:write", "deliveries")
"""What a client may be allowed; all of it by default."""


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


_COLUMNS = "c.id, c.client_id, c.account_id, c.name, c.redirect_uris, c.scopes, c.created_at, c.revoked_at"

_CREATE = f"""
insert into dispatcher.clients as c (account_id, client_id, secret_hash, name, redirect_uris, scopes)
values (%(account_id)s, %(client_id)s, %(secret_hash)s, %(name)s, %(redirect_uris)s, %(scopes)s) returning {_COLUMNS}
"""

_LIVE = (
    f"select {_COLUMNS}, c.secret_hash from dispatcher.clients c"
    f" where c.client_id = %(client_id)s and c.revoked_at is null"
)

_ALL = f"""
select {_COLUMNS}, a.slug from dispatcher.clients c join dispatcher.accounts a on a.id = c.account_id
where %(slug)s::text is null or a.slug = %(slug)s order by c.id
"""

_HOLD = "select from dispatcher.clients where id = %(id)s and revoked_at is null for share"

_REVOKE = """
update dispatcher.clients set revoked_at = now() where client_id = %(client_id)s and revoked_at is null returning id
"""

_REVOKE_TOKENS = """
update dispatcher.tokens set revoked_at = dispatcher.now() where client_id = %(id)s and revoked_at is null
"""


def create(
    connection: Connection, account_id: int, name: str, redirect_uris: Sequence[str], scopes: Sequence[str]
) -> tuple[Client, str]:
    """A new client and its secret, which is stored nowhere and seen only now."""
    secret = new_secret(40)
    stored = rows(
        connection,
        _CREATE,
        account_id=account_id,
        client_id=new_secret(40),
        secret_hash=hash_of(secret),
        name=name,
        redirect_uris=list(redirect_uris),
        scopes=list(scopes),
    )
    return record(Client, stored[0]), secret


def find(connection: Connection, client_id: str) -> Client | None:
    """The live client of that id; None for what cannot be one."""
    return next((record(Client, columns) for *columns, _ in rows(connection, _LIVE, client_id=client_id)), None)


def authenticate(connection: Connection, client_id: str, secret: str) -> Client | None:
    """The live client, if the secret is its own."""
    for *columns, secret_hash in rows(connection, _LIVE, client_id=client_id):
        if hmac.compare_digest(bytes(secret_hash), hash_of(secret)):
            return record(Client, columns)
    return None


def hold(connection: Connection, id_: int) -> None:
    """Keeps the client from being revoked until the transaction ends; raises ClientNotFound where it was already."""
    one(connection, ClientNotFound(str(id_)), _HOLD, id=id_)


def list_all(connection: Connection, slug: str | None = None) -> list[tuple[Client, str]]:
    """Every client with its account's slug, revoked ones too; only that account's where a slug is given."""
    return [(record(Client, columns), account) for *columns, account in rows(connection, _ALL, slug=slug)]


def revoke(connection: Connection, client_id: str) -> int:
    """Ends the client and its tokens, and returns its row's id; raises ClientNotFound, also where it was revoked."""
    id_: int = one(connection, ClientNotFound(client_id), _REVOKE, client_id=client_id)[0]
    rows(connection, _REVOKE_TOKENS, id=id_)
    return id_
