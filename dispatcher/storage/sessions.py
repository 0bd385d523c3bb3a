"""Who is signed in to the console. Of what the browser's cookie holds only the SHA-256 hash is stored."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dispatcher.storage.accounts import Account
from dispatcher.storage.engine import Connection, rows
from dispatcher.storage.secrets import hash_of

LIFETIME = timedelta(days=7)
CANDIDATES = 3
"""People of one e-mail whose passwords are tried; with more of them, an account must be named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Somebody who may sign in; `account` is None for operators, who see all."""

    user_id: int
    email: str
    full_name: str
    permission: str
    account: Account | None

    @property
    def may_write(self) -> bool:
        """Whether they may change things, not only look."""
        return self.permission in ("owner", "write", "operator")

    def sees(self, slug: str) -> bool:
        """Whether that account is theirs to see."""
        return self.account is None or self.account.slug == slug


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A person and the hash of their password."""

    person: Person
    password_hash: str = field(repr=False)


_PERSON = "u.id, u.email, u.full_name, u.permission, a.id, a.slug, a.time_zone"

# Index: users_by_email; accounts' slug and users_are_one_owner_per_account. A slug has no @, so no name is both.
_CANDIDATES = f"""
select {_PERSON}, u.password_hash from users u left join accounts a on a.id = u.account_id
where u.password_hash is not null and lower(u.email) = lower(%(name)s)
    and (%(slug)s = '' or a.slug = %(slug)s)
union all
select {_PERSON}, u.password_hash from accounts a join users u on u.account_id = a.id and u.permission = 'owner'
where u.password_hash is not null and a.slug = %(name)s
limit %(limit)s
"""

# Index: sessions' key.
_FIND = f"""
select {_PERSON} from sessions s join users u on u.id = s.user_id left join accounts a on a.id = u.account_id
where s.hash = %(hash)s and s.expires_at > now()
"""

_START = """
with old as (delete from sessions where expires_at < now())
insert into sessions (hash, user_id, expires_at) values (%(hash)s, %(user_id)s, now() + %(lifetime)s)
returning expires_at
"""


def candidates(connection: Connection, name: str, slug: str) -> list[Candidate]:
    """Whom an e-mail (with `slug`, of that account) or an account's slug (its owner) may mean."""
    found = rows(connection, _CANDIDATES, {"name": name, "slug": slug, "limit": CANDIDATES})
    return [Candidate(person=_person(row[:7]), password_hash=row[7]) for row in found]


def start(connection: Connection, user_id: int) -> tuple[str, datetime]:
    """A new session: what the cookie is to hold, and until when it is good."""
    token = secrets.token_urlsafe(32)
    parameters = {"hash": hash_of(token), "user_id": user_id, "lifetime": LIFETIME}
    return token, rows(connection, _START, parameters)[0][0]


def find(connection: Connection, token: str) -> Person | None:
    """Whose session that is; None where it has ended, or never was."""
    found = rows(connection, _FIND, {"hash": hash_of(token)})
    return _person(found[0]) if found else None


def end(connection: Connection, token: str) -> None:
    """Ends a session."""
    rows(connection, "delete from sessions where hash = %(hash)s", {"hash": hash_of(token)})


def end_all_of(connection: Connection, user_id: int) -> None:
    """Ends every session of somebody whose password has changed."""
    rows(connection, "delete from sessions where user_id = %(id)s", {"id": user_id})


def _person(row: tuple[object, ...]) -> Person:
    id_, email, full_name, permission, account_id, slug, time_zone = row
    account = None if account_id is None else Account(id=account_id, slug=slug, time_zone=time_zone)  # type: ignore[arg-type]
    return Person(user_id=id_, email=email, full_name=full_name, permission=permission, account=account)  # type: ignore[arg-type]
