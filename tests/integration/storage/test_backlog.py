"""What waits: counted while it is little, estimated when it is much."""

from typing import Any

import pytest

from dispatcher.model.account import Account
from dispatcher.model.webhook import Webhook
from dispatcher.storage.engine import Storage
from dispatcher.storage.stats import backlog, table_sizes
from dispatcher.storage.stats.backlog import Backlog, WebhookBacklog
from tests.integration.storage.conftest import Steps
from tests.support.builders import a_draft, a_webhook

_MANY = """
insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, next_attempt_at, lease_token)
select nextval('dispatcher.delivery_id'), n, %(id)s, gen_random_uuid(),
    now() + make_interval(secs => case when n %% 4 = 0 then -60 else 60 end),
    case when n %% 4 = 1 then gen_random_uuid() end
from generate_series(1, %(count)s) n
"""


def look(steps: Steps, also: Any = ()) -> tuple[Backlog, list[WebhookBacklog]]:
    return steps.storage.read(backlog.measure, also)


def test_the_backlog_counts_what_waits(steps: Steps, webhook: Webhook) -> None:
    steps.emit()
    steps.fan_out()
    steps.emit(a_draft("invoice_sent"), a_draft("invoice_sent"))
    found, _ = look(steps)

    assert (found.events_waiting, found.due, found.retrying, found.leased) == (2, 1, 0, 0)
    assert found.is_exact
    ages_s: Any = (found.oldest_event_age_s, found.oldest_due_age_s)
    assert 0 <= min(ages_s) <= max(ages_s) < 60

    claimed = steps.claim_one(webhook.id)
    assert look(steps)[0].leased == 1
    steps.record(claimed, "503", retry_in_s=20)
    found, _ = look(steps)
    assert (found.due, found.retrying, found.leased, found.oldest_due_age_s) == (0, 1, 0, None)


def test_an_empty_backlog_has_no_ages(steps: Steps) -> None:
    found, webhooks = look(steps)

    assert (found.events_waiting, found.deliveries, found.oldest_event_age_s, found.oldest_due_age_s) == (
        0,
        0,
        None,
        None,
    )
    assert webhooks == []


def test_the_webhooks_with_the_most_waiting_come_first(
    steps: Steps, storage: Storage, account: Account, webhook: Webhook
) -> None:
    busy = a_webhook(storage, account, events=["invoice_paid", "invoice_sent"])
    steps.emit(a_draft(), a_draft("invoice_sent"), a_draft("invoice_sent"))
    steps.fan_out()
    steps.rows("update dispatcher.webhooks set active = false where id = %(id)s", id=webhook.id)

    _found, webhooks = look(steps)

    assert [(one.webhook_id, one.waiting, one.active) for one in webhooks] == [
        (busy.id, 3, True),
        (webhook.id, 1, False),
    ]


def test_what_waits_for_an_inactive_webhook_is_not_due(steps: Steps, webhook: Webhook) -> None:
    steps.emit()
    steps.fan_out()
    steps.rows("update dispatcher.webhooks set active = false where id = %(id)s", id=webhook.id)

    found, _ = look(steps)

    assert (found.due, found.inactive, found.oldest_due_age_s) == (0, 1, None)


def test_much_is_estimated_and_the_age_of_the_oldest_is_exact(
    steps: Steps, storage: Storage, account: Account, webhook: Webhook
) -> None:
    count = 25_000
    steps.rows(_MANY, id=webhook.id, count=count)
    late = a_webhook(storage, account)
    steps.rows(_MANY, id=late.id, count=4)
    steps.rows(
        "update dispatcher.deliveries set next_attempt_at = now() - interval '1 h'"
        " where webhook_id = %(id)s and finished_on is"
        " null and next_attempt_at < now()",
        id=late.id,
    )
    steps.rows("analyze dispatcher.deliveries_waiting")

    found, webhooks = look(steps, also=[late.id])

    assert not found.is_exact
    assert found.deliveries == pytest.approx(count, rel=0.05)
    assert found.due == pytest.approx(count / 4, rel=0.05)
    assert found.leased == pytest.approx(count / 4, rel=0.05)
    assert found.oldest_due_age_s == pytest.approx(3_600, abs=60)
    assert webhooks[0].webhook_id == webhook.id


def test_without_statistics_much_is_estimated_from_the_size_of_the_table(
    steps: Steps, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "EXACT", 500)
    monkeypatch.setattr(backlog, "RANGES", 4)
    with steps.another_session() as connection:  # uncommitted to others, unknown to the statistics
        connection.exec_driver_sql(_MANY, {"id": webhook.id, "count": 5_000})
        found, _ = backlog.measure(connection)

    assert not found.is_exact
    assert found.deliveries == pytest.approx(5_000, rel=0.1)


def test_history_is_told_by_statistics(steps: Steps, webhook: Webhook) -> None:
    steps.emit(*(a_draft() for _ in range(20)))
    steps.fan_out()
    for claimed in steps.claim({webhook.id: 20}).claimed[:15]:
        steps.record(claimed, "200")
    steps.rows("analyze dispatcher.deliveries")

    assert steps.storage.read(table_sizes.finished_by_state) == {"delivered": 15}
    tables = {one.table: one for one in steps.storage.read(table_sizes.partitions)}
    assert {one.days_ahead for one in tables.values()} <= {7, 8}  # 7 since a midnight after the tables were made
    assert set(tables) == {"events", "deliveries", "attempts"}
