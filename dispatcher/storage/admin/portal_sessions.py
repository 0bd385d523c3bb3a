"""Sessions of customers. Of a link's token, and of what a cookie holds, only the SHA-256 hash is stored."""

import json
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from dispatcher.model.account import Account
from dispatcher.model.portal import PortalSession, PortalView
from dispatcher.storage.engine import Connection, record, records, rows, scalars
from dispatcher.storage.secrets import hash_of

LINK_LIFETIME = timedelta(hours=1)
"""How long a link may be used."""

_LISTED = "id, role, label, return_url, created_at, started_at, ends_at"
_VIEW = """s.id, s.role, s.label, s.return_url, s.started_at is not null, s.theme, a.portal, a.id, a.slug, a.time_zone
from dispatcher.portal_sessions s join dispatcher.accounts a on a.id = s.account_id"""
_LIVE = "s.ends_at > now() and a.ended_at is null"

# Some that have ended go with each new one, so that nothing else needs to delete them. Index: portal_sessions_by_end.
_CREATE = f"""
with ended as (
    delete from dispatcher.portal_sessions where id = any (array (
        select id from dispatcher.portal_sessions where ends_at < now() order by ends_at limit 100
        for update skip locked)))
insert into dispatcher.portal_sessions (account_id, link_hash, role, label, theme, return_url, lifetime, ends_at)
values (%(account_id)s, %(hash)s, %(role)s, %(label)s, %(theme)s, %(return_url)s, %(lifetime)s, now() + %(link)s)
returning {_LISTED}
"""

# Index: portal_sessions' unique ones.
_FIND = f"select {_VIEW} where s.cookie_hash = %(hash)s and {_LIVE}"
_OF_LINK = f"select {_VIEW} where s.link_hash = %(hash)s and {_LIVE}"

# Of several that use a link at once, one has it.
_START = f"""
with started as (
    update dispatcher.portal_sessions s
    set cookie_hash = %(cookie)s, started_at = now(), ends_at = now() + s.lifetime
    where s.link_hash = %(hash)s and s.started_at is null and s.ends_at > now()
    returning s.*)
select s.id, s.role, s.label, s.return_url, true, s.theme, a.portal, a.id, a.slug, a.time_zone
from started s join dispatcher.accounts a on a.id = s.account_id where {_LIVE}
"""

_ALL = f"""
select {_LISTED} from dispatcher.portal_sessions
where account_id = %(account_id)s and ends_at > now() and id > %(after)s order by id limit %(limit)s
"""

_END = """
delete from dispatcher.portal_sessions
where account_id = %(account_id)s and (%(id)s::int is null or id = %(id)s) and ends_at > now() returning id
"""


def create(
    connection: Connection,
    account_id: int,
    *,
    role: str,
    lifetime: timedelta,
    label: str | None = None,
    theme: Mapping[str, str] | None = None,
    return_url: str | None = None,
) -> tuple[PortalSession, str]:
    """A new link, good for LINK_LIFETIME, and its token; `lifetime` is that of the session which it starts."""
    token = secrets.token_urlsafe(32)
    attributes = {"role": role, "lifetime": lifetime, "label": label, "return_url": return_url}
    created = rows(
        connection,
        _CREATE,
        **attributes,
        account_id=account_id,
        hash=hash_of(token),
        theme=json.dumps(dict(theme or {})),
        link=LINK_LIFETIME,
    )
    return record(PortalSession, created[0]), token


def find(connection: Connection, cookie: str) -> PortalView | None:
    """Whose session that is; None where it has ended, or never was."""
    return _view(rows(connection, _FIND, hash=hash_of(cookie)))


def of_link(connection: Connection, token: str) -> PortalView | None:
    """What a link opens, also where it was used and its session lives; None where there is no such link."""
    return _view(rows(connection, _OF_LINK, hash=hash_of(token)))


def start(connection: Connection, token: str) -> tuple[PortalView, str] | None:
    """The session that a link starts, and what the cookie is to hold; None where the link was used, or has ended."""
    cookie = secrets.token_urlsafe(32)
    view = _view(rows(connection, _START, hash=hash_of(token), cookie=hash_of(cookie)))
    return None if view is None else (view, cookie)


def list_all(connection: Connection, account_id: int, *, after: int = 0, limit: int = 100) -> list[PortalSession]:
    """An account's links and sessions that live, with an id beyond `after`, in that order."""
    return records(connection, PortalSession, _ALL, account_id=account_id, after=after, limit=limit)


def end(connection: Connection, account_id: int, id_: int | None = None) -> list[int]:
    """Ends a link or session of the account, or all of them; returns the ids of those that lived."""
    return scalars(connection, _END, account_id=account_id, id=id_)


def _view(views: list[Any]) -> PortalView | None:
    for id_, role, label, return_url, is_started, theme, portal, *account in views:
        return PortalView(
            id=id_,
            role=role,
            label=label,
            return_url=return_url,
            is_started=is_started,
            theme={**portal.get("theme", {}), **theme},
            frame_ancestors=tuple(portal.get("frame_ancestors", ())),
            account=record(Account, account),
        )
    return None
