"""The audit log. Entries are only ever added, and pruned."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dispatcher.model.audit import Actor, AuditEntry, acting
from dispatcher.storage.admin.tenants import EXTERNAL_ID
from dispatcher.storage.engine import Connection, rows

_ADD = """
insert into dispatcher.audit_log (account_id, actor_kind, actor_id, actor_name, action, subject, details)
values (%(account_id)s, %(kind)s, %(id)s, %(name)s, %(action)s, %(subject)s, %(details)s)
"""

# Index: audit_log_by_account backwards; of all accounts, the primary key.
_PAGE = f"""
select l.id, l.created_at, {EXTERNAL_ID}, l.actor_kind, l.actor_id, l.actor_name, l.action, l.subject, l.details
from dispatcher.audit_log l left join dispatcher.accounts a on a.id = l.account_id
where l.id < %(before)s {{of_account}} order by l.id desc limit %(limit)s
"""

# The same of those among the next SCAN entries that match; and how far these went.
_SEARCH = """
with scanned as materialized (
    select * from dispatcher.audit_log l where l.id < %(before)s {of_account} order by l.id desc limit %(scan)s),
matching as (
    select * from scanned l
    where (%(who)s::text is null or strpos(lower(l.actor_name), lower(%(who)s)) > 0)
        and (%(action)s::text is null or starts_with(l.action, %(action)s))
        and (%(since)s::timestamptz is null or l.created_at >= %(since)s)
        and (%(until)s::timestamptz is null or l.created_at < %(until)s)
    order by l.id desc limit %(limit)s)
select l.id, l.created_at, {external_id}, l.actor_kind, l.actor_id, l.actor_name, l.action, l.subject, l.details,
    (select min(id) from scanned), (select count(*) from scanned)
from (select 1) one left join matching l on true left join dispatcher.accounts a on a.id = l.account_id
order by l.id desc
"""
SCAN = 20_000
"""Entries that a search reads."""

# Index: audit_log_by_age.
_PRUNE = """
delete from dispatcher.audit_log where created_at < dispatcher.now() - make_interval(days => %(days)s) returning id
"""


def record(
    connection: Connection, action: str, subject: str | int, *, account_id: int | None = None, **details: Any
) -> None:
    """Adds that whoever acts now has done this; it is committed with what they did."""
    actor, text = acting.get(), json.dumps(details, default=_plain)
    who = {"kind": actor.kind, "id": actor.id, "name": actor.name}
    rows(connection, _ADD, **who, account_id=account_id, action=action, subject=str(subject), details=text)


def page(
    connection: Connection, *, account_id: int | None = None, before: int | None = None, limit: int = 40
) -> list[AuditEntry]:
    """Entries, newest first, of one account or of all."""
    of_account = "" if account_id is None else "and l.account_id = %(account_id)s"
    bounds = {"before": 2**63 - 1 if before is None else before, "limit": limit}
    entries = rows(connection, _PAGE.format(of_account=of_account), **bounds, account_id=account_id)
    return [_entry(*row) for row in entries]


def search(
    connection: Connection,
    *,
    account_id: int | None = None,
    before: int | None = None,
    limit: int = 40,
    who: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    scan: int = SCAN,
) -> tuple[list[AuditEntry], int | None]:
    """Entries, newest first, and the id from which older ones may follow; None: there are none.

    `who` is in the name of whoever acted; an action begins with `action`. At most `scan` entries are read.
    """
    of_account = "" if account_id is None else "and l.account_id = %(account_id)s"
    sql = _SEARCH.format(of_account=of_account, external_id=EXTERNAL_ID)
    narrowed = {"who": who, "action": action, "since": since, "until": until}
    scan = limit + 1 if all(one is None for one in narrowed.values()) else scan
    bounds = {"before": 2**63 - 1 if before is None else before, "limit": limit + 1, "scan": scan}
    matching = rows(connection, sql, **bounds, **narrowed, account_id=account_id)
    *_, oldest, scanned = matching[0]
    entries = [_entry(*row[:-2]) for row in matching if row[0] is not None]
    if len(entries) > limit:
        return entries[:limit], entries[limit - 1].id
    return entries, oldest if scanned == scan else None


def prune(connection: Connection, days: int) -> int:
    """Deletes what is older; returns how many that were."""
    return len(rows(connection, _PRUNE, days=days))


def _entry(*row: Any) -> AuditEntry:
    id_, created_at, account, kind, actor_id, name, action, subject, details = row
    actor = Actor(kind=kind, id=actor_id, name=name)
    return AuditEntry(
        id=id_, created_at=created_at, account=account, actor=actor, action=action, subject=subject, details=details
    )


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)
