"""Tokens: authorization codes, access tokens and refresh tokens, of which only hashes are stored.

Lifetimes and lengths are API v3's: a code lives 5 minutes, an access token 2 hours, a refresh token until it is
revoked; each has 80 hexadecimal characters.
"""

import hmac
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

from dispatcher.model.account import Account
from dispatcher.storage.admin.clients import Client
from dispatcher.storage.admin.users import User
from dispatcher.storage.engine import Connection, Row, first, record, rows, scalar
from dispatcher.storage.secrets import hash_of, new_secret

ACCESS_LIFETIME = timedelta(hours=2)
_LIFETIMES = {"code": timedelta(minutes=5), "access": ACCESS_LIFETIME, "refresh": None}
_LENGTH = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who calls: a client, on behalf of a user, in the account that its token is for.

    What it may request or emit in a minute is the account's own limit; None: the setting's.
    """

    client: Client
    account: Account
    user: User
    scopes: frozenset[str]
    requests_per_minute: int | None = None
    emits_per_minute: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """What a token stands for: the client, for whom it acts, and what it may do. `id` is the row of one that exists."""

    client_id: int
    account_id: int
    user_id: int
    scopes: tuple[str, ...]
    redirect_uri: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    id: int | None = None


_GRANT = """client_id, account_id, user_id, scopes, redirect_uri, code_challenge, code_challenge_method, id"""

_INSERT = """
insert into dispatcher.tokens (hash, kind, client_id, account_id, user_id, scopes, parent_id, redirect_uri,
    code_challenge, code_challenge_method, expires_at)
values (%(hash)s, %(kind)s, %(client_id)s, %(account_id)s, %(user_id)s, %(scopes)s, %(parent_id)s, %(redirect_uri)s,
    %(code_challenge)s, %(code_challenge_method)s, dispatcher.now() + %(lifetime)s::interval)
returning id
"""

# Runs for each request of the API. A function, because Postgres keeps its plan: planning took five times the running.
_CALLERS = "select caller.* from unnest(%(hashes)s::bytea[]) hash, dispatcher.api_caller(hash) caller"

# One statement, so that of two who use a code at once only one gets it.
_USE_CODE = f"""
update dispatcher.tokens set used_at = dispatcher.now()
where hash = %(hash)s and kind = 'code' and client_id = %(client_id)s and used_at is null and revoked_at is null
    and expires_at > dispatcher.now()
returning {_GRANT}
"""

# Held until the access token is stored: who revokes it meanwhile waits for that, and ends the access token too.
_REFRESH_TOKEN = f"""
select {_GRANT} from dispatcher.tokens
where hash = %(hash)s and kind = 'refresh' and client_id = %(client_id)s and revoked_at is null for share
"""

_HOLD = "select from dispatcher.tokens where hash = %(hash)s for update"

# Down to the third generation: a code's refresh token, and its access tokens. Index: tokens_by_parent.
_REVOKE = """
with recursive family (id) as (
    select id from dispatcher.tokens where hash = %(hash)s and client_id = %(client_id)s and kind = any (%(kinds)s)
    union
    select t.id from dispatcher.tokens t join family f on t.parent_id = f.id)
update dispatcher.tokens set revoked_at = dispatcher.now()
where id = any (array (select id from family)) and revoked_at is null
returning id
"""

# A day later than needed, so that the second use of a code is seen as one. Index: tokens_by_expiry.
_PRUNE = "delete from dispatcher.tokens where expires_at < dispatcher.now() - interval '1 day' returning id"


def new_token() -> str:
    """A code, access token or refresh token that nobody has yet."""
    return new_secret(_LENGTH)


def add(connection: Connection, kind: str, token: str, grant: Grant, parent_id: int | None = None) -> int:
    """Stores a new token, which stands for `grant` and ends with its parent, if it has one; returns its row's id."""
    attributes = {**asdict(grant), "scopes": list(grant.scopes), "parent_id": parent_id}
    id_: int = scalar(connection, _INSERT, hash=hash_of(token), kind=kind, lifetime=_LIFETIMES[kind], **attributes)
    return id_


def callers(connection: Connection, tokens: Sequence[str]) -> list[Caller | None]:
    """Who calls with each of these access tokens; None where it is unknown, expired or revoked."""
    hashes = [hash_of(token) for token in tokens]
    callers = {bytes(row[0]): row for row in rows(connection, _CALLERS, hashes=list(set(hashes)))}
    return [_caller(callers.get(hash_), hash_) for hash_ in hashes]


def _caller(row: Row | None, hash_: bytes) -> Caller | None:
    if row is None or not hmac.compare_digest(bytes(row[0]), hash_):
        return None
    return Caller(
        client=record(Client, row[5:13]),
        account=record(Account, row[2:5]),
        user=record(User, row[13:19]),
        scopes=frozenset(row[1]),
        requests_per_minute=row[19],
        emits_per_minute=row[20],
    )


def use_code(connection: Connection, client_id: int, code: str) -> Grant | None:
    """What the code stands for, once; None where it is unknown, expired, used before, or another client's."""
    return first(connection, Grant, _USE_CODE, hash=hash_of(code), client_id=client_id)


def refresh_token(connection: Connection, client_id: int, token: str) -> Grant | None:
    """What the client's refresh token stands for; None where there is none, or it was revoked."""
    return first(connection, Grant, _REFRESH_TOKEN, hash=hash_of(token), client_id=client_id)


def revoke(connection: Connection, client_id: int, token: str, kinds: Sequence[str] = ("access", "refresh")) -> int:
    """Revokes the client's token and all that were issued from it; returns how many."""
    parameters = {"hash": hash_of(token), "client_id": client_id, "kinds": list(kinds)}
    rows(connection, _HOLD, **parameters)  # first, so that the next statement sees what is being issued from it
    return len(rows(connection, _REVOKE, **parameters))


def prune(connection: Connection) -> int:
    """Deletes what expired a day ago; returns how many that were."""
    return len(rows(connection, _PRUNE))
