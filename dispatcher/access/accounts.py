"""Accounts and their owners, as operators create and change them."""

from dispatcher.storage.admin import accounts, users
from dispatcher.storage.admin.accounts import Account
from dispatcher.storage.admin.users import User
from dispatcher.storage.engine import Connection, Storage


def create_account(
    storage: Storage, slug: str, time_zone: str, *, owner_email: str | None = None, owner_name: str | None = None
) -> tuple[Account, User]:
    """A new account and its owner; raises AccountExists. Without an e-mail and a name the owner has placeholders."""

    def create(connection: Connection) -> tuple[Account, User]:
        account = accounts.create(connection, slug, time_zone, owner_email=owner_email, owner_name=owner_name)
        return account, users.list_for_account(connection, account.id)[0]

    return storage.transact(create)


def edit_account(
    storage: Storage, slug: str, *, time_zone: str | None, owner_email: str | None, owner_name: str | None
) -> tuple[Account, User]:
    """The account and its owner with what is given changed; raises AccountNotFound or UserExists."""

    def edit(connection: Connection) -> tuple[Account, User]:
        id_ = accounts.find(connection, slug).id
        accounts.edit(connection, id_, time_zone=time_zone, owner_email=owner_email, owner_name=owner_name)
        return accounts.find(connection, slug), users.list_for_account(connection, id_)[0]

    return storage.transact(edit)


def list_accounts(storage: Storage) -> list[tuple[Account, User]]:
    """All accounts with their owners."""

    def read(connection: Connection) -> list[tuple[Account, User]]:
        found = accounts.list_all(connection)
        owners = users.owners(connection)  # after the accounts, so that each of them has one
        return [(account, owners[account.id]) for account in found]

    return storage.transact(read)
