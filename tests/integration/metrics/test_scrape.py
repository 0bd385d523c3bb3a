"""What a scrape tells of a flow that really ran."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dispatcher.broker.queue import Queue
from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.model.counters import BOUNDS_S
from dispatcher.model.credentials import ClientCertificate
from dispatcher.model.health import Health
from dispatcher.model.webhook import Webhook
from dispatcher.pipeline import first_attempts
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline import deliveries
from tests.conftest import ShiftTime
from tests.integration.pipeline.conftest import Flow
from tests.support.builders import a_webhook, an_event
from tests.support.fakes import FakeQueue
from tests.support.receiver import Answer, Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture
def flow(container: Container, queue: FakeQueue, account: Account, monkeypatch: pytest.MonkeyPatch) -> Flow:
    monkeypatch.setattr(first_attempts, "ROOM", 0)
    return Flow(container, queue)


def test_attempts_and_times_are_counted_as_they_are_recorded(
    flow: Flow, receiver: Receiver, storage: Storage, account: Account, read: Callable[..., float]
) -> None:
    a_webhook(storage, account, receiver.url("/hook"))
    receiver.script("/hook", Answer(status=503), Answer())

    flow.run(an_event(), an_event())
    assert read("dispatcher_attempts_total", outcome="2xx") == 1
    assert read("dispatcher_attempts_total", outcome="5xx") == 1
    flow.make_due()
    flow.deliver(*[row[0] for row in flow.sql("select id from dispatcher.webhooks")])

    assert read("dispatcher_attempts_total", outcome="2xx") == 2
    assert read("dispatcher_deliveries_finished_total", state="delivered") == 2
    assert read("dispatcher_first_attempt_seconds_count") == 2
    assert read("dispatcher_delivered_seconds_count") == 2
    assert read("dispatcher_delivered_seconds_bucket", le="+Inf") == 2
    assert 0 < read("dispatcher_delivered_seconds_sum") < 20
    assert read("dispatcher_delivered_seconds_bucket", le=str(BOUNDS_S[-1])) == 2


def test_client_certificates_that_end_soon_are_counted(
    storage: Storage, account: Account, read: Callable[..., float]
) -> None:
    for days, active in ((-1, True), (29, True), (29, False), (31, True)):
        ends = datetime.now(UTC) + timedelta(days=days)
        shown = ClientCertificate(certificate="PEM", private_key="PEM", subject="CN=us", expires_at=ends)
        a_webhook(storage, account, active=active, client_certificate=shown)
    a_webhook(storage, account)

    assert read("dispatcher_client_certificates_expiring") == 2


def test_the_time_from_the_emit_is_that_of_postgres_clock(
    flow: Flow,
    receiver: Receiver,
    storage: Storage,
    account: Account,
    read: Callable[..., float],
    shift_time: ShiftTime,
) -> None:
    a_webhook(storage, account, receiver.url("/hook"))
    flow.emit()
    ids = flow.fan_out()
    shift_time(1_000)
    flow.deliver(*ids)

    assert 990 < read("dispatcher_first_attempt_seconds_sum") < 1_020


def test_an_event_that_says_it_is_old_is_counted_from_its_emit(
    flow: Flow, receiver: Receiver, storage: Storage, account: Account, read: Callable[..., float]
) -> None:
    a_webhook(storage, account, receiver.url("/hook"))
    flow.run(an_event(created_at=datetime(2024, 1, 1, tzinfo=UTC)))

    assert read("dispatcher_first_attempt_seconds_sum") < 20


def test_a_replay_is_no_late_delivery(
    flow: Flow, receiver: Receiver, storage: Storage, account: Account, read: Callable[..., float]
) -> None:
    a_webhook(storage, account, receiver.url("/hook"))
    flow.run()
    (delivery,) = flow.deliveries()
    webhook_id: Any = storage.transact(deliveries.replay, delivery.id, 3)
    flow.deliver(webhook_id)

    assert read("dispatcher_attempts_total", outcome="2xx") == 2
    assert read("dispatcher_delivered_seconds_count") == 1


def test_losses_and_what_was_not_done_twice_are_counted(
    flow: Flow,
    receiver: Receiver,
    storage: Storage,
    account: Account,
    webhook: Webhook,
    read: Callable[..., float],
    caplog: pytest.LogCaptureFixture,
) -> None:
    flow.emit(an_event(idempotency_key="once"))
    flow.emit(an_event(idempotency_key="once"))
    assert read("dispatcher_duplicates_prevented_total", step="emit") == 1
    flow.fan_out()
    storage.transact(
        deliveries.claim,
        storage.secrets,
        {webhook.id: 1},
        token="00000000-0000-4000-8000-000000000000",
        lease=timedelta(seconds=60),
        loss_limit=10,
    )
    flow.make_due()
    flow.deliver(webhook.id)

    assert read("dispatcher_leases_lost_total") == 1
    records: Any = caplog.records
    (lost,) = [record.msg for record in records if record.msg.startswith("delivery.lost")]
    assert lost.fields["key"] == str(flow.deliveries()[0].idempotency_key)


def test_what_is_due_is_told_by_the_queue_of_its_webhooks_health(
    flow: Flow, storage: Storage, account: Account, read: Callable[..., float], container: Container
) -> None:
    well, slow, paused = (a_webhook(storage, account, events=[name]) for name in ("invoice_paid",) * 3)
    flow.emit(an_event(), an_event())
    flow.fan_out()
    flow.sql(
        "update dispatcher.deliveries set next_attempt_at = now() - interval '100 s' where webhook_id = %(id)s",
        id=slow.id,
    )
    container.schedule.store_healths(
        {slow.id: Health(window=1.0), paused.id: Health(window=1.0, consecutive_failures=10)}
    )
    container.schedule._redis.zadd("dispatcher:paused", {str(paused.id): 10**15})

    due = {
        queue: read("dispatcher_deliveries_due", queue=queue) for queue in ("deliveries", "deliveries.slow", "paused")
    }
    assert due == {"deliveries": 2, "deliveries.slow": 2, "paused": 2}
    assert read("dispatcher_deliveries_due_oldest_seconds", queue="deliveries.slow") == pytest.approx(100, abs=30)
    assert read("dispatcher_deliveries_due_oldest_seconds", queue="deliveries") < 50
    of_paused = {"webhook_id": str(paused.id), "account": account.slug}
    assert read("dispatcher_webhook_breaker_open", **of_paused) == 1
    assert read("dispatcher_webhook_window", **of_paused) == 1
    assert read("dispatcher_webhook_paused_seconds", **of_paused) > 0
    assert read("dispatcher_schedule_webhooks", set="paused") == 1
    assert well.id != slow.id


def test_the_number_of_series_does_not_depend_on_that_of_webhooks(
    flow: Flow, storage: Storage, account: Account, webhook: Webhook, scraped: Callable[[], dict[Any, float]]
) -> None:
    flow.sql(
        "insert into dispatcher.webhooks (account_id, webhook_url, signing_secret_encrypted, events)"
        " select account_id, webhook_url, signing_secret_encrypted, events"
        " from dispatcher.webhooks, generate_series(1, 3000)"
    )
    flow.emit()
    flow.fan_out()

    found = scraped()
    assert len(found) <= 1_000
    waiting = {
        dict(labels)["webhook_id"]: value
        for (name, labels), value in found.items()
        if name == "dispatcher_webhook_deliveries_pending"
    }
    assert len(waiting) == 21
    assert sum(waiting.values()) == 3_001


def test_a_part_that_is_down_leaves_its_figures_out(
    container: Container, read: Callable[..., float], scraped: Callable[[], dict[Any, float]]
) -> None:
    container.queue = Queue("redis://127.0.0.1:1/0")

    assert read("dispatcher_up", part="broker") == 0
    assert read("dispatcher_up", part="postgres") == 1
    assert not [name for name, _ in scraped() if name == "dispatcher_queue_messages"]
