"""The audit log. Entries are only ever added, and pruned."""

import json
from collections.abc import Mapping
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
