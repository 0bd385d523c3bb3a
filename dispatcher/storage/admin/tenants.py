"""Accounts as the company that runs this service knows them: by its own id, with their limits."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dispatcher.errors import AccountNotFound
from dispatcher.model.account import Account
from dispatcher.storage.engine import Connection, one, record, records, rows, scalar


@dataclass(frozen=True, kw_only=True, slots=True)
class Tenant:
    """An account with its owner and its limits; a limit that is None is the setting's."""

    id: int
    external_id: str
    slug: str
    time_zone: str
    owner_email: str
    owner_name: str
    requests_per_minute: int | None
    """Of each of its clients; emits are counted apart."""
    emits_per_minute: int | None
    """Of each of its clients, and of all service tokens together."""
    retention_days: int | None
    portal: Mapping[str, Any]
    """Who may frame the portal, and its theme: see `PortalSchema`."""
    created_at: datetime
    updated_at: datetime

    @property
    def account(self) -> Account:
        """The same, as the rest of the dispatcher knows it."""
        return Account(id=self.id, slug=self.slug, time_zone=self.time_zone)


@dataclass(frozen=True, kw_only=True, slots=True)
class EmitAccount:
    """An account in which a service token emits, and how much all of them together may emit there; None: no limit."""

    account: Account
    emits_per_minute: int | None


COLUMNS = ("requests_per_minute", "emits_per_minute", "retention_days", "portal")
"""Attributes that are the account's alone, and no part of its `Account`."""

EXTERNAL_ID = "coalesce(a.external_id, a.slug)"
"""SQL: how the company knows the account `a`. Index: accounts_external_id_is_unique."""

_SELECT = f"""
select a.id, {EXTERNAL_ID}, a.slug, a.time_zone, o.email, o.full_name, a.requests_per_minute, a.emits_per_minute,
    a.retention_days, a.portal, a.created_at, a.updated_at
from dispatcher.accounts a join dispatcher.users o on o.account_id = a.id and o.permission = 'owner'
"""

_FIND = f"{_SELECT} where {EXTERNAL_ID} = %(external_id)s"

_PAGE = f"{_SELECT} where a.id > %(after)s and a.ended_at is null order by a.id limit %(limit)s"

_ACCOUNTS = f"""
select {EXTERNAL_ID}, a.emits_per_minute, a.id, a.slug, a.time_zone from dispatcher.accounts a
where {EXTERNAL_ID} = any (%(external_ids)s::text[]) and a.ended_at is null
"""

_SET_COLUMNS = """
update dispatcher.accounts set requests_per_minute = %(requests_per_minute)s, emits_per_minute = %(emits_per_minute)s,
    retention_days = %(retention_days)s, portal = %(portal)s, updated_at = now()
where id = %(id)s
"""


def find(connection: Connection, external_id: str) -> Tenant:
    """The account that the company knows by this id; raises AccountNotFound."""
    return record(Tenant, one(connection, AccountNotFound(external_id), _FIND, external_id=external_id))


def page(connection: Connection, *, after: int, limit: int) -> list[Tenant]:
    """The accounts with an id beyond `after`, in that order."""
    return records(connection, Tenant, _PAGE, after=after, limit=limit)


def emit_accounts(connection: Connection, external_ids: Sequence[str]) -> list[EmitAccount | None]:
    """The accounts that the company knows by these ids; None where there is none."""
    account_rows = rows(connection, _ACCOUNTS, external_ids=list(set(external_ids)))
    by_id = {
        external_id: EmitAccount(account=record(Account, row), emits_per_minute=limit)
        for external_id, limit, *row in account_rows
    }
    return [by_id.get(external_id) for external_id in external_ids]


def requests_per_minute(connection: Connection, account_id: int) -> int | None:
    """The account's own limit; None: it has the setting's."""
    sql = "select requests_per_minute from dispatcher.accounts where id = %(id)s"
    limit: int | None = scalar(connection, sql, id=account_id)
    return limit


def set_columns(connection: Connection, account_id: int, attributes: Mapping[str, Any]) -> None:
    """Stores all of COLUMNS."""
    rows(connection, _SET_COLUMNS, **{**attributes, "portal": json.dumps(attributes["portal"])}, id=account_id)
