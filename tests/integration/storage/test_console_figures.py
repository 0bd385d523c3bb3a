"""What the console's overview reads: counted once, by index, and bounded, however much waits or was finished."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from dispatcher.model.account import Account
from dispatcher.model.webhook import Webhook
from dispatcher.storage.engine import Storage, rows
from dispatcher.storage.reads import overview
from dispatcher.storage.stats import rollups
from tests.support.builders import a_webhook, an_account

_FINISHED = """
with made as (
    insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, state, attempt_count, created_at,
        updated_at,
        finished_on)
    select id, 1, %(webhook_id)s, dispatcher.new_idempotency_key(id), %(state)s, 1,
        dispatcher.now() - interval '10 seconds' - %(took_s)s * interval '1 second',
        dispatcher.now() - interval '10 seconds', current_date
    from (select nextval('dispatcher.delivery_id') as id from generate_series(1, %(count)s)) ids returning id)
insert into dispatcher.attempts (delivery_id, number, request_id, url, status, started_at, finished_at)
select id, 1, gen_random_uuid(), 'https://a.test', case when %(state)s = 'delivered' then '200' else '500' end,
    dispatcher.now() - interval '10 seconds', dispatcher.now() - interval '10 seconds' from made
"""

_WAITING = """
insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, next_attempt_at)
select id, id, %(webhook_id)s, dispatcher.new_idempotency_key(id), dispatcher.now() - %(due_s)s * interval '1 second'
from (select nextval('dispatcher.delivery_id') as id from generate_series(1, %(count)s)) ids
"""


@pytest.fixture
def sql(storage: Storage) -> Callable[..., list[Any]]:
    storage.transact(rows, "update dispatcher.figures_until set until = dispatcher.now() - interval '1 minute'")
    return lambda text, **parameters: storage.transact(rows, text, **parameters)


def test_what_was_finished_is_counted_once(
    storage: Storage, account: Account, webhook: Webhook, sql: Callable[..., list[Any]]
) -> None:
    sql(_FINISHED, webhook_id=webhook.id, state="delivered", took_s=0.1, count=90)
    sql(_FINISHED, webhook_id=webhook.id, state="delivered", took_s=4, count=10)
    sql(_FINISHED, webhook_id=webhook.id, state="failed", took_s=1, count=3)

    for _ in range(3):
        storage.transact(rollups.count)

    for id_ in (account.id, rollups.ALL_ACCOUNTS):
        hour: Any = storage.transact(rollups.last_hour, id_)
        assert [(one.delivered, one.failed, one.retried) for one in hour.minutes] == [(100, 3, 0)]
        assert 0.1 <= hour.p50_s <= 0.125
        assert 4 <= hour.p95_s <= 5
    (day,) = storage.transact(rollups.last_day, [webhook.id])[webhook.id]
    assert (day.delivered, day.failed) == (100, 3)


def test_two_that_count_at_once_count_nothing_twice(
    storage: Storage, webhook: Webhook, sql: Callable[..., list[Any]]
) -> None:
    sql(_FINISHED, webhook_id=webhook.id, state="delivered", took_s=0.1, count=500)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: storage.transact(rollups.count), range(4)))

    (minute,) = storage.transact(rollups.last_hour).minutes
    assert minute.delivered == 500


def test_a_try_that_failed_and_left_another_is_a_retry(
    storage: Storage, webhook: Webhook, sql: Callable[..., list[Any]]
) -> None:
    sql(_WAITING, webhook_id=webhook.id, due_s=0, count=2)
    sql("insert into dispatcher.attempts (delivery_id, number, request_id, url, status, started_at, finished_at)"
        " select id, 1, gen_random_uuid(), 'https://a.test', '503', now() - interval '9 s', now() - interval '9 s'"
        " from dispatcher.deliveries_waiting")  # fmt: skip
    storage.transact(rollups.count)

    (minute,) = storage.transact(rollups.last_hour).minutes
    assert (minute.delivered, minute.failed, minute.retried) == (0, 0, 2)


def test_what_is_too_young_is_left_for_the_next_time(
    storage: Storage, webhook: Webhook, sql: Callable[..., list[Any]]
) -> None:
    sql(_FINISHED, webhook_id=webhook.id, state="delivered", took_s=0.1, count=5)

    assert storage.transact(rollups.count, lag_s=30) is True
    assert storage.transact(rollups.last_hour).minutes == ()
    storage.transact(rollups.count)
    assert storage.transact(rollups.last_hour).minutes[0].delivered == 5


def test_old_figures_are_dropped(storage: Storage, webhook: Webhook, sql: Callable[..., list[Any]]) -> None:
    sql("insert into dispatcher.figures_by_minute (account_id, minute) values (0, now() - interval '3 hours')")
    sql("insert into dispatcher.figures_by_hour (webhook_id, hour) values (1, now() - interval '3 days'), (1, now())")
    storage.transact(rollups.prune)

    assert sql("select count(*) from dispatcher.figures_by_minute") == [(0,)]
    assert sql("select count(*) from dispatcher.figures_by_hour") == [(1,)]


def test_what_waits_is_counted_for_an_account_and_for_all(
    storage: Storage, account: Account, webhook: Webhook, sql: Callable[..., list[Any]]
) -> None:
    other = a_webhook(storage, an_account(storage, "other"))
    sql(_WAITING, webhook_id=webhook.id, due_s=30, count=3)
    sql(_WAITING, webhook_id=other.id, due_s=90, count=2)

    mine: Any = storage.transact(overview.pending_summary, account.id)
    of_all: Any = storage.transact(overview.pending_summary)

    assert (mine.deliveries, mine.is_exact, of_all.deliveries, of_all.is_exact) == (3, True, 5, True)
    assert 30 <= mine.due_age_s < 60
    assert 90 <= of_all.due_age_s < 120
    sql("update dispatcher.webhooks set active = false")
    assert storage.transact(overview.pending_summary).due_age_s is None  # what waits there, waits on purpose


def test_webhooks_in_trouble_come_in_order(storage: Storage, account: Account, sql: Callable[..., list[Any]]) -> None:
    well, late, failing, off = (a_webhook(storage, account).id for _ in range(4))
    sql(_WAITING, webhook_id=late, due_s=120, count=2)
    sql("update dispatcher.webhooks set failing_since = now() where id = %(id)s", id=failing)
    sql("update dispatcher.webhooks set active = false, deactivated_at = now(), deactivated_reason = 'gone'"
        " where id = %(id)s",
        id=off)  # fmt: skip

    for id_ in (account.id, None):
        found = storage.transact(overview.failing_webhooks, id_)
        assert [one.id for one in found] == [off, failing, late]
        assert (found[2].waiting, found[0].deactivated_reason) == (2, "gone")
    assert well not in [one.id for one in found]
    assert storage.transact(overview.failing_webhooks, an_account(storage, "other").id) == []


_WEBHOOKS = """
insert into dispatcher.webhooks (account_id, webhook_url, signing_secret_encrypted, events)
select %(account_id)s, 'https://a.test', '', '{invoice_paid}' from generate_series(1, %(count)s)
"""
_ONE_EACH = """
insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, next_attempt_at)
select nextval('dispatcher.delivery_id'), 1, id, gen_random_uuid(), now() from dispatcher.webhooks where id > %(after)s
"""

BIG = ("deliveries", "deliveries_waiting", "attempts", "events", "events_waiting", "webhooks")


def test_no_query_of_the_overview_reads_a_big_table_whole(
    storage: Storage, account: Account, sql: Callable[..., list[Any]]
) -> None:
    other = an_account(storage, "other")
    for id_, count in ((account.id, 300), (other.id, 1_000)):
        sql(_WEBHOOKS, account_id=id_, count=count)
    (first,) = sql("select min(id) from dispatcher.webhooks")[0]
    sql(_WAITING, webhook_id=first, due_s=90, count=12_000)
    sql(_ONE_EACH, after=first)
    sql(
        "insert into dispatcher.events_waiting (event_id, account_id, name) select n, 1, 'x'"
        " from generate_series(1, 11000) n"
    )
    sql(_FINISHED, webhook_id=first, state="delivered", took_s=0.1, count=5_000)
    with storage.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        tables = "deliveries", "attempts", "events_waiting", "webhooks", "accounts"
        connection.exec_driver_sql("vacuum analyze " + ", ".join(f"dispatcher.{table}" for table in tables))
    plans: list[str] = []

    class Explained:
        """Runs each statement, and keeps its plan."""

        def __init__(self, connection: Any) -> None:
            self.connection = connection
            self.dialect = connection.dialect

        def exec_driver_sql(self, text: str, parameters: Any = None) -> Any:
            explained = self.connection.exec_driver_sql("explain (analyze, buffers) " + text, parameters)
            plans.append("\n".join(line for (line,) in explained.fetchall()))
            return self.connection.exec_driver_sql(text, parameters)

    def ask(connection: Any) -> None:
        asked: Any = Explained(connection)
        for id_ in (None, account.id):
            rollups.last_hour(asked, id_ or 0)
            overview.pending_summary(asked, id_)
            overview.failing_webhooks(asked, id_)

    storage.transact(ask)

    assert len(plans) == 6
    read_whole = [name for plan in plans for name in re.findall(r"Seq Scan on (\w+)", plan)]
    assert [name for name in read_whole if name.startswith(BIG)] == []
    assert max(float(re.findall(r"Execution Time: ([0-9.]+)", plan)[0]) for plan in plans) < 1_000
    assert storage.transact(overview.pending_summary).is_exact is False


def test_a_count_of_figures_finds_its_rows_by_index(
    storage: Storage, webhook: Webhook, sql: Callable[..., list[Any]]
) -> None:
    sql(_FINISHED, webhook_id=webhook.id, state="delivered", took_s=0.1, count=5_000)
    sql("update dispatcher.deliveries set updated_at = now() - interval '3 hours'")
    sql("update dispatcher.attempts set finished_at = now() - interval '3 hours'")
    sql(_FINISHED, webhook_id=webhook.id, state="failed", took_s=0.1, count=100)
    with storage.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("vacuum full analyze dispatcher.deliveries, dispatcher.attempts")
    plans: list[str] = []

    def count(connection: Any) -> None:
        since, until = rows(connection, rollups._SPAN, lag_s=0)[0]
        parameters = {
            "since": since,
            "until": until,
            "first_day": since.date(),
            "last_day": until.date(),
            "growth": 1.25,
            "last_bucket": 95,
            "cap": 100,
        }
        plans.extend(line for (line,) in rows(connection, "explain " + rollups._COUNT, **parameters))

    storage.transact(count)

    text = "\n".join(plans)
    assert len(re.findall(r"Bitmap Index Scan on (?:deliveries|attempts)_\d+\w*", text)) == 2, text
    today = f"{datetime.now(UTC):%Y%m%d}"  # a day before is empty, where tests run over midnight
    assert re.findall(rf"Seq Scan on (deliveries_{today}|attempts_{today})", text) == []
