"""Webhooks as the console lists them: with their pending deliveries, and without any secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dispatcher.storage.engine import Connection, records, rows
from dispatcher.storage.pipeline.events import subscribed

WAITING_CAP = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookSummary:
    """A webhook of a list. `waiting` is counted up to WAITING_CAP; `due_age_s`: of the oldest that is due."""

    id: int
    webhook_url: str = field(repr=False)
    description: str | None
    tags: tuple[str, ...] | None
    active: bool
    events: tuple[str, ...]
    payload_version: str
    client_name: str | None
    """The API's client whose it is; None: it was created by the command or in the console."""
    failing_since: datetime | None
    deactivated_at: datetime | None
    deactivated_reason: str | None
    created_at: datetime
    waiting: int
    due_age_s: float | None


# Index: webhooks_by_account; deliveries_due, a little of each.
_LIST = """
select w.id, w.webhook_url, w.description, w.tags, w.active, w.events, w.payload_version, c.name, w.failing_since,
    w.deactivated_at, w.deactivated_reason, w.created_at,
    (select count(*) from (
        select from dispatcher.deliveries_waiting where webhook_id = w.id order by next_attempt_at limit %(cap)s) d),
    (select extract(epoch from dispatcher.now() - next_attempt_at)::float8 from dispatcher.deliveries_waiting
     where webhook_id = w.id and next_attempt_at <= dispatcher.now() order by next_attempt_at limit 1)
from dispatcher.webhooks w left join dispatcher.clients c on c.id = w.client_id
where w.account_id = %(account_id)s and w.deleted_at is null and w.id > %(after)s
    and (%(webhook_id)s::int is null or w.id = %(webhook_id)s)
    and (%(tag)s::text is null or %(tag)s = any (w.tags)) {conditions}
order by w.id limit %(limit)s
"""

# Of the URL what all may see: its query may hold a receiver's token.
_CONDITIONS = {
    "event_name": f"and {subscribed('%(event_name)s')} is true",
    "text": """and (strpos(lower(split_part(w.webhook_url, '?', 1)), lower(%(text)s)) > 0
        or strpos(lower(w.description), lower(%(text)s)) > 0 or w.uid = %(text)s or w.id::text = %(text)s)""",
}
STATUSES = {
    "active": "and w.active",
    "failing": "and w.active and w.failing_since is not null",
    "paused": "and not w.active and w.deactivated_at is null",
    "disabled": "and not w.active and w.deactivated_at is not null",
}
"""What a list may be narrowed to → SQL."""

# Index: webhooks_of_account.
_NAMES = """
select id, webhook_url, deleted_at is not null from dispatcher.webhooks where account_id = %(account_id)s
order by deleted_at is not null, id limit %(limit)s
"""


# By no index: it is asked for by a person, once in a while.
_FILTERS = """
select w.id, a.slug, w.events, w.filter from dispatcher.webhooks w join dispatcher.accounts a on a.id = w.account_id
where w.deleted_at is null and w.filter is not null order by w.id
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFilter:
    """A webhook with a filter."""

    webhook_id: int
    account_slug: str
    events: tuple[str, ...]
    filter: Mapping[str, Any]


def filters(connection: Connection) -> list[StoredFilter]:
    """Of all accounts."""
    return records(connection, StoredFilter, _FILTERS)


def page(
    connection: Connection,
    account_id: int,
    *,
    after: int = 0,
    limit: int = 40,
    webhook_id: int | None = None,
    tag: str | None = None,
    status: str | None = None,
    event_name: str | None = None,
    text: str | None = None,
) -> list[WebhookSummary]:
    """The account's webhooks with an id beyond `after`, by id; with `webhook_id` only that one, with `tag` those.

    `status` is one of STATUSES; `event_name` is one that they subscribed to; `text` is in the URL or the description.
    """
    parameters = {"account_id": account_id, "after": after, "limit": limit, "webhook_id": webhook_id, "tag": tag}
    parameters |= {"event_name": event_name, "text": text}
    conditions = [sql for name, sql in _CONDITIONS.items() if parameters[name] is not None]
    conditions += [STATUSES[status]] if status is not None else []
    sql = _LIST.replace("{conditions}", " ".join(conditions))
    return records(connection, WebhookSummary, sql, **parameters, cap=WAITING_CAP)


def names(connection: Connection, account_id: int, limit: int = 500) -> list[tuple[int, str, bool]]:
    """Id, URL and whether it was deleted, of the account's webhooks: for choosing one."""
    return [(id_, url, deleted) for id_, url, deleted in rows(connection, _NAMES, account_id=account_id, limit=limit)]
