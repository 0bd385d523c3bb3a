"""Pages of the deliveries of one event: all of them are found, and no page reads more than so many."""

import itertools
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.storage.engine import array
from dispatcher.storage.reads import deliveries, delivery_pages
from dispatcher.storage.reads.delivery_pages import Page
from tests.integration.storage.conftest import Steps
from tests.support.builders import a_webhook, an_account

DAYS, FINISHED, WAITING = 5, 300, 30


@pytest.fixture(scope="module")
def steps(kept: Steps) -> Steps:
    return kept


@pytest.fixture(scope="module")
def history(steps: Steps) -> list[int]:
    """The ids of five webhooks, the first of which has four deliveries of five; every 19th event is another."""
    hooks = [a_webhook(steps.storage, steps.account).id for _ in range(5)]
    steps.rows(
        "select dispatcher.create_partitions(current_date - n) from generate_series(0, %(days)s - 1) n", days=DAYS
    )
    steps.rows(
        "with made as (select n, nextval('dispatcher.delivery_id') as id,"
        " %(days)s - 1 - (n - 1) * %(days)s / %(all)s as age"
        "  from generate_series(1, %(all)s) n order by n),"
        " stored as (insert into dispatcher.events (id, account_id, name, body, created_at)"
        "  select (extract(epoch from current_date - age)::bigint - 1577836800) << 23 | n, %(account)s,"
        "  case when n = 3 then 'invoice_overdue' when mod(n, 19) = 0 then 'invoice_sent' else 'invoice_paid' end,"
        "  '{}', now() - make_interval(days => age) from made returning id, mod(id, 1 << 23) as n)"
        " insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, state, created_at, finished_on)"
        " select made.id, stored.id, (%(hooks)s::int[])[case when mod(n, 5) > 0 then 1 else mod(n / 5, 5) + 1 end],"
        "  dispatcher.new_idempotency_key(made.id), case when n > %(finished)s then 'pending' else 'delivered' end,"
        "  now() - make_interval(days => age), case when n <= %(finished)s then current_date - age end"
        " from made join stored using (n)",
        days=DAYS, all=FINISHED + WAITING, finished=FINISHED, account=steps.account.id, hooks=hooks,
    )  # fmt: skip
    steps.analyze()
    return hooks


def pages(steps: Steps, **wanted: Any) -> Iterator[Page]:
    """Page by page, to the end."""
    before = None
    while True:
        page = steps.storage.transact(delivery_pages.page, "applecorp", before=before, **wanted)
        yield page
        if page.before is None:
            return
        assert before is None or page.before < before
        before = page.before


def stored(steps: Steps, condition: str = "true", **parameters: Any) -> list[int]:
    """Ids of the deliveries for which it holds, newest first."""
    sql = (
        f"select d.id from dispatcher.deliveries d join dispatcher.events e on e.id = d.event_id where {condition}"
        f" order by 1 desc"
    )
    return [id_ for (id_,) in steps.rows(sql, **parameters)]


def test_all_of_an_event_are_found_in_order_whatever_a_page_may_read(steps: Steps, history: list[int]) -> None:
    names, all_scans = ("invoice_sent", "invoice_overdue", "expense_paid"), ((10, 25), (100, 1_000, 1_000))
    for name, scans in [("invoice_sent", (1,)), *itertools.product(names, all_scans)]:
        found = list(pages(steps, event_name=name, limit=7, scans=scans))

        ids = [one.id for page in found for one in page.deliveries]
        assert ids == stored(steps, "e.name = %(name)s", name=name), (name, scans)
        assert {one.event_name for page in found for one in page.deliveries} <= {name}
        assert max(len(page.deliveries) for page in found) <= 7


def test_what_else_narrows_a_list_narrows_these_pages(steps: Steps, history: list[int]) -> None:
    def ids(**wanted: Any) -> list[int]:
        found = pages(steps, event_name="invoice_sent", limit=7, scans=(10, 25), **wanted)
        return [one.id for page in found for one in page.deliveries]

    sent = "e.name = 'invoice_sent' and "
    assert ids(webhook_id=history[1]) == stored(steps, f"{sent} d.webhook_id = {history[1]}")
    assert ids(state="pending") == stored(steps, f"{sent} d.state = 'pending'")
    assert ids(state="delivered") == stored(steps, f"{sent} d.state = 'delivered'")
    ((middle,),) = steps.rows("select created_at from dispatcher.deliveries order by id offset 150 limit 1")
    assert ids(since=middle) == stored(steps, f"{sent} d.created_at >= %(middle)s", middle=middle)
    assert ids(until=middle) == stored(steps, f"{sent} d.created_at < %(middle)s", middle=middle)
    one = stored(steps, f"{sent} true")[3]
    assert ids(ids=[one, one - 1]) == [one]


def test_what_was_created_before_a_time_begins_with_an_id(steps: Steps, history: list[int]) -> None:
    moments = steps.rows("select distinct created_at from dispatcher.deliveries order by 1")
    for (moment,) in [*moments, (moments[-1][0] + timedelta(days=9),)]:
        found = [one.id for page in pages(steps, until=moment, limit=100) for one in page.deliveries]
        assert found == stored(steps, "d.created_at < %(at)s", at=moment)
        later = stored(steps, "d.created_at >= %(at)s and d.finished_on is not null", at=moment + timedelta(hours=1))
        assert steps.storage.read(delivery_pages.first_id, moment) == (later[-1] if later else None)


def test_a_page_reads_no_more_than_it_may_and_says_that_older_ones_may_follow(steps: Steps, history: list[int]) -> None:
    page = steps.storage.transact(delivery_pages.page, "applecorp", event_name="invoice_overdue", scans=(100, 100))

    assert page.deliveries == ()
    passed = len(stored(steps, "d.id >= %(before)s", before=page.before))
    assert 100 <= passed <= 200


def test_a_full_page_and_the_last_one_are_told_apart(steps: Steps, history: list[int]) -> None:
    (first, *_, last) = pages(steps, limit=30)
    assert first.before == first.deliveries[-1].id
    assert (len(last.deliveries), last.before) == (30, None)  # 330 are whole pages

    (only,) = pages(steps, event_name="invoice_sent", limit=len(stored(steps, "e.name = 'invoice_sent'")))
    assert only.before is None


def test_an_account_without_webhooks_has_an_empty_page(steps: Steps) -> None:
    an_account(steps.storage, "pearcorp")

    page = steps.storage.transact(delivery_pages.page, "pearcorp", event_name="invoice_paid")

    assert page == delivery_pages.Page(deliveries=(), before=None)


def test_a_scan_is_read_by_indexes(steps: Steps, history: list[int]) -> None:
    for state in (None, "failed", "delivered"):
        check_that_indexes_are_used(steps, history, state)


def check_that_indexes_are_used(steps: Steps, history: list[int], state: str | None) -> None:
    wanted = deliveries.filter_parameters(state=state)
    parameters = {
        **wanted,
        "slug": "applecorp",
        "event_name": "invoice_sent",
        "webhook_ids": array(history),
        "places": array([2**62] * 5),
        "shares": array([20] * 5),
    }
    sql = "explain " + delivery_pages._scan_sql(deliveries.conditions(wanted))
    plan = "\n".join(line for (line,) in steps.rows(sql, **parameters))

    filled = {f"{day:%Y%m%d}" for (day,) in steps.rows("select current_date - n from generate_series(0, 4) n")}
    assert set(re.findall(r"Seq Scan on (?:events|deliveries)_(\d+)", plan)) & filled == set()
    index = "webhook_id_id_idx" if state == "failed" else "by_webhook"
    of_deliveries = re.findall(r"Index Scan Backward using (\w+) on deliveries_(\d{8}).*\n.*Index Cond: (.*)", plan)
    assert {day for name, day, _ in of_deliveries if name.endswith(index)} >= filled
    assert all("webhook_id" in condition for *_, condition in of_deliveries)
    of_events = re.findall(r"Index Scan using events_(\d{8})_\w+ .*\n.*Index Cond: (.*)", plan)
    assert {day for day, condition in of_events if "id = ANY" in condition} >= filled
