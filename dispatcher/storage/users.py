"""Users: the people of an account. Its owner may agree to what an integration asks for."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dispatcher.errors import UserExists
from dispatcher.storage.engine import Joinable, Row, rows

TRIES = 5
"""Wrong passwords within WITHIN after which further ones are refused unseen."""
WITHIN = timedelta(minutes=1)


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
class Listed:
    """Somebody of an account (None: an operator), as the command lists them."""

    account_slug: str | None
    email: str
    full_name: str
    permission: str
    has_password: bool
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """An account's owner who wants to sign in, with the hash of the password that was set (None: none was)."""

    user: User
    account_slug: str
    password_hash: str | None = field(repr=False)


COLUMNS = "u.id, u.account_id, u.email, u.full_name, u.permission, u.allowed_scope"

_CREATE_OWNER = """
insert into users (account_id, email, full_name, permission)
values (%(account_id)s, %(email)s, %(full_name)s, 'owner')
"""

_EDIT_OWNER = """
update users u set email = coalesce(%(email)s, email), full_name = coalesce(%(full_name)s, full_name)
where account_id = %(account_id)s and permission = 'owner' and not exists (
    select from users o where o.account_id = u.account_id and o.id <> u.id and lower(o.email) = lower(%(email)s)
)
returning id
"""

_OF_ACCOUNT = f"""
select {COLUMNS} from users u where u.account_id = %(account_id)s
order by u.permission = 'owner' desc, u.id offset %(offset)s limit %(limit)s
"""

# Index: accounts' slug, users_by_email. A slug has no @, an e-mail has one: no name is both.
_OWNERS = f"""
select {COLUMNS}, a.slug, u.password_hash from accounts a join users u on u.account_id = a.id
where u.permission = 'owner' and a.slug = %(name)s
union all
(select {COLUMNS}, a.slug, u.password_hash from users u join accounts a on a.id = u.account_id
where u.permission = 'owner' and lower(u.email) = lower(%(name)s) limit 2)
"""

# Counted before the password is looked at, in one statement: many tries at once are no way round the limit.
_TRY = """
update users set
    sign_ins = case when sign_ins_since > dispatcher_now() - %(within)s then least(sign_ins + 1, 1000) else 1 end,
    sign_ins_since = case when sign_ins_since > dispatcher_now() - %(within)s then sign_ins_since
        else dispatcher_now() end
where id = %(id)s returning sign_ins <= %(tries)s
"""

# An operator has no account.
_CREATE = """
insert into users (account_id, email, full_name, permission, password_hash)
values (%(account_id)s, %(email)s, %(full_name)s, %(permission)s, %(hash)s)
on conflict do nothing returning id
"""

_ALL = """
select a.slug, u.email, u.full_name, u.permission, u.password_hash is not null, u.created_at
from users u left join accounts a on a.id = u.account_id
where %(slug)s::text is null or a.slug = %(slug)s order by a.slug nulls first, u.id
"""

_SET_HASH = """
update users set password_hash = %(hash)s, sign_ins = 0
where account_id is not distinct from %(account_id)s and lower(email) = lower(%(email)s) returning id
"""

# The owner stays: tokens are theirs.
_DELETE = """
delete from users
where account_id is not distinct from %(account_id)s and lower(email) = lower(%(email)s) and permission <> 'owner'
returning id
"""

_STORE_HASH = """
update users set password_hash = %(hash)s, sign_ins = 0 where account_id = %(account_id)s
    and case when %(email)s::text is null then permission = 'owner' else lower(email) = lower(%(email)s) end
returning email
"""


def create_owner(connection: Joinable, account_id: int, email: str, full_name: str) -> None:
    """The account's owner, without a password yet."""
    rows(connection, _CREATE_OWNER, {"account_id": account_id, "email": email, "full_name": full_name})


def edit_owner(connection: Joinable, account_id: int, *, email: str | None, full_name: str | None) -> None:
    """Changes what is given of the account's owner; raises UserExists where somebody else of it has the e-mail."""
    parameters = {"account_id": account_id, "email": email, "full_name": full_name}
    if not rows(connection, _EDIT_OWNER, parameters):
        raise UserExists(email or "")


def create(
    connection: Joinable, account_id: int | None, *, email: str, full_name: str, permission: str, password_hash: str
) -> None:
    """Somebody who may sign in to the console; an operator where there is no account. Raises UserExists."""
    parameters = {
        "account_id": account_id,
        "email": email,
        "full_name": full_name,
        "permission": permission,
        "hash": password_hash,
    }
    if not rows(connection, _CREATE, parameters):
        raise UserExists(email)


def everybody(connection: Joinable, slug: str | None = None) -> list[Listed]:
    """The people of an account, or of all, with the operators."""
    found = rows(connection, _ALL, {"slug": slug})
    return [Listed(**dict(zip(Listed.__dataclass_fields__, row, strict=True))) for row in found]


def change_password(connection: Joinable, account_id: int | None, email: str, password_hash: str) -> int | None:
    """Stores the hash; returns whose, None where there is no such person."""
    found = rows(connection, _SET_HASH, {"account_id": account_id, "email": email, "hash": password_hash})
    return found[0][0] if found else None


def delete(connection: Joinable, account_id: int | None, email: str) -> bool:
    """Deletes somebody with their sessions; False where there is no such person, or it is the owner."""
    return bool(rows(connection, _DELETE, {"account_id": account_id, "email": email}))


def of_account(connection: Joinable, account_id: int, *, offset: int = 0, limit: int | None = None) -> list[User]:
    """The account's users, the owner first; with `limit` a page of them."""
    parameters = {"account_id": account_id, "offset": offset, "limit": limit}
    return [user(row) for row in rows(connection, _OF_ACCOUNT, parameters)]


def owners(connection: Joinable) -> dict[int, User]:
    """Account id → its owner, of every account."""
    found = rows(connection, f"select {COLUMNS} from users u where u.permission = 'owner'")
    return {one.account_id: one for one in map(user, found)}


def owner_to_sign_in(connection: Joinable, name: str) -> Owner | None:
    """The owner by e-mail or account slug; None where there is none, or where an e-mail owns several accounts."""
    found = rows(connection, _OWNERS, {"name": name})
    if len(found) != 1:
        return None
    return Owner(user=user(found[0]), account_slug=found[0][6], password_hash=found[0][7])


def may_try_password(connection: Joinable, user_id: int) -> bool:
    """Counts a try to sign in; False once there were TRIES within WITHIN."""
    return bool(rows(connection, _TRY, {"id": user_id, "within": WITHIN, "tries": TRIES})[0][0])


def signed_in(connection: Joinable, user_id: int) -> None:
    """The password was right: earlier tries are forgotten."""
    rows(connection, "update users set sign_ins = 0 where id = %(id)s", {"id": user_id})


def set_password(connection: Joinable, account_id: int, email: str | None, password_hash: str) -> str | None:
    """Stores the hash for the user with that e-mail, or the owner; returns the e-mail, None where there is no such."""
    parameters = {"account_id": account_id, "email": email, "hash": password_hash}
    found = rows(connection, _STORE_HASH, parameters)
    return found[0][0] if found else None


def user(row: Row) -> User:
    """A User from COLUMNS."""
    return User(
        id=row[0],
        account_id=row[1],
        email=row[2],
        full_name=row[3],
        permission=row[4],
        allowed_scope=tuple(row[5]),
    )
