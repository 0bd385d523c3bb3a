"""A fan-out sends itself what goes to webhooks that are well; the rest, and what fails, goes by the clock."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.model.webhook import Webhook
from dispatcher.pipeline import fan_out, first_attempts
from dispatcher.pipeline.fan_out import take_batch
from dispatcher.schedule.schedule import Schedule
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline.leasing import Leasing
from tests.integration.pipeline.conftest import Flow
from tests.support.builders import a_webhook, an_event
from tests.support.fakes import FakeQueue
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually

LEASING = Leasing(token="00000000-0000-4000-8000-000000000001", lease_s=60, slots=3, room=100)


@pytest.fixture
def flow(container: Container, queue: FakeQueue, account: Account) -> Flow:
    return Flow(container, queue)


@pytest.fixture
def hook(storage: Storage, account: Account, receiver: Receiver) -> Webhook:
    return a_webhook(storage, account, receiver.url("/hook"))


def leased(flow: Flow) -> int:
    return flow.sql("select count(*) from dispatcher.deliveries_waiting where lease_token is not null")[0][0]


def test_what_goes_to_a_webhook_that_is_well_is_sent_at_once(flow: Flow, hook: Webhook, receiver: Receiver) -> None:
    flow.emit(an_event(), an_event())
    done, counts = flow.container.fan_out_runner.run()

    assert (done.events, done.deliveries, done.webhook_ids) == (2, 2, {hook.id})
    assert (counts.delivered, flow.states()) == (2, ["delivered"] * 2)
    assert len(receiver.requests) == 2
    assert flow.queue.delivers == []
    assert flow.container.schedule.sizes() == {"due": 0, "held": 0}


@pytest.mark.parametrize(
    "given", [{"rate_limit": 5}, {"ordering": "resource"}, {"superseding": True}], ids=lambda given: next(iter(given))
)
def test_what_has_a_rule_to_keep_goes_to_a_drain(
    flow: Flow, storage: Storage, account: Account, receiver: Receiver, given: dict[str, Any]
) -> None:
    hook = a_webhook(storage, account, receiver.url("/hook"), **given)
    flow.emit()

    assert flow.fan_out() == [hook.id]
    assert receiver.requests == []
    assert flow.deliver(hook.id).delivered == 1


def test_what_goes_to_a_webhook_that_fails_goes_to_a_drain(flow: Flow, hook: Webhook, receiver: Receiver) -> None:
    flow.sql("update dispatcher.webhooks set failing_since = now()")
    flow.emit()

    assert flow.fan_out() == [hook.id]
    assert receiver.requests == []


def test_a_failure_is_tried_again_by_the_clock(flow: Flow, hook: Webhook, receiver: Receiver) -> None:
    receiver.script("/hook", Answer(status=503), Answer())
    flow.emit()

    assert flow.fan_out() == []
    assert (flow.states(), flow.statuses()) == (["pending"], [["503"]])
    schedule = flow.container.schedule
    assert schedule.sizes() == {"due": 1, "held": 0}
    assert schedule.healths([hook.id])[hook.id].consecutive_failures == 1
    flow.make_due()
    schedule.due({hook.id: 0})
    assert flow.deliver(*schedule.take(10, 100)[0]).delivered == 1
    assert flow.statuses() == [["503", "200"]]


def test_a_pause_that_the_receiver_asks_for_is_kept(flow: Flow, hook: Webhook, receiver: Receiver) -> None:
    receiver.script("/hook", Answer(status=429, headers=[("Retry-After", "100")]))
    flow.emit()
    flow.fan_out()

    assert flow.container.schedule.pauses()[hook.id] == pytest.approx(100, abs=20)


def test_no_more_is_leased_than_a_webhook_may_have_under_way(flow: Flow, storage: Storage, hook: Webhook) -> None:
    flow.emit(*[an_event()] * 2)
    batch, claim = take_batch(storage, 100, LEASING)
    assert (len(claim.claimed), batch.webhook_ids, leased(flow)) == (2, (), 2)
    assert {one.event_name for one in claim.claimed} == {"invoice_paid"}
    assert claim.targets[hook.id].url == hook.webhook_url

    flow.emit(*[an_event()] * 2)  # one would fit
    batch, claim = take_batch(storage, 100, LEASING)
    assert (claim.claimed, batch.webhook_ids, leased(flow)) == ((), (hook.id,), 2)


def test_nothing_is_leased_while_a_drain_has_something_of_its_webhook(
    flow: Flow, storage: Storage, hook: Webhook
) -> None:
    flow.emit()
    take_batch(storage, 100, LEASING._replace(token="00000000-0000-4000-8000-000000000002"))
    flow.emit()
    batch, claim = take_batch(storage, 100, LEASING)

    assert (claim.claimed, batch.webhook_ids) == ((), (hook.id,))


@pytest.mark.parametrize("change", [{"room": 2}, {"room": 0}, {"busy": (1, 2, 3)}], ids=str)
def test_what_may_be_leased_is_limited(flow: Flow, storage: Storage, hook: Webhook, change: dict[str, Any]) -> None:
    flow.emit(*[an_event()] * 3)
    _, claim = take_batch(storage, 100, LEASING._replace(**change))

    assert claim.claimed == ()


def test_a_receiver_that_hangs_gets_no_more_first_attempts(
    flow: Flow, hook: Webhook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_attempts, "STRAGGLING_S", 0.05)
    receiver.script("/hook", Answer(delay_s=30))
    flow.emit()
    with staying(flow) as runner:
        receiver.wait_for(1)
        eventually(lambda: (first := runner._staying) and (now := first.leasing()) and now.busy == {hook.id})
        flow.emit()
        runner.wake()
        eventually(lambda: flow.queue.webhook_ids == [hook.id], what="a message for a drain")
    assert len(receiver.requests) == 1
    eventually(lambda: ["timeout"] in flow.statuses(), what="the end of the one that hung")


def test_what_was_leased_is_given_back_where_the_secrets_cannot_be_opened(flow: Flow, hook: Webhook) -> None:
    flow.sql("update dispatcher.webhooks set signing_secret_encrypted = 'rubbish'")
    flow.emit()
    flow.fan_out()

    assert (flow.states(), flow.statuses(), leased(flow)) == (["pending"], [[]], 0)
    assert hook.id in flow.container.schedule.pauses()


# -- A fan-out that stays ----------------------------------------------------------------------------------------------


@contextmanager
def staying(flow: Flow) -> Iterator[Any]:
    """A fan-out that is told of commits, in a thread of its own, until the end of the block."""
    runner = flow.container.fan_out_runner
    runner.may_stay = True
    thread = threading.Thread(target=runner.run)
    thread.start()
    try:
        eventually(lambda: runner.staying, what="a fan-out that stays")
        yield runner
    finally:
        runner.leave()
        thread.join()


def test_what_is_committed_while_it_stays_needs_no_message(flow: Flow, hook: Webhook, receiver: Receiver) -> None:
    with staying(flow) as runner:
        for count in (1, 2, 3):
            flow.emit()
            assert runner.wake()
            receiver.wait_for(count)
        assert not flow.container.schedule.claim_fan_out()
    assert flow.states() == ["delivered"] * 3
    assert not runner.wake()
    assert (flow.queue.fan_outs, flow.queue.delivers) == (0, [])


def test_commits_without_end_keep_it_from_no_response(
    flow: Flow, hook: Webhook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "LINGER_S", 60.0)
    over = threading.Event()

    def wake_again_and_again(runner: Any) -> None:
        while not over.is_set():
            runner._woken.set()

    with staying(flow) as runner:
        waking = threading.Thread(target=wake_again_and_again, args=(runner,))
        waking.start()
        try:
            flow.emit()
            eventually(lambda: flow.states() == ["delivered"], what="the record of its response")
            assert runner.staying
        finally:
            over.set()
            waking.join()


def test_it_leaves_nothing_in_the_outbox_when_it_leaves(flow: Flow, hook: Webhook, receiver: Receiver) -> None:
    with staying(flow):
        flow.emit()  # and nobody wakes it
    assert flow.states() == ["delivered"]
    assert flow.container.schedule.claim_fan_out()


def test_it_leaves_when_nothing_comes(flow: Flow, hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "LINGER_S", 0.05)
    with staying(flow) as runner:
        eventually(lambda: not runner.staying, what="its leaving")


def test_one_stays_where_another_process_does_too(
    flow: Flow, hook: Webhook, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "FLAG_S", 0.05)
    with staying(flow) as runner:
        other = Schedule(redis_url, owner=99)
        other.fan_out_begun()
        assert other.keep_fan_out()
        eventually(lambda: not runner.staying, what="its leaving")
        other.close()


def test_a_second_one_of_a_process_does_not_stay(flow: Flow, hook: Webhook) -> None:
    with staying(flow) as runner:
        flow.emit()
        done, counts = runner.run()
        assert (done.events, counts.delivered) == (1, 1)


def test_a_process_that_hears_of_no_commits_has_none_that_stays(flow: Flow) -> None:
    flow.container.fan_out_runner.run()
    assert not flow.container.fan_out_runner.wake()


def test_a_lease_lasts_as_long_as_those_of_drains(flow: Flow, storage: Storage, hook: Webhook) -> None:
    flow.emit()
    take_batch(storage, 100, LEASING)

    ((left,),) = flow.sql("select next_attempt_at - dispatcher.now() from dispatcher.deliveries_waiting")
    assert timedelta(seconds=40) < left <= timedelta(seconds=60)
