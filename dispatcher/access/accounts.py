"""Accounts and their owners, as operators create and change them."""

from dispatcher.model.account import Account
from dispatcher.schemas import active
from dispatcher.storage.admin import accounts, audit, users
from dispatcher.storage.admin.users import User
from dispatcher.storage.engine import Connection, transactional


@transactional
def create_account(
    connection: Connection, slug: str, time_zone: str, *, owner_email: str | None = None, owner_name: str | None = None
) -> tuple[Account, User]:
    """A new account and its owner; raises AccountExists. Without an e-mail and a name the owner has placeholders.

    Without a time zone it is that of the catalogue.
    """
    zone = time_zone or active().time_zone
    account = accounts.create(connection, slug, zone, owner_email=owner_email, owner_name=owner_name)
    audit.record(connection, "account.created", slug, account_id=account.id)
    return account, users.list_for_account(connection, account.id)[0]


@transactional
def edit_account(
    connection: Connection, slug: str, *, time_zone: str | None, owner_email: str | None, owner_name: str | None
) -> tuple[Account, User]:
    """The account and its owner with what is given changed; raises AccountNotFound or UserExists."""
    id_ = accounts.find(connection, slug).id
    changes = {"time_zone": time_zone, "owner_email": owner_email, "owner_name": owner_name}
    accounts.edit(connection, id_, **changes)
    edited = {name: value for name, value in changes.items() if value is not None}
    audit.record(connection, "account.updated", slug, account_id=id_, **edited)
    return accounts.find(connection, slug), users.list_for_account(connection, id_)[0]


@transactional
def list_accounts(connection: Connection) -> list[tuple[Account, User]]:
    """All accounts with their owners."""
    all_accounts = accounts.list_all(connection)
    owners = users.owners(connection)  # after the accounts, so that each of them has one
    return [(account, owners[account.id]) for account in all_accounts]
