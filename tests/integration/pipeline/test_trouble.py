"""A webhook that is given up, and what its account's other webhooks hear of it."""

import json
from typing import Any

import pytest

from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.model.webhook import Webhook
from dispatcher.storage.admin import webhooks
from dispatcher.storage.engine import Storage
from dispatcher.webhooks import edit
from tests.conftest import ShiftTime
from tests.integration.pipeline.conftest import Flow
from tests.support.builders import a_webhook, an_event
from tests.support.receiver import Answer, Receiver

DAY_S = 86_400


@pytest.fixture
def hook(storage: Storage, account: Account, receiver: Receiver) -> Webhook:
    return a_webhook(storage, account, receiver.url("/hook?token=secret"))


@pytest.fixture
def operator(storage: Storage, account: Account, receiver: Receiver) -> Webhook:
    names = ["webhook_deactivated", "webhook_recovered", "delivery_failed"]
    return a_webhook(storage, account, receiver.url("/operator"), names)


def found(container: Container, account: Account, hook: Webhook) -> Webhook:
    return container.storage.transact(webhooks.find, container.storage.secrets, account.id, hook.id)


def told(flow: Flow, operator: Webhook, receiver: Receiver) -> list[dict[str, Any]]:
    flow.fan_out()
    flow.deliver(operator.id)
    return [json.loads(request.body) for request in receiver.requests if request.path == "/operator"]


def test_a_receiver_that_is_gone_makes_its_webhook_inactive_and_keeps_what_waits(
    flow: Flow, container: Container, account: Account, hook: Webhook, receiver: Receiver
) -> None:
    receiver.script("/hook", Answer(status=410))
    flow.run(*[an_event() for _ in range(30)])

    after = found(container, account, hook)
    assert not after.active
    assert after.deactivated_reason == "the receiver answered 410 Gone"
    assert after.deactivated_at is not None
    assert flow.states() == ["pending"] * 30
    assert len(receiver.requests) < 30
    assert container.drain_runner.run([hook.id]).delivered == 0


def test_nothing_but_failures_for_five_days_makes_a_webhook_inactive(
    flow: Flow,
    container: Container,
    account: Account,
    hook: Webhook,
    operator: Webhook,
    receiver: Receiver,
    shift_time: ShiftTime,
) -> None:
    receiver.script("/hook", Answer(status=500))
    flow.run()
    shift_time(4.9 * DAY_S)
    flow.make_due()
    flow.deliver(hook.id)
    assert found(container, account, hook).active

    shift_time(5.1 * DAY_S)
    flow.sql("update dispatcher.deliveries set next_attempt_at = dispatcher.now() where finished_on is null")
    flow.deliver(hook.id)
    after = found(container, account, hook)
    assert not after.active
    assert after.deactivated_reason == "nothing but failures for 5 days"
    (event,) = told(flow, operator, receiver)
    assert event["event_name"] == "webhook_deactivated"
    told_of = event["body"]["webhook"]
    assert told_of["id"] == hook.id
    assert told_of["webhook_url"] == hook.webhook_url.partition("?")[0]
    assert told_of["active"] is False
    assert told_of["deactivated_reason"] == after.deactivated_reason
    assert "secret" not in json.dumps(event)


def test_one_success_in_between_starts_the_days_anew(
    flow: Flow, container: Container, account: Account, hook: Webhook, receiver: Receiver, shift_time: ShiftTime
) -> None:
    receiver.script("/hook", Answer(status=500))
    flow.run()
    shift_time(4 * DAY_S)
    receiver.script("/hook", Answer(status=200))
    flow.run()
    shift_time(6 * DAY_S)
    receiver.script("/hook", Answer(status=500))
    flow.run()

    assert found(container, account, hook).active


def test_a_webhook_made_active_again_goes_on_with_what_waited_and_forgets_why(
    flow: Flow, container: Container, account: Account, hook: Webhook, receiver: Receiver
) -> None:
    receiver.script("/hook", Answer(status=410))
    flow.run()
    receiver.script("/hook", Answer(status=200))
    flow.make_due()
    edit.edit_webhook(container.storage, container.schedule, account.slug, hook.id, {"active": True})

    after = found(container, account, hook)
    assert after.active
    assert after.deactivated_reason is None
    assert container.dispatch.release_due() == 1
    assert flow.deliver(hook.id).delivered == 1


def test_a_delivery_whose_tries_are_used_up_is_told_but_not_one_that_tells(
    flow: Flow, container: Container, account: Account, hook: Webhook, operator: Webhook, receiver: Receiver
) -> None:
    receiver.script("/hook", Answer(status=500))
    receiver.script("/operator", Answer(status=500))
    flow.run()
    for _ in range(5):
        flow.make_due()
        flow.deliver(hook.id)
    told(flow, operator, receiver)
    for _ in range(5):
        flow.make_due()
        flow.deliver(operator.id)
    flow.fan_out()

    names = flow.sql("select name, count(*) from dispatcher.events group by 1 order by 1")
    assert names == [("delivery_failed", 1), ("invoice_paid", 1)]
    (body,) = {
        json.dumps(json.loads(request.body)["body"]) for request in receiver.requests if request.path == "/operator"
    }
    failed = json.loads(body)["delivery"]
    assert failed["webhook_id"] == hook.id
    assert failed["event_name"] == "invoice_paid"
    assert (failed["attempts"], failed["response_status"]) == (6, "500")


def test_a_recovery_is_told(
    flow: Flow, container: Container, account: Account, hook: Webhook, operator: Webhook, receiver: Receiver
) -> None:
    receiver.script("/hook", Answer(status=500))
    flow.run(*[an_event() for _ in range(20)])
    receiver.script("/hook", Answer(status=200))
    flow.make_due()
    flow.deliver(hook.id)

    assert "webhook_recovered" in [event["event_name"] for event in told(flow, operator, receiver)]


def test_nobody_is_told_where_nobody_asked(flow: Flow, hook: Webhook, receiver: Receiver) -> None:
    receiver.script("/hook", Answer(status=410))
    flow.run()

    assert flow.sql("select count(*) from dispatcher.events")[0][0] == 1
