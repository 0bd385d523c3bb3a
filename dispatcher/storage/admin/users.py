"""Users: the people of an account. Its owner may agree to what an integration asks for."""

from dataclasses import dataclass
from datetime import datetime

from dispatcher.errors import UserExists
from dispatcher.storage.admin.sessions import Candidate, Person
from dispatcher.storage.engine import Connection, one, records, rows, scalar


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A person of an account; `permission` is `owner`, `write` or `read`."""

    id: int
    account_id: int
    email: str
    full_name: str
    permission: str
    allowed_scope: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class UserListing:
    """Somebody of an account (None: an operator), as the command lists them."""

    account_slug: str | None
    email: str
    full_name: str
    permission: str
    has_password: bool
    sees_personal: bool
    created_at: datetime


_COLUMNS = "u.id, u.account_id, u.email, u.full_name, u.permission, u.allowed_scope"

# Alerts go to the new address, too: the old one may be somebody's who has left.
_EDIT_OWNER = """
with owner as (
    select u.id, u.email from dispatcher.users u
    where account_id = %(account_id)s and permission = 'owner' and not exists (
        select from dispatcher.users o
        where o.account_id = u.account_id and o.id <> u.id and lower(o.email) = lower(%(email)s)
    ) for update
), moved as (
    update dispatcher.alert_channels c set email = coalesce(%(email)s, c.email) from owner
    where c.account_id = %(account_id)s and lower(c.email) = lower(owner.email)
)
update dispatcher.users u set email = coalesce(%(email)s, u.email), full_name = coalesce(%(full_name)s, full_name)
from owner where u.id = owner.id
returning u.id
"""

_OF_ACCOUNT = f"""
select {_COLUMNS} from dispatcher.users u where u.account_id = %(account_id)s
order by u.permission = 'owner' desc, u.id offset %(offset)s limit %(limit)s
"""

# An operator has no account.
_CREATE = """
insert into dispatcher.users (account_id, email, full_name, permission, password_hash)
values (%(account_id)s, %(email)s, %(full_name)s, %(permission)s, %(password_hash)s)
on conflict do nothing returning id
"""

# Index: users_operators_email_is_unique.
_VOUCHED = """
insert into dispatcher.users (email, full_name, permission) values (%(email)s, %(full_name)s, %(permission)s)
on conflict (lower(email)) where account_id is null
do update set full_name = excluded.full_name, permission = excluded.permission returning id
"""

_ALL = """
select a.slug, u.email, u.full_name, u.permission, u.password_hash is not null,
    coalesce(u.sees_personal, u.permission in ('owner', 'write')), u.created_at
from dispatcher.users u left join dispatcher.accounts a on a.id = u.account_id
where %(slug)s::text is null or a.slug = %(slug)s order by a.slug nulls first, u.id
"""

# Whoever signed in with the old password is signed out. Index: users_email_is_unique, sessions_by_user.
_SET_HASH = """
with changed as (
    update dispatcher.users set password_hash = %(hash)s where account_id is not distinct from %(account_id)s
        and case when %(email)s::text is null then permission = 'owner' else lower(email) = lower(%(email)s) end
    returning id, email),
ended as (delete from dispatcher.sessions where user_id in (select id from changed))
select email from changed
"""

_FIND = """
select id from dispatcher.users where account_id is not distinct from %(account_id)s and lower(email) = lower(%(email)s)
"""

_SHOW_PERSONAL = """
update dispatcher.users set sees_personal = %(sees_personal)s
where account_id is not distinct from %(account_id)s and lower(email) = lower(%(email)s) returning id
"""

# The owner stays: tokens are theirs.
_DELETE = """
delete from dispatcher.users
where account_id is not distinct from %(account_id)s and lower(email) = lower(%(email)s) and permission <> 'owner'
returning id
"""


def edit_owner(connection: Connection, account_id: int, *, email: str | None, full_name: str | None) -> None:
    """Changes what is given of the account's owner; raises UserExists where somebody else of it has the e-mail."""
    if not rows(connection, _EDIT_OWNER, account_id=account_id, email=email, full_name=full_name):
        raise UserExists(email or "")


def create(
    connection: Connection,
    account_id: int | None,
    *,
    email: str,
    full_name: str,
    permission: str,
    password_hash: str | None,
) -> int:
    """The id of somebody new who may sign in to the console; an operator without account. Raises UserExists."""
    attributes = {"email": email, "full_name": full_name, "permission": permission, "password_hash": password_hash}
    id_: int = one(connection, UserExists(email), _CREATE, account_id=account_id, **attributes)[0]
    return id_


def vouched_operator(connection: Connection, email: str, full_name: str, permission: str) -> Candidate:
    """The operator that an identity provider vouches for, as it describes them now; new, if need be."""
    attributes = {"email": email, "full_name": full_name, "permission": permission}
    id_ = rows(connection, _VOUCHED, **attributes)[0][0]
    person = Person(user_id=id_, email=email, full_name=full_name, permission=permission, account=None)
    return Candidate(person=person, password_hash=None)


def show_personal(connection: Connection, account_id: int | None, email: str, sees_personal: bool | None) -> bool:
    """Whether they may see personal fields; None: as their permission says. False where there is nobody."""
    whose = {"account_id": account_id, "email": email}
    return bool(rows(connection, _SHOW_PERSONAL, **whose, sees_personal=sees_personal))


def list_all(connection: Connection, slug: str | None = None) -> list[UserListing]:
    """The people of an account, or of all, with the operators."""
    return records(connection, UserListing, _ALL, slug=slug)


def find(connection: Connection, account_id: int | None, email: str) -> int | None:
    """The id of that account's user (None: an operator) with the e-mail."""
    id_: int | None = scalar(connection, _FIND, account_id=account_id, email=email)
    return id_


def delete(connection: Connection, account_id: int | None, email: str) -> bool:
    """Deletes somebody with their sessions; False where there is no such person, or it is the owner."""
    return bool(rows(connection, _DELETE, account_id=account_id, email=email))


def list_for_account(
    connection: Connection, account_id: int, *, offset: int = 0, limit: int | None = None
) -> list[User]:
    """The account's users, the owner first; with `limit` a page of them."""
    return records(connection, User, _OF_ACCOUNT, account_id=account_id, offset=offset, limit=limit)


def owners(connection: Connection) -> dict[int, User]:
    """Account id → its owner, of every account."""
    sql = f"select {_COLUMNS} from dispatcher.users u where u.permission = 'owner'"
    return {owner.account_id: owner for owner in records(connection, User, sql)}


def set_password(connection: Connection, account_id: int | None, email: str | None, password_hash: str) -> str | None:
    """Stores the hash for that account's user (None: an operator) with the e-mail (None: the owner).

    Ends their sessions. Returns the e-mail, None where there is nobody.
    """
    changed: str | None = scalar(connection, _SET_HASH, account_id=account_id, email=email, hash=password_hash)
    return changed
