import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dispatcher.ids import delivery_id_of
from dispatcher.model.account import Account
from dispatcher.model.webhook import Webhook
from dispatcher.storage.admin import clients, webhooks
from dispatcher.storage.admin.clients import SCOPES
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline import events
from tests.integration.storage.conftest import Steps
from tests.support.builders import a_draft, a_webhook, an_account


def made(steps: Steps) -> list[Any]:
    return steps.rows("select event_id, webhook_id from dispatcher.deliveries order by 1, 2")


def test_each_webhook_of_the_account_that_wants_the_event_gets_a_delivery(
    steps: Steps, storage: Storage, account: Account
) -> None:
    wants = a_webhook(storage, account, events=["invoice_sent", "invoice_paid"])
    also = a_webhook(storage, account)
    a_webhook(storage, account, events=["invoice_sent"])
    a_webhook(storage, account, active=False)
    a_webhook(storage, an_account(storage, "pearcorp"))
    deleted = a_webhook(storage, account)
    storage.transact(webhooks.delete, account.id, deleted.id)
    (event,) = steps.emit()

    done = steps.fan_out()

    assert made(steps) == [(event.id, wants.id), (event.id, also.id)]
    assert (done.event_count, done.delivery_count, set(done.webhook_ids)) == (1, 2, {wants.id, also.id})


def test_an_event_that_nobody_wants_leaves_the_outbox(steps: Steps) -> None:
    steps.emit()

    assert steps.fan_out().event_count == 1
    assert not steps.storage.transact(events.any_waiting)
    assert made(steps) == []


def test_a_batch_takes_so_many_events_the_oldest_first(steps: Steps, webhook: Webhook) -> None:
    stored = steps.emit(*(a_draft() for _ in range(5)))

    assert steps.fan_out(limit=2).event_count == 2
    assert [event for event, _ in made(steps)] == sorted(event.id for event in stored)[:2]
    assert steps.storage.transact(events.any_waiting)


def test_a_second_fan_out_finds_nothing(steps: Steps, webhook: Webhook) -> None:
    steps.emit()
    steps.fan_out()

    done = steps.fan_out()
    assert (done.event_count, done.delivery_count, done.webhook_ids) == (0, 0, ())


def test_two_fan_outs_at_once_make_no_delivery_twice(steps: Steps, storage: Storage, account: Account) -> None:
    hooks = [a_webhook(storage, account) for _ in range(3)]
    steps.emit(*(a_draft() for _ in range(1_000)))
    start = threading.Barrier(4)

    def fan_out(_: Any) -> list[Any]:
        start.wait()
        done = []
        while (batch := steps.fan_out(50)).event_count:
            done.append(batch)
        return done

    with ThreadPoolExecutor(4) as pool:
        batches = [batch for mine in pool.map(fan_out, range(4)) for batch in mine]

    assert sum(batch.event_count for batch in batches) == 1_000
    assert len(made(steps)) == len(set(made(steps))) == 1_000 * len(hooks)
    assert not steps.storage.transact(events.any_waiting)


def test_a_webhook_deleted_during_a_fan_out_leaves_nothing_pending(
    steps: Steps, storage: Storage, account: Account, webhook: Webhook
) -> None:
    steps.emit()
    with steps.another_session() as connection, ThreadPoolExecutor(1) as pool:
        assert events.fan_out(connection, 500).delivery_count == 1
        deleting = pool.submit(storage.transact, webhooks.delete, account.id, webhook.id)
        steps.wait_for_a_waiter()
        connection.commit()
        deleting.result()

    assert steps.rows("select state from dispatcher.deliveries") == [("cancelled",)]


def test_a_client_revoked_during_a_fan_out_leaves_nothing_pending(
    steps: Steps, storage: Storage, account: Account
) -> None:
    (client, _) = storage.transact(clients.create, account.id, "a test", [], SCOPES)
    a_webhook(storage, account, client_id=client.id)
    steps.emit()
    with steps.another_session() as connection, ThreadPoolExecutor(1) as pool:
        assert events.fan_out(connection, 500).delivery_count == 1
        deleting = pool.submit(storage.transact, webhooks.delete_of_client, client.id)
        steps.wait_for_a_waiter()
        connection.commit()
        assert deleting.result() == 1

    assert steps.rows("select state from dispatcher.deliveries") == [("cancelled",)]


def test_a_fan_out_during_a_deletion_makes_nothing_for_that_webhook(
    steps: Steps, storage: Storage, account: Account, webhook: Webhook
) -> None:
    other = a_webhook(storage, account)
    (event,) = steps.emit()
    with steps.another_session() as connection, ThreadPoolExecutor(1) as pool:
        webhooks.delete(connection, account.id, webhook.id)
        fanning_out = pool.submit(steps.fan_out)
        steps.wait_for_a_waiter()
        connection.commit()
        assert fanning_out.result().webhook_ids == (other.id,)

    assert made(steps) == [(event.id, other.id)]


def test_a_drain_that_notes_how_a_receiver_is_does_not_wait_for_a_fan_out(
    steps: Steps, storage: Storage, webhook: Webhook
) -> None:
    steps.emit()
    with steps.another_session() as connection:
        events.fan_out(connection, 500)
        storage.autocommit(webhooks.mark_failing, [webhook.id])  # it would wait for 5 s, and fail

    assert steps.value("select failing_since is not null from dispatcher.webhooks")


def test_a_fan_out_that_is_rolled_back_leaves_the_event_in_the_outbox(steps: Steps, webhook: Webhook) -> None:
    steps.emit()
    with steps.another_session() as connection:
        assert events.fan_out(connection, 500).event_count == 1
        assert steps.fan_out().event_count == 0  # the other holds it
        connection.rollback()

    assert steps.fan_out().event_count == 1


def test_idempotency_keys_are_uuid_v7_and_lead_back_to_their_delivery(steps: Steps, webhook: Webhook) -> None:
    steps.emit(*(a_draft() for _ in range(200)))
    steps.fan_out()
    found = steps.rows("select id, idempotency_key from dispatcher.deliveries order by id")

    assert len({key for _, key in found}) == 200
    for id_, key in found:
        assert (key.version, key.variant) == (7, "specified in RFC 4122")
        assert delivery_id_of(key) == id_
        assert abs((key.int >> 80) - found[0][1].int // 2**80) < 60_000


def test_postgres_refuses_an_unknown_state_and_one_in_the_wrong_part(steps: Steps) -> None:
    today = str(steps.value("select current_date"))
    unknown = [(state, today) for state in ("sent", "", "PENDING")]
    in_the_wrong_part = [("pending", "2026-01-01"), ("delivered", None), ("failed", None)]
    for rule, refused in (
        ("deliveries_state_is_known", unknown),
        ("deliveries_finish_with_their_state", in_the_wrong_part),
    ):
        for state, finished_on in refused:
            with pytest.raises(Exception, match=rule):
                steps.rows(
                    "insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, state, finished_on)"
                    " values (1, 1, 1, gen_random_uuid(), %(state)s, %(finished_on)s)",
                    state=state,
                    finished_on=finished_on,
                )


def test_postgres_refuses_a_second_delivery_of_an_event_to_a_webhook(steps: Steps, webhook: Webhook) -> None:
    steps.emit()
    steps.fan_out()
    with pytest.raises(Exception, match="deliveries_are_one_per_event_and_webhook"):
        steps.rows(
            "insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key)"
            " select id + 1, event_id, webhook_id, gen_random_uuid() from dispatcher.deliveries"
        )
