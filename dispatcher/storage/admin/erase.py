"""What is kept of an account is deleted: past its own retention, or all of it. A batch a transaction, so nobody waits.

A deleted account ends at once, with its clients, users and tokens (`end_account`). Its webhooks get nothing more, and
its history goes batch by batch. An emit that was under way may still store an event: so a tombstone is left, which the
hourly prune visits again, and which goes after an hour with nothing more to delete.
"""

from collections import Counter
from collections.abc import Mapping

from dispatcher import clock
from dispatcher.storage.admin import webhooks
from dispatcher.storage.engine import Connection, Storage, rows, scalars

EVERYTHING = -2
"""Days of retention that keep nothing: not even what has just been emitted."""
BATCH = 2_000
"""Deliveries or events that one statement deletes, with their attempts."""
Place = tuple[int, int]
"""Where a batch ended: a webhook and its delivery, or 0 and an event."""
_START: Place = (0, 0)
TABLES = ("events", "deliveries", "attempts", "webhooks", "replays", "clients", "users")

# Each batch goes on where the one before ended (`last_webhook`, `last`), in the order of the indexes: else it would
# walk over all that was deleted before it. Index: webhooks_of_account; deliveries_..._by_webhook of each day;
# attempts_by_delivery.
_DELIVERIES = """
with doomed as materialized (
    select d.webhook_id, d.id, d.finished_on
    from (
        select id from dispatcher.webhooks where account_id = %(account_id)s and id >= %(last_webhook)s order by id) w
    cross join lateral (
        select webhook_id, id, finished_on from dispatcher.deliveries
        where webhook_id = w.id and id > case when w.id = %(last_webhook)s then %(last)s else 0 end
            and finished_on < dispatcher.now()::date - %(days)s
        order by webhook_id, id limit %(limit)s) d
    limit %(limit)s),
gone as (
    delete from dispatcher.deliveries
    where id = any (array (select id from doomed)) and finished_on = any (array (select finished_on from doomed))
    returning id),
of_them as (delete from dispatcher.attempts where delivery_id = any (array (select id from gone)) returning id)
select webhook_id, id, (select count(*) from gone), (select count(*) from of_them)
from doomed order by webhook_id desc, id desc limit 1
"""

# An event stays as long as a delivery of it is pending. Index: events_by_account; the two of pending deliveries by
# event; the primary key of events_waiting.
_EVENTS = """
with gone as (
    delete from dispatcher.events where id = any (array (
        select id from dispatcher.events e
        where account_id = %(account_id)s
            and id > %(last)s
            and id < (extract(epoch from dispatcher.now()::date - %(days)s)::bigint - 1577836800) << 23
            and not exists (select from dispatcher.deliveries_waiting where event_id = e.id and copy_of is null)
            and not exists (select from dispatcher.deliveries_waiting where event_id = e.id and copy_of is not null)
            and not exists (select from dispatcher.events_waiting where event_id = e.id)
        order by id limit %(limit)s))
    returning id)
select max(id), count(*) from gone
"""

_OUTBOX = "delete from dispatcher.events_waiting where account_id = %(account_id)s"

# Index: webhooks_of_account, deliveries_due.
_PENDING = """
select w.id from dispatcher.webhooks w
where w.account_id = %(account_id)s and exists (select from dispatcher.deliveries_waiting where webhook_id = w.id)
"""

_END = """
update dispatcher.accounts set ended_at = dispatcher.now(), slug = '~' || id, external_id = null, settings = '{}',
    portal = '{}'
where id = %(account_id)s
"""

# Its clients may have webhooks and tokens in other accounts.
_ITS_CLIENTS = "select id from dispatcher.clients where account_id = %(account_id)s"
_OF_THEM = f"client_id = any (array ({_ITS_CLIENTS}))"  # as an array, for which indexes are used
# Index: tokens_by_account, tokens_by_client, webhooks_of_client, replays_by_client, clients_by_account. The others of
# migration 0026 are for the foreign keys.
_CREDENTIALS: Mapping[str, str] = {
    "tokens": f"delete from dispatcher.tokens where account_id = %(account_id)s or {_OF_THEM} returning id",
    "of webhooks": f"update dispatcher.webhooks set client_id = null where {_OF_THEM} returning id",
    "of replays": f"update dispatcher.replays set client_id = null where {_OF_THEM} returning id",
    "clients": "delete from dispatcher.clients where account_id = %(account_id)s returning id",
    "alert channels": "delete from dispatcher.alert_channels where account_id = %(account_id)s returning id",
    "portal sessions": "delete from dispatcher.portal_sessions where account_id = %(account_id)s returning id",
    "users": "delete from dispatcher.users where account_id = %(account_id)s returning id",
}

_ITS_WEBHOOKS = "select id from dispatcher.webhooks where account_id = %(account_id)s"
_REST: Mapping[str, str] = {
    "replays": "delete from dispatcher.replays where account_id = %(account_id)s returning id",
    "audit log": "delete from dispatcher.audit_log where account_id = %(account_id)s returning id",
    "erasures": "delete from dispatcher.erasures where account_id = %(account_id)s returning id",
    "by minute": "delete from dispatcher.figures_by_minute where account_id = %(account_id)s returning account_id",
    "times": "delete from dispatcher.times_by_minute where account_id = %(account_id)s returning account_id",
    "by hour": f"delete from dispatcher.figures_by_hour where webhook_id in ({_ITS_WEBHOOKS}) returning webhook_id",
    "webhooks": "delete from dispatcher.webhooks where account_id = %(account_id)s returning id",
}

# Index: accounts_to_erase.
_TOMBSTONES = "select id from dispatcher.accounts where ended_at is not null order by id"
_WITH_RETENTION = (
    "select id, retention_days from dispatcher.accounts where retention_days is not null and ended_at is null"
)

_BURY = """
delete from dispatcher.accounts where id = %(account_id)s and ended_at < dispatcher.now() - interval '1 hour'
returning id
"""


def end_account(connection: Connection, account_id: int) -> Counter[str]:
    """The account and all that acts for it is no more; its webhooks are deleted as `webhooks.delete` does it."""
    rows(connection, _END, account_id=account_id)
    for client_id in scalars(connection, _ITS_CLIENTS, account_id=account_id):
        webhooks.delete_of_client(connection, client_id)
    webhooks.delete_of_account(connection, account_id)
    return _delete(connection, _CREDENTIALS, account_id)


def erase(storage: Storage, account_id: int, limit_s: float) -> tuple[Counter[str], bool]:
    """Deletes what is kept of an account that has ended; returns how much of what, and whether that was all of it.

    Goes on for `limit_s` seconds at most, and a batch.
    """
    storage.transact(lambda connection: rows(connection, _OUTBOX, account_id=account_id))
    storage.transact(_cancel, account_id)
    erased, is_whole = _erase_history(storage, account_id, EVERYTHING, limit_s)
    if not is_whole or storage.read(scalars, _PENDING, account_id=account_id):
        return erased, False
    return erased + storage.transact(_delete, _REST, account_id), True


def keep_retentions(storage: Storage, limit_s: float) -> int:
    """Erases what is past its account's own retention; returns the number of events and deliveries."""
    count = 0
    for account_id, days in storage.read(rows, _WITH_RETENTION):
        erased, _ = _erase_history(storage, account_id, days, limit_s)
        count += erased["events"] + erased["deliveries"]
    return count


def deleted_accounts(connection: Connection) -> list[int]:
    """The ids of accounts that have ended, and of which something may be left."""
    return scalars(connection, _TOMBSTONES)


def finish_deletion(storage: Storage, account_id: int, limit_s: float) -> bool:
    """Goes on with an account that has ended; returns whether nothing is left of it, not even the account."""
    erased, is_whole = erase(storage, account_id, limit_s)
    return is_whole and not erased.total() and bool(storage.transact(scalars, _BURY, account_id=account_id))


def _erase_history(storage: Storage, account_id: int, days: int, limit_s: float) -> tuple[Counter[str], bool]:
    """What was finished or emitted more than `days` whole days (UTC) ago."""
    erased: Counter[str] = Counter()
    until_s = clock.monotonic() + limit_s
    for erase_batch in (_deliveries, _events):
        place = _START
        while True:
            batch, reached = storage.transact(erase_batch, account_id, days, place)
            if not batch and place == _START:
                break
            erased += batch
            place = reached if batch else _START  # what finished meanwhile lies before: until a round finds nothing
            if clock.monotonic() > until_s:
                return erased, False
    return erased, True


def _deliveries(connection: Connection, account_id: int, days: int, after: Place) -> tuple[Counter[str], Place]:
    whose = {"account_id": account_id, "days": days, "limit": BATCH}
    for webhook_id, id_, deliveries, attempts in rows(
        connection, _DELIVERIES, **whose, last_webhook=after[0], last=after[1]
    ):
        return +Counter(deliveries=deliveries, attempts=attempts), (webhook_id, id_)
    return Counter(), after


def _events(connection: Connection, account_id: int, days: int, after: Place) -> tuple[Counter[str], Place]:
    whose = {"account_id": account_id, "days": days, "limit": BATCH}
    id_, events = rows(connection, _EVENTS, **whose, last=after[1])[0]
    return +Counter(events=events), (0, id_) if events else after


def _cancel(connection: Connection, account_id: int) -> None:
    webhooks.cancel(connection, scalars(connection, _PENDING, account_id=account_id))


def _delete(connection: Connection, statements: Mapping[str, str], account_id: int) -> Counter[str]:
    counts = {name: len(rows(connection, sql, account_id=account_id)) for name, sql in statements.items()}
    return +Counter({name: count for name, count in counts.items() if name in TABLES})
