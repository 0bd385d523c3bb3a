"""Who is signed in to the console. Of what the browser's cookie holds only the SHA-256 hash is stored."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dispatcher.model.account import Account
from dispatcher.storage.engine import Connection, Row, record, records, rows
from dispatcher.storage.secrets import hash_of

LIFETIME, VOUCHED_LIFETIME = timedelta(days=7), timedelta(hours=12)
"""Of a session, however much it is used; and where an identity provider vouched, which may have changed its mind."""
TOUCHED_EVERY = timedelta(minutes=1)
"""How often a session's last use is recorded at most."""
_AGENT_LENGTH = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Somebody who may sign in; `account` is None for operators, who see all."""

    user_id: int
    email: str
    full_name: str
    permission: str
    account: Account | None
    personal: bool | None = None
    """Whether they may see personal fields of payloads; None: as their permission says."""

    @property
    def sees_personal(self) -> bool:
        """By default who could have payloads sent to themselves, but not operators: those are others' customers."""
        return self.permission in ("owner", "write") if self.personal is None else self.personal

    @property
    def may_write(self) -> bool:
        """Whether they may change things, not only read."""
        return self.permission in ("owner", "write", "operator")

    def sees(self, slug: str) -> bool:
        """Whether that account is theirs to see."""
        return self.account is None or self.account.slug == slug


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A person who may sign in, and the hash of their password."""

    person: Person
    password_hash: str | None = field(repr=False)
    """None: an identity provider vouched for them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ActiveSession:
    """Whose session a cookie names; `stale`: its last use is to be recorded again."""

    id: int
    person: Person
    stale: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A session as its owner, or an operator, sees it. `address` and `agent` are of the browser that signed in."""

    id: int
    account_slug: str | None
    email: str
    created_at: datetime
    last_used_at: datetime
    address: str | None
    agent: str | None


_PERSON = "u.id, u.email, u.full_name, u.permission, a.id, a.slug, a.time_zone, u.sees_personal"

# Index: users_by_email; accounts' slug and users_are_one_owner_per_account. A slug has no @, so no name is both.
_CANDIDATES = f"""
select {_PERSON}, u.password_hash from dispatcher.users u left join dispatcher.accounts a on a.id = u.account_id
where u.password_hash is not null and lower(u.email) = lower(%(name)s)
    and (%(slug)s = '' or a.slug = %(slug)s) and (not %(owner)s or u.permission = 'owner')
union all
select {_PERSON}, u.password_hash from dispatcher.accounts a
    join dispatcher.users u on u.account_id = a.id and u.permission = 'owner'
where u.password_hash is not null and a.slug = %(name)s
limit 2
"""

_LIVE = "s.expires_at > now() and s.last_used_at > now() - %(idle)s"

# Index: sessions' key.
_FIND = f"""
select {_PERSON}, s.id, s.last_used_at < now() - %(every)s
from dispatcher.sessions s join dispatcher.users u on u.id = s.user_id
left join dispatcher.accounts a on a.id = u.account_id
where s.hash = %(hash)s and {_LIVE}
"""

# The lock waits for somebody who changes the password at this moment, and ends the sessions that there are.
_START = f"""
with ended as (delete from dispatcher.sessions s where not ({_LIVE}))
insert into dispatcher.sessions (hash, user_id, expires_at, address, agent)
select %(hash)s, u.id, now() + %(lifetime)s, %(address)s, %(agent)s
from dispatcher.users u
where u.id = %(user_id)s and (%(password_hash)s::text is null or u.password_hash = %(password_hash)s) for share of u
returning expires_at
"""

_TOUCH = (
    "update dispatcher.sessions set last_used_at = now() where id = %(id)s and last_used_at < now() - %(every)s"
    " returning id"
)

# Index: sessions_by_user.
_ALL = f"""
select s.id, a.slug, u.email, s.created_at, s.last_used_at, s.address, s.agent
from dispatcher.sessions s join dispatcher.users u on u.id = s.user_id
left join dispatcher.accounts a on a.id = u.account_id
where {_LIVE} and (%(user_id)s::int is null or s.user_id = %(user_id)s)
    and (%(slug)s::text is null or a.slug = %(slug)s)
order by s.last_used_at desc, s.id desc
"""


def candidate(connection: Connection, name: str, slug: str = "", *, owner: bool = False) -> Candidate | None:
    """Whom an e-mail (with `slug`, of that account) or an account's slug (its owner) means; `owner`: owners only.

    None where that is nobody, and where it is several: then the account must be named.
    """
    candidates = rows(connection, _CANDIDATES, name=name, slug=slug, owner=owner)
    return Candidate(person=_person(candidates[0]), password_hash=candidates[0][8]) if len(candidates) == 1 else None


def start(
    connection: Connection, of: Candidate, idle: timedelta, *, address: str | None = None, agent: str | None = None
) -> str | None:
    """A new session of somebody whose password was right: what the cookie is to hold. What has ended is deleted.

    None where the password has changed since `of` was found.
    """
    token = secrets.token_urlsafe(32)
    started = rows(
        connection,
        _START,
        hash=hash_of(token),
        user_id=of.person.user_id,
        password_hash=of.password_hash,
        lifetime=VOUCHED_LIFETIME if of.password_hash is None else LIFETIME,
        idle=idle,
        address=address,
        agent=agent and agent[:_AGENT_LENGTH],
    )
    return token if started else None


def find(connection: Connection, token: str, idle: timedelta) -> ActiveSession | None:
    """Whose session that is; None where it has ended, was not used for `idle`, or never was."""
    for row in rows(connection, _FIND, hash=hash_of(token), idle=idle, every=TOUCHED_EVERY):
        return ActiveSession(person=_person(row), id=row[8], stale=row[9])
    return None


def touch(connection: Connection, id_: int) -> None:
    """The session is used now."""
    rows(connection, _TOUCH, id=id_, every=TOUCHED_EVERY)


def list_all(
    connection: Connection, idle: timedelta, *, user_id: int | None = None, slug: str | None = None
) -> list[Session]:
    """Sessions that live, of one person, of an account's people, or all; the last used first."""
    return records(connection, Session, _ALL, idle=idle, user_id=user_id, slug=slug)


def end(connection: Connection, id_: int, user_id: int | None = None) -> bool:
    """Ends a session, with `user_id` only one of that person's; False where there is none."""
    sql = (
        "delete from dispatcher.sessions where id = %(id)s and (%(user_id)s::int is null or user_id = %(user_id)s)"
        " returning id"
    )
    return bool(rows(connection, sql, id=id_, user_id=user_id))


def end_all(connection: Connection, user_id: int, but: int | None = None) -> int:
    """Ends every session of somebody, `but` one; returns how many that were."""
    sql = "delete from dispatcher.sessions where user_id = %(id)s and id is distinct from %(but)s returning id"
    return len(rows(connection, sql, id=user_id, but=but))


def _person(row: Row) -> Person:
    """From _PERSON and what follows it."""
    return record(Person, (*row[:4], None if row[4] is None else record(Account, row[4:7]), row[7]))
