"""People who may sign in: of an account, or operators, who have none (`slug` None) and see all accounts."""

from dispatcher.errors import UserNotFound
from dispatcher.storage.admin import accounts, alert_channels, audit, sessions, users
from dispatcher.storage.admin.passwords import Passwords
from dispatcher.storage.engine import Connection, Storage, transactional


def create_user(
    storage: Storage,
    passwords: Passwords,
    slug: str | None,
    email: str,
    *,
    full_name: str,
    permission: str,
    password: str | None,
) -> int:
    """The id of somebody new who may sign in to the console, once there is a password.

    Raises AccountNotFound or UserExists.
    """
    attributes = {"email": email, "full_name": full_name, "permission": permission}
    password_hash = password and passwords.hash(password)  # which takes a while: before a connection is taken

    def create(connection: Connection) -> int:
        account_id = None if slug is None else accounts.hold(connection, slug).id
        audit.record(connection, "user.created", email, account_id=account_id, permission=permission)
        return users.create(connection, account_id, **attributes, password_hash=password_hash)

    return storage.transact(create)


def set_password(storage: Storage, passwords: Passwords, slug: str | None, email: str | None, password: str) -> str:
    """Sets it, and ends the sessions of whose it is; returns their e-mail. Without `email` it is the account's owner.

    Raises AccountNotFound or UserNotFound.
    """
    password_hash = passwords.hash(password)

    def store(connection: Connection) -> str | None:
        account_id = _account_id(connection, slug)
        changed = users.set_password(connection, account_id, email, password_hash)
        if changed is not None:
            audit.record(connection, "user.password_set", changed, account_id=account_id)
        return changed

    changed = storage.transact(store)
    if changed is None:
        raise UserNotFound(slug, email or "")
    return changed


@transactional
def sign_out(connection: Connection, slug: str | None, email: str) -> int:
    """Ends all sessions of the user; returns how many. Raises AccountNotFound or UserNotFound."""
    account_id = _account_id(connection, slug)
    user_id = users.find(connection, account_id, email)
    if user_id is None:
        raise UserNotFound(slug, email)
    audit.record(connection, "user.signed_out", email, account_id=account_id)
    return sessions.end_all(connection, user_id)


@transactional
def show_personal(connection: Connection, slug: str | None, email: str, sees_personal: bool | None) -> None:
    """Lets the user see personal fields of payloads, or not (None: as their permission says).

    Raises AccountNotFound or UserNotFound.
    """
    account_id = _account_id(connection, slug)
    if not users.show_personal(connection, account_id, email, sees_personal):
        raise UserNotFound(slug, email)
    audit.record(connection, "user.updated", email, account_id=account_id, sees_personal=sees_personal)


@transactional
def delete_user(connection: Connection, slug: str | None, email: str) -> None:
    """Deletes somebody with their sessions and the account's alerts to their address; raises AccountNotFound.

    Or UserNotFound, also for an account's owner.
    """
    account_id = _account_id(connection, slug)
    if not users.delete(connection, account_id, email):
        raise UserNotFound(slug, email)
    if account_id is not None:
        alert_channels.delete_email(connection, account_id, email)
    audit.record(connection, "user.deleted", email, account_id=account_id)


def _account_id(connection: Connection, slug: str | None) -> int | None:
    return None if slug is None else accounts.find(connection, slug).id
