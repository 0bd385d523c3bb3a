"""Webhooks as the console lists them: with their pending deliveries, and without any secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dispatcher.storage.engine import Connection, records, rows

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
    """The API's client whose it is; None: it was made by the command or here."""
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
    and (%(tag)s::text is null or %(tag)s = any (w.tags))
order by w.id limit %(limit)s
"""

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
) -> list[WebhookSummary]:
    """The account's webhooks with an id beyond `after`, by id; with `webhook_id` only that one, with `tag` those."""
    parameters = {"account_id": account_id, "after": after, "limit": limit, "webhook_id": webhook_id, "tag": tag}
    return records(connection, WebhookSummary, _LIST, **parameters, cap=WAITING_CAP)


def names(connection: Connection, account_id: int, limit: int = 500) -> list[tuple[int, str, bool]]:
    """Id, URL and whether it was deleted, of the account's webhooks: for choosing one."""
    return [(id_, url, deleted) for id_, url, deleted in rows(connection, _NAMES, account_id=account_id, limit=limit)]
