"""Service tokens: the company's own programs, which act for all accounts. Only hashes are stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatcher.errors import ServiceTokenNotFound
from dispatcher.storage.engine import Connection, one, record, records, rows
from dispatcher.storage.secrets import hash_of, new_secret

PREFIX = "whd_"
"""How every service token begins: scanners of repositories and logs find `whd_[0-9a-f]{64}`."""
_RESOURCES = ("accounts", "users", "clients", "webhooks", "deliveries", "catalogue", "portal", "alerts")
FULL = (*_RESOURCES, "erasures", "events:read", "events:write", "audit:read", "personal")
"""All that a service token may be allowed. `clients` and `portal` make credentials with which an account's data
are read.

`personal` shows personal fields of payloads.
"""
READ_ONLY = (*(f"{name}:read" for name in _RESOURCES), "erasures:read", "events:read", "audit:read")
"""All that it may be allowed to read; signing secrets and personal fields are not among it."""
SCOPES = (*FULL, *(scope for scope in READ_ONLY if scope not in FULL))
"""What there is: `webhooks` has `webhooks:read` in it."""
_LENGTH = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceToken:
    """A token without its text. `expires_at` None: it lives until it is revoked."""

    id: int
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """To a minute."""
    requests_per_minute: int | None
    """None: as many as it likes; emits are counted apart."""
    emits_per_minute: int | None


LIMITS = ("requests_per_minute", "emits_per_minute")
NO_LIMITS: Mapping[str, int | None] = dict.fromkeys(LIMITS)

_COLUMNS = """t.id, t.name, t.scopes, t.created_at, t.expires_at, t.revoked_at, t.last_used_at, t.requests_per_minute,
    t.emits_per_minute"""
_LIVE = "t.revoked_at is null and (t.expires_at is null or t.expires_at > dispatcher.now())"

_CREATE = f"""
insert into dispatcher.service_tokens as t (hash, name, scopes, expires_at, requests_per_minute, emits_per_minute)
values (%(hash)s, %(name)s, %(scopes)s, dispatcher.now() + %(lifetime)s::interval, %(requests_per_minute)s,
    %(emits_per_minute)s) returning {_COLUMNS}
"""

_EDIT = f"""
update dispatcher.service_tokens t set requests_per_minute = %(requests_per_minute)s,
    emits_per_minute = %(emits_per_minute)s
where id = %(id)s and {_LIVE} returning {_COLUMNS}
"""

_FIND = f"select {_COLUMNS} from dispatcher.service_tokens t where t.id = %(id)s and {_LIVE}"

_MARK_USED = "update dispatcher.service_tokens set last_used_at = dispatcher.now() where id = any (%(ids)s::int[])"

# Index: service_tokens_hash_is_unique.
_CALLERS = (
    f"select t.hash, {_COLUMNS} from dispatcher.service_tokens t where t.hash = any (%(hashes)s::bytea[]) and {_LIVE}"
)

_ALL = f"select {_COLUMNS} from dispatcher.service_tokens t order by t.id"

_REVOKE = """
update dispatcher.service_tokens set revoked_at = dispatcher.now() where id = %(id)s and revoked_at is null returning id
"""

# The new one lives as long as the old one was to live. Of two who rotate at once the second waits, and finds it ended.
_ROTATE = f"""
with old as (
    update dispatcher.service_tokens t set expires_at = least(t.expires_at, dispatcher.now() + %(overlap)s::interval),
        rotated_at = dispatcher.now()
    where t.id = %(id)s and t.rotated_at is null and {_LIVE}
        returning t.name, t.scopes, t.created_at, t.requests_per_minute, t.emits_per_minute, (
            select b.expires_at from dispatcher.service_tokens b where b.id = t.id) as expires_at)
insert into dispatcher.service_tokens as t (hash, name, scopes, expires_at, requests_per_minute, emits_per_minute)
select %(hash)s, name, scopes, dispatcher.now() + (expires_at - created_at), requests_per_minute, emits_per_minute
from old returning {_COLUMNS}
"""


def create(
    connection: Connection,
    name: str,
    scopes: Sequence[str],
    lifetime: timedelta | None,
    limits: Mapping[str, int | None] = NO_LIMITS,
) -> tuple[ServiceToken, str]:
    """A new token and its text, which is seen only now; `limits`: all of LIMITS."""
    token = _new()
    values = {"name": name, "scopes": list(scopes), "lifetime": lifetime, **limits}
    return record(ServiceToken, rows(connection, _CREATE, hash=hash_of(token), **values)[0]), token


def edit(connection: Connection, id_: int, limits: Mapping[str, int | None]) -> ServiceToken:
    """Stores those of LIMITS that are given; raises ServiceTokenNotFound."""
    missing = ServiceTokenNotFound(id_)
    before = record(ServiceToken, one(connection, missing, _FIND, id=id_))
    changed = {name: getattr(before, name) for name in LIMITS} | dict(limits)
    return record(ServiceToken, one(connection, missing, _EDIT, id=id_, **changed))


def mark_used(connection: Connection, ids: Sequence[int]) -> None:
    """They were used a moment ago."""
    rows(connection, _MARK_USED, ids=list(ids))


def live(connection: Connection, tokens: Sequence[str]) -> list[ServiceToken | None]:
    """Whose each of these texts is; None where it is unknown, expired or revoked."""
    hashes = [hash_of(token) for token in tokens]
    by_hash = {bytes(hash_): record(ServiceToken, row) for hash_, *row in rows(connection, _CALLERS, hashes=hashes)}
    return [by_hash.get(hash_) for hash_ in hashes]


def list_all(connection: Connection) -> list[ServiceToken]:
    """Every token, also those that have ended."""
    return records(connection, ServiceToken, _ALL)


def rotate(connection: Connection, id_: int, overlap: timedelta) -> tuple[ServiceToken, str]:
    """A new token in the place of a live one, which ends after `overlap`; raises ServiceTokenNotFound."""
    token = _new()
    row = one(connection, ServiceTokenNotFound(id_), _ROTATE, id=id_, hash=hash_of(token), overlap=overlap)
    return record(ServiceToken, row), token


def revoke(connection: Connection, id_: int) -> None:
    """Ends a token at once; raises ServiceTokenNotFound, also where it was revoked."""
    one(connection, ServiceTokenNotFound(id_), _REVOKE, id=id_)


def _new() -> str:
    return PREFIX + new_secret(_LENGTH)
