"""Opt-in order of one resource's deliveries, and updates that give way to newer ones."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.model.webhook import Webhook
from dispatcher.pipeline.emit import NewEvent
from dispatcher.storage.engine import Storage
from tests.integration.pipeline.conftest import Flow
from tests.support.builders import a_webhook, an_event
from tests.support.receiver import Answer, Receiver

EVENTS = ["invoice_created", "invoice_updated", "invoice_sent", "invoice_paid"]


def about(id_: int, name: str = "invoice_updated") -> NewEvent:
    body = {"invoice": {"id": id_}}
    return an_event(name, body=body | ({"payment": {"id": 1}} if name == "invoice_paid" else {}))


@pytest.fixture
def ordered(storage: Storage, account: Account, receiver: Receiver) -> Webhook:
    return a_webhook(storage, account, receiver.url("/"), EVENTS, ordering="resource")


def sent(receiver: Receiver) -> list[tuple[int, str]]:
    return [
        (json.loads(request.body)["body"]["invoice"]["id"], json.loads(request.body)["event_name"])
        for request in receiver.requests
    ]


def test_deliveries_of_one_resource_go_out_one_at_a_time_in_the_order_of_their_events(
    ordered: Webhook, flow: Flow, receiver: Receiver
) -> None:
    for name in EVENTS:
        flow.emit(about(1, name))
    flow.fan_out()

    flow.deliver(ordered.id)
    assert sent(receiver) == [(1, name) for name in EVENTS]


def test_a_failing_head_holds_back_its_own_resource_only(ordered: Webhook, flow: Flow, receiver: Receiver) -> None:
    receiver.script("/", Answer(status=500))
    flow.emit(about(1, "invoice_created"), about(1, "invoice_sent"))
    flow.fan_out()
    flow.deliver(ordered.id)
    receiver.script("/", Answer(status=200))
    flow.emit(about(2, "invoice_created"), about(1, "invoice_paid"))
    flow.fan_out()
    flow.deliver(ordered.id)

    assert sent(receiver) == [(1, "invoice_created"), (2, "invoice_created")]
    assert flow.states() == ["pending", "pending", "delivered", "pending"]


def test_a_head_that_is_finally_failed_lets_the_next_go(ordered: Webhook, flow: Flow, receiver: Receiver) -> None:
    receiver.script("/", Answer(status=500))
    flow.emit(about(1, "invoice_created"), about(1, "invoice_sent"))
    flow.fan_out()
    for _ in range(6):
        flow.deliver(ordered.id)
        flow.sql(
            "update dispatcher.deliveries set next_attempt_at = now() where finished_on is null and attempt_count > 0"
        )
    receiver.script("/", Answer(status=200))
    flow.deliver(ordered.id)

    assert flow.states() == ["failed", "delivered"]
    assert sent(receiver)[-1] == (1, "invoice_sent")


def test_reconcile_lets_go_what_a_dead_worker_left_held_back(
    ordered: Webhook, flow: Flow, container: Container
) -> None:
    flow.emit(about(1, "invoice_created"), about(1, "invoice_sent"))
    flow.fan_out()
    flow.sql(
        "update dispatcher.deliveries set state = 'cancelled', finished_on = now()::date"
        " where id = (select min(id) from dispatcher.deliveries)"
    )

    container.reconciler.reconcile()
    assert flow.deliver(ordered.id).delivered == 1


def test_reconcile_lets_all_go_where_order_is_not_wanted_any_more(
    ordered: Webhook, flow: Flow, container: Container
) -> None:
    flow.emit(about(1, "invoice_created"), about(1, "invoice_sent"), about(1, "invoice_paid"))
    flow.fan_out()
    flow.sql("update dispatcher.webhooks set ordering = 'none'")

    container.reconciler.reconcile()
    assert flow.deliver(ordered.id).delivered == 3


def test_without_order_nothing_is_held_back(storage: Storage, account: Account, receiver: Receiver, flow: Flow) -> None:
    webhook = a_webhook(storage, account, receiver.url("/"), EVENTS)
    flow.emit(about(1, "invoice_created"), about(1, "invoice_sent"))
    flow.fan_out()

    assert flow.sql("select count(*) from dispatcher.deliveries where resource is null")[0][0] == 2
    assert flow.deliver(webhook.id).delivered == 2


@pytest.fixture
def superseding(storage: Storage, account: Account, receiver: Receiver) -> Webhook:
    return a_webhook(storage, account, receiver.url("/"), EVENTS, superseding=True)


def test_a_waiting_update_gives_way_to_a_newer_one_of_its_resource(
    superseding: Webhook, flow: Flow, receiver: Receiver
) -> None:
    flow.emit(about(1), about(2), about(1, "invoice_sent"))
    flow.fan_out()
    flow.emit(about(1))
    flow.fan_out()

    flow.deliver(superseding.id)
    assert flow.states() == ["superseded", "delivered", "delivered", "delivered"]
    assert sorted(sent(receiver)) == [(1, "invoice_sent"), (1, "invoice_updated"), (2, "invoice_updated")]


def test_of_updates_that_come_together_only_the_newest_is_sent(
    superseding: Webhook, flow: Flow, receiver: Receiver
) -> None:
    flow.emit(about(1), about(1), about(1))
    flow.fan_out()

    flow.deliver(superseding.id)
    assert flow.states() == ["superseded", "superseded", "delivered"]


def test_an_update_that_is_on_its_way_does_not_give_way(superseding: Webhook, flow: Flow) -> None:
    flow.emit(about(1))
    flow.fan_out()
    flow.sql(
        "update dispatcher.deliveries set lease_token = gen_random_uuid(), next_attempt_at = now() + interval '1 min'"
    )
    flow.emit(about(1))
    flow.fan_out()

    assert flow.states() == ["pending", "pending"]


def test_an_update_given_up_as_outdated_lets_the_next_of_its_resource_go(
    storage: Storage, account: Account, receiver: Receiver, flow: Flow
) -> None:
    webhook = a_webhook(storage, account, receiver.url("/"), EVENTS, superseding=True, ordering="resource")
    flow.emit(about(1))
    flow.fan_out()
    flow.sql(
        "update dispatcher.deliveries set lease_token = gen_random_uuid(), next_attempt_at = now() + interval '1 min'"
    )
    flow.emit(about(1))
    flow.fan_out()
    assert flow.deliver(webhook.id).delivered == 0
    flow.sql("update dispatcher.deliveries set next_attempt_at = now() - interval '1 s' where lease_token is not null")

    flow.deliver(webhook.id)
    flow.deliver(webhook.id)
    assert flow.states() == ["superseded", "delivered"]
    assert len(receiver.requests) == 1


def test_a_failed_update_makes_room_for_the_newer_one_at_once(
    storage: Storage, account: Account, receiver: Receiver, flow: Flow
) -> None:
    webhook = a_webhook(storage, account, receiver.url("/"), EVENTS, superseding=True, ordering="resource")
    receiver.script("/", Answer(status=500, delay_s=0.3), Answer(status=200))
    flow.emit(about(1))
    handed_out = flow.fan_out()
    with ThreadPoolExecutor(1) as pool:
        draining = pool.submit(flow.deliver, *handed_out)
        receiver.wait_for(1)
        flow.emit(about(1))
        flow.fan_out()
        draining.result()

    flow.deliver(webhook.id)
    assert flow.states() == ["superseded", "delivered"]
