"""Accounts: whose events and webhooks these are."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dispatcher.errors import AccountExists, AccountNotFound
from dispatcher.model.account import Account
from dispatcher.storage.admin import users
from dispatcher.storage.engine import Connection, array, one, record, records, rows, scalar
from dispatcher.storage.pipeline.emits import find_account


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """What `account.json` returns: `settings` are the attributes that differ from its defaults."""

    settings: dict[str, Any]
    created_at: datetime
    updated_at: datetime


def create(
    connection: Connection,
    slug: str,
    time_zone: str,
    *,
    owner_email: str | None = None,
    owner_name: str | None = None,
    external_id: str | None = None,
) -> Account:
    """A new account with its owner, who has no password yet; raises AccountExists.

    `external_id`: the company's own id of it; None: its slug.
    """
    sql = """insert into dispatcher.accounts (slug, time_zone, external_id)
        values (%(slug)s, %(time_zone)s, %(external_id)s)
        on conflict do nothing returning id"""
    id_ = scalar(connection, sql, slug=slug, time_zone=time_zone, external_id=external_id)
    if id_ is None:
        raise AccountExists(slug)
    owner = {"email": owner_email or placeholder_email(slug), "full_name": owner_name or slug, "permission": "owner"}
    users.create(connection, id_, **owner, password_hash=None)
    return Account(id=id_, slug=slug, time_zone=time_zone)


def placeholder_email(slug: str) -> str:
    """An owner's e-mail where none was given: one that e-mail validators take and that nobody has.

    `.invalid` and `.test` they refuse as names of special use, and a slug is not always a name of a host.
    """
    return f"{slug}@dispatcher.example"


def edit(
    connection: Connection,
    account_id: int,
    *,
    time_zone: str | None = None,
    owner_email: str | None = None,
    owner_name: str | None = None,
) -> None:
    """Changes what is given; raises UserExists where somebody else of the account has the e-mail."""
    sql = (
        "update dispatcher.accounts set time_zone = coalesce(%(time_zone)s, time_zone), updated_at = now()"
        " where id = %(id)s"
    )
    rows(connection, sql, id=account_id, time_zone=time_zone)
    if owner_email is not None or owner_name is not None:
        users.edit_owner(connection, account_id, email=owner_email, full_name=owner_name)


def find(connection: Connection, slug: str) -> Account:
    """The account of that slug; raises AccountNotFound."""
    return find_account(connection, slug)


def hold(connection: Connection, slug: str) -> Account:
    """As `find`; the account is not deleted before the transaction ends, so that the deletion finds what it creates."""
    sql = "select id, slug, time_zone from dispatcher.accounts where slug = %(slug)s and ended_at is null for key share"
    return record(Account, one(connection, AccountNotFound(slug), sql, slug=slug))


def find_all(connection: Connection, slugs: Iterable[str]) -> dict[str, Account]:
    """The accounts of these slugs, by slug; one that does not exist is left out."""
    sql = (
        "select id, slug, time_zone from dispatcher.accounts where slug = any (%(slugs)s::text[]) and ended_at is null"
    )
    return {account.slug: account for account in records(connection, Account, sql, slugs=array(slugs))}


def profile(connection: Connection, account_id: int) -> Profile:
    """The account's own data."""
    sql = "select settings, created_at, updated_at from dispatcher.accounts where id = %(id)s"
    return records(connection, Profile, sql, id=account_id)[0]


def list_all(connection: Connection) -> list[Account]:
    """Every account, by slug."""
    sql = "select id, slug, time_zone from dispatcher.accounts where ended_at is null order by slug"
    return records(connection, Account, sql)
