"""Many deliveries once more: each match once, whoever steps and whatever dies, and live traffic first."""

import itertools
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dispatcher.container import Container
from dispatcher.errors import IllegalTransition, InvalidReplay, ReplayNotFound, StorageUnavailable
from dispatcher.model.account import Account
from dispatcher.model.health import Health
from dispatcher.model.replay import Replay
from dispatcher.model.webhook import Webhook
from dispatcher.pipeline.prune import prune
from dispatcher.replays import job
from dispatcher.replays.one import replay
from dispatcher.schedule.schedule import Release, Schedule
from dispatcher.storage.admin import clients
from dispatcher.storage.admin.clients import SCOPES
from dispatcher.storage.engine import Storage, rows
from dispatcher.storage.replays import jobs
from dispatcher.storage.stats import partitions
from dispatcher.webhooks import edit
from tests.conftest import ShiftTime
from tests.integration.pipeline.conftest import Flow
from tests.support.builders import a_webhook, an_account, an_event
from tests.support.receiver import Answer, Receiver
from tests.support.replays import step_replays

AN_HOUR_AGO = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
WINDOW = 10
"""Of a webhook of which nothing is known: so many deliveries one step makes due."""


@pytest.fixture
def hook(storage: Storage, account: Account, receiver: Receiver) -> Webhook:
    return a_webhook(storage, account, receiver.url("/hook"), ["invoice_paid", "invoice_sent", "invoice_updated"])


@pytest.fixture
def failed(flow: Flow) -> Callable[..., list[int]]:
    """Makes so many events, whose deliveries have failed; all their ids, oldest first."""

    def make(count: int = 1, name: str = "invoice_paid", state: str = "failed") -> list[int]:
        flow.emit(*(an_event(name, body={"invoice": {"id": 1}} | _payment(name)) for _ in range(count)))
        handed = flow.fan_out()
        finish(flow, state)
        flow.deliver(*handed)  # finds nothing, and lets the webhooks go
        return [id_ for (id_,) in flow.sql("select id from dispatcher.deliveries order by id")]

    return make


def _payment(name: str) -> dict[str, Any]:
    return {"payment": {"id": 1}} if name == "invoice_paid" else {}


def finish(flow: Flow, state: str = "failed", where: Any = "true") -> None:
    """As if their tries had been used up."""
    flow.sql(
        f"update dispatcher.deliveries set state = '{state}', attempt_count = 6, finished_on = dispatcher.now()::date,"
        f" lease_token = null, updated_at = dispatcher.now() where finished_on is null and {where}"
    )


@pytest.fixture
def start(container: Container, account: Account) -> Callable[..., Replay]:
    def start(**given: Any) -> Replay:
        whose = {"client_id": given.pop("client_id", None), "redelivery_limit": container.settings.redelivery_limit}
        return job.start(container.storage, container.schedule, account, {"since": AN_HOUR_AGO} | given, **whose)

    return start


@pytest.fixture
def count(container: Container, account: Account) -> Callable[..., Any]:
    return lambda **given: job.dry_run(
        container.storage, account, {"since": AN_HOUR_AGO} | given, redelivery_limit=container.settings.redelivery_limit
    )


@pytest.fixture
def found(container: Container) -> Callable[[Replay], Replay]:
    return lambda made: container.storage.read(jobs.find, made.id)


@pytest.fixture
def carry_on(flow: Flow, container: Container, found: Callable[[Replay], Replay]) -> Callable[..., Replay]:
    """Steps and drains until the replay has ended."""

    def carry_on(made: Replay, *webhook_ids: int) -> Replay:
        for _ in range(1_000):
            step_replays(container)
            flow.deliver(*webhook_ids)
            if found(made).state != "running":
                return found(made)
        raise AssertionError("it does not end")

    return carry_on


def keys(receiver: Receiver) -> list[str | None]:
    return [request.header("Idempotency-Key") for request in receiver.requests]


def test_each_match_is_sent_once_with_the_old_key_and_its_tries_anew(
    flow: Flow,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    carry_on: Callable[..., Replay],
    receiver: Receiver,
) -> None:
    ids = failed(35)
    made = start()
    assert (made.state, made.matched, made.sent) == ("running", 35, 0)

    done = carry_on(made, hook.id)
    assert (done.state, done.sent) == ("done", 35)
    assert done.finished_at is not None
    old = [str(key) for (key,) in flow.sql("select idempotency_key from dispatcher.deliveries")]
    assert sorted(map(str, keys(receiver))) == sorted(old)
    assert flow.sql("select distinct state, attempt_count, tries_before from dispatcher.deliveries") == [
        ("delivered", 7, 6)
    ]
    assert [one.id for one in flow.deliveries()] == ids


def test_what_fails_again_meanwhile_is_not_sent_a_second_time(
    flow: Flow,
    container: Container,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    found: Callable[[Replay], Replay],
    receiver: Receiver,
) -> None:
    failed(25)
    made = start()
    step_replays(container)
    receiver.script("/hook", Answer(status=500))
    flow.deliver(hook.id)
    finish(flow)

    for _ in range(10):
        step_replays(container)
        finish(flow, where="attempt_count = 6")
    assert (found(made).state, found(made).sent) == ("done", 25)
    assert flow.states() == ["failed"] * 25
    assert len(receiver.requests) == WINDOW


def test_two_steppers_at_once_send_nothing_twice(
    flow: Flow,
    container: Container,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    found: Callable[[Replay], Replay],
    receiver: Receiver,
) -> None:
    failed(60)
    made = start()
    ended = threading.Event()

    def step() -> None:
        while not ended.is_set():
            step_replays(container)

    with ThreadPoolExecutor(2) as pool:
        steppers = [pool.submit(step) for _ in range(2)]
        while found(made).state == "running":
            flow.deliver(hook.id)
        ended.set()
        for stepper in steppers:
            stepper.result()
    flow.deliver(hook.id)

    assert found(made).sent == 60
    assert len(keys(receiver)) == len(set(keys(receiver))) == 60


@pytest.fixture
def break_after(flow: Flow) -> Callable[[str], Callable[[], Any]]:
    """Makes Postgres refuse the update of a table, so that a step dies in the middle of its transaction."""

    def break_after(table: str) -> Callable[[], Any]:
        flow.sql(
            "create function die() returns trigger language plpgsql as $$ begin raise exception 'killed'; end $$;"
            f"create trigger die before update on dispatcher.{table} for each row execute function die()"
        )
        return lambda: flow.sql("drop function die cascade")

    return break_after


@pytest.mark.parametrize("given", [{}, {"new_key": True}], ids=str)
def test_a_step_that_dies_in_the_middle_sends_nothing(
    flow: Flow,
    container: Container,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    found: Callable[[Replay], Replay],
    carry_on: Callable[..., Replay],
    receiver: Receiver,
    break_after: Callable[[str], Callable[[], Any]],
    given: dict[str, Any],
) -> None:
    failed(25)
    made = start(**given)
    step_replays(container)
    flow.deliver(hook.id)
    for table in ("replay_webhooks", "replays"):
        repair = break_after(table)
        with pytest.raises(Exception, match="killed"):
            step_replays(container)
        assert (flow.states().count("pending"), found(made).sent) == (0, WINDOW), table
        repair()

    assert carry_on(made, hook.id).sent == 25
    assert len(keys(receiver)) == len(set(keys(receiver))) == 25


def test_one_that_fails_again_and_again_does_not_keep_the_others_from_theirs(
    flow: Flow,
    container: Container,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    found: Callable[[Replay], Replay],
) -> None:
    failed(2)
    first, second, third = start(), start(states=["delivered"]), start(event_names=["invoice_paid"])
    flow.sql(
        "create function die() returns trigger language plpgsql as $$ begin raise exception 'killed'; end $$;"
        "create trigger die before update on dispatcher.replay_webhooks for each row when (old.replay_id = 1)"
        " execute function die()"
    )
    for _ in range(2):
        with pytest.raises(Exception, match="killed"):
            step_replays(container)

    assert (first.id, found(second).state) == (1, "done")
    assert (found(third).state, found(third).sent) == ("done", 2)


def test_what_was_redelivered_as_often_as_is_allowed_is_left_out(
    flow: Flow,
    hook: Webhook,
    failed: Callable[..., list[int]],
    count: Callable[..., Any],
    start: Callable[..., Replay],
    carry_on: Callable[..., Replay],
    receiver: Receiver,
) -> None:
    ids = failed(3)
    flow.sql(
        "update dispatcher.deliveries set redelivery_count = case when id = %(id)s then 100 else 99 end", id=ids[1]
    )

    assert count() == 2
    done = carry_on(start(), hook.id)
    assert (done.matched, done.sent) == (2, 2)
    assert flow.states() == ["delivered", "failed", "delivered"]
    assert flow.sql("select distinct redelivery_count from dispatcher.deliveries") == [(100,)]


def test_with_a_new_key_all_are_sent_however_often_they_were_redelivered(
    flow: Flow,
    hook: Webhook,
    failed: Callable[..., list[int]],
    count: Callable[..., Any],
    start: Callable[..., Replay],
    carry_on: Callable[..., Replay],
) -> None:
    failed(2)
    flow.sql("update dispatcher.deliveries set redelivery_count = 100")

    assert (count(), count(new_key=True)) == (0, 2)
    assert carry_on(start(new_key=True), hook.id).sent == 2
    assert flow.sql(
        "select count(*) from dispatcher.deliveries where copy_of is not null and redelivery_count = 0"
    ) == [(2,)]


def test_a_batch_that_the_clock_was_not_told_of_is_found_by_reconcile(
    flow: Flow,
    container: Container,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    receiver: Receiver,
) -> None:
    failed(3)
    start()
    down = Schedule("redis://127.0.0.1:1/0")
    job.step(container.storage, down, container.settings)
    flow.queue.delivers.clear()

    container.reconciler.reconcile()
    container.dispatch.release_due()
    assert flow.deliver(*flow.queue.webhook_ids).delivered == 3


COUNTED: list[dict[str, Any]] = [
    {},
    {"states": ["delivered"]},
    {"states": ["failed", "delivered"]},
    {"event_names": ["invoice_sent"]},
    {"event_names": ["invoice_sent", "invoice_paid"], "states": ["delivered", "failed"]},
    {"states": ["failed", "delivered"], "new_key": True},
    {"states": ["cancelled"]},
]


def test_a_dry_run_counts_what_is_sent(
    flow: Flow,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    count: Callable[..., Any],
    carry_on: Callable[..., Replay],
    receiver: Receiver,
) -> None:
    failed(3, "invoice_paid")
    failed(5, "invoice_sent")
    failed(7, "invoice_paid", "delivered")
    failed(11, "invoice_sent", "delivered")
    before = flow.deliveries()
    have_failed = [one.id for one in before if one.state == "failed"]

    for given in COUNTED:
        received = len(receiver.requests)
        expected = count(**given)
        assert flow.deliveries() == before, given
        done = carry_on(start(**given), hook.id)
        names, states = given.get("event_names"), given.get("states", ["failed"])
        wanted = [one for one in before if one.state in states and (names is None or one.event_name in names)]
        sent = len(receiver.requests) - received
        assert (expected, done.matched, done.sent, sent) == (len(wanted),) * 4, given

        flow.sql("delete from dispatcher.deliveries where copy_of is not null")
        flow.sql("update dispatcher.deliveries set state = 'failed' where id = any (%(ids)s)", ids=have_failed)
        before = flow.deliveries()


def test_it_takes_only_what_was_created_then(
    flow: Flow, hook: Webhook, failed: Callable[..., list[int]], start: Callable[..., Replay], count: Callable[..., Any]
) -> None:
    ids = failed(3)
    for id_, hours in zip(ids, (3, 2, 1), strict=True):
        flow.sql(
            f"update dispatcher.deliveries set created_at = now() - interval '{hours} h' where id = %(id)s", id=id_
        )
    now = datetime.now(UTC)

    def at(hours: float) -> str:
        return (now - timedelta(hours=hours)).isoformat()

    assert count(since=at(4)) == 3
    assert count(since=at(2.5)) == 2
    assert count(since=at(4), until=at(1.5)) == 2
    assert count(since=at(2.5), until=at(1.5)) == 1
    assert count(since=at(0.5)) == 0
    assert start(since=at(0.5)).state == "done"


def test_it_takes_only_what_it_is_for(
    flow: Flow,
    container: Container,
    storage: Storage,
    account: Account,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    count: Callable[..., Any],
    carry_on: Callable[..., Replay],
) -> None:
    (client, _) = storage.transact(clients.create, account.id, "a test", [], SCOPES)
    its_own = a_webhook(storage, account, client_id=client.id)
    other = an_account(storage, "pearcorp")
    a_webhook(storage, other)
    container.emitter.emit("pearcorp", [an_event()])
    failed(2)
    assert flow.sql("select count(*) from dispatcher.deliveries") == [(5,)]

    assert count() == 4
    assert count(webhook_id=hook.id) == 2
    done = carry_on(start(client_id=client.id), its_own.id)
    assert (done.matched, done.sent) == (2, 2)
    assert flow.sql("select distinct webhook_id from dispatcher.deliveries where state <> 'failed'") == [(its_own.id,)]


def test_its_rate_is_kept_by_postgres_clock(
    flow: Flow,
    container: Container,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    found: Callable[[Replay], Replay],
    shift_time: ShiftTime,
    receiver: Receiver,
) -> None:
    failed(100)
    made = start(rate=8)

    def waited_s() -> float:
        return flow.sql("select extract(epoch from dispatcher.now() - created_at)::float8 from dispatcher.replays")[0][
            0
        ]

    looks = [0.0]
    for quarter in range(1, 13):
        shift_time(quarter / 4)
        looks.append(waited_s())
        step_replays(container)
        assert found(made).sent <= 8 * waited_s()
        flow.deliver(hook.id)

    # The real clock goes on too. What a slow machine has lost beyond half a second between two looks is not made up.
    kept_s = sum(min(0.5, later - earlier) for earlier, later in itertools.pairwise(looks))
    assert found(made).sent >= 0.9 * 8 * kept_s - 2
    assert len(set(keys(receiver))) == found(made).sent


def test_after_a_pause_of_all_workers_it_does_not_flood(
    container: Container,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    found: Callable[[Replay], Replay],
    shift_time: ShiftTime,
) -> None:
    failed(100)
    made = start(rate=10)
    shift_time(600)
    step_replays(container)

    assert found(made).sent == 5


def test_live_traffic_goes_first(
    flow: Flow,
    container: Container,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    found: Callable[[Replay], Replay],
) -> None:
    failed(30)
    flow.emit(*(an_event() for _ in range(WINDOW + 2)))
    flow.fan_out()
    made = start()

    step_replays(container)
    assert found(made).sent == 0  # more is due than the receiver takes at once
    flow.deliver(hook.id)
    step_replays(container)
    assert found(made).sent > 0


def test_a_webhook_is_filled_up_as_far_as_its_receiver_keeps_up(
    container: Container,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    found: Callable[[Replay], Replay],
) -> None:
    failed(200)
    made = start()
    container.schedule.release(
        [Release(webhook_id=hook.id, health=Health(window=20, latency_s=0.1))], container.schedule.new_token()
    )

    step_replays(container)
    assert found(made).sent == 100
    step_replays(container)
    assert found(made).sent == 100


def test_a_rate_limit_counts_too(
    container: Container,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    found: Callable[[Replay], Replay],
) -> None:
    failed(30)
    edit.edit_webhook(container.storage, container.schedule, "applecorp", hook.id, {"rate_limit": 4})
    made = start()

    step_replays(container)
    step_replays(container)
    assert found(made).sent == 2


def test_a_receiver_that_is_down_does_not_hold_up_the_others(
    flow: Flow,
    container: Container,
    storage: Storage,
    account: Account,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    found: Callable[[Replay], Replay],
    carry_on: Callable[..., Replay],
) -> None:
    down = a_webhook(storage, account, active=False)
    edit.edit_webhook(storage, container.schedule, "applecorp", down.id, {"active": True})
    failed(25)
    edit.edit_webhook(storage, container.schedule, "applecorp", down.id, {"active": False})
    made = start()
    assert made.matched == 50

    for _ in range(10):
        step_replays(container)
        flow.deliver(hook.id)
    assert flow.sql("select webhook_id, sent, done from dispatcher.replay_webhooks order by 1") == [
        (hook.id, 25, True),
        (down.id, WINDOW, False),
    ]
    edit.delete_webhook(storage, "applecorp", down.id)
    assert carry_on(made, hook.id).sent == 25 + WINDOW
    assert flow.sql("select count(*) from dispatcher.deliveries where state = 'pending'") == [(0,)]


def test_many_webhooks_take_turns(
    flow: Flow,
    container: Container,
    storage: Storage,
    account: Account,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    found: Callable[[Replay], Replay],
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job, "WEBHOOKS", 2)
    hooks = [a_webhook(storage, account, receiver.url(f"/{n}")) for n in range(5)]
    failed(15)
    made = start(rate=1_000)
    seen = []
    while found(made).state == "running":
        step_replays(container)
        seen.append(flow.sql("select turn from dispatcher.replays")[0][0])
        flow.deliver(*(hook.id for hook in hooks))

    assert len(set(keys(receiver))) == found(made).sent == 75
    assert {hooks[1].id, hooks[3].id} <= set(seen)


def test_receivers_that_are_let_alone_are_tried_at_once(
    flow: Flow, container: Container, hook: Webhook, failed: Callable[..., list[int]], start: Callable[..., Replay]
) -> None:
    failed(3)
    flow.queue.delivers.clear()
    container.schedule.hand_out([hook.id], 10)
    container.schedule.release([Release(webhook_id=hook.id, pause_s=600)], container.schedule.new_token())
    start()
    step_replays(container)

    container.dispatch.release_due()
    assert flow.queue.webhook_ids == [hook.id]


# -- With a new key ----------------------------------------------------------------------------------------------------


def test_a_new_key_makes_new_deliveries_of_the_same_events(
    flow: Flow,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    carry_on: Callable[..., Replay],
    receiver: Receiver,
) -> None:
    ids = failed(12)
    old = {str(key) for (key,) in flow.sql("select idempotency_key from dispatcher.deliveries")}

    done = carry_on(start(new_key=True), hook.id)
    assert done.sent == 12
    assert len(set(keys(receiver))) == 12
    assert not old & set(keys(receiver))
    copies = flow.sql(
        "select copy_of, event_id, webhook_id from dispatcher.deliveries where copy_of is not null order by copy_of"
    )
    assert copies == flow.sql(
        "select id, event_id, webhook_id from dispatcher.deliveries where id = any (%(ids)s) order by 1", ids=ids
    )
    assert flow.sql("select state from dispatcher.deliveries where copy_of is null group by 1") == [("failed",)]


def test_an_original_and_its_copy_may_both_wait(
    flow: Flow,
    container: Container,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    found: Callable[[Replay], Replay],
    carry_on: Callable[..., Replay],
    receiver: Receiver,
) -> None:
    (id_,) = failed()
    first = start(new_key=True)
    step_replays(container)
    assert found(first).state == "done"

    assert replay(container.storage, container.schedule, str(id_), limit=3).state == "pending"
    with pytest.raises(IllegalTransition):
        replay(container.storage, container.schedule, str(id_), limit=3)
    flow.deliver(hook.id)
    assert len(set(keys(receiver))) == 2
    both = start(states=["delivered"], new_key=True)
    assert (both.matched, carry_on(both, hook.id).sent) == (2, 2)
    assert len(set(keys(receiver))) == 4


def test_the_event_of_a_copy_that_waits_is_kept(
    flow: Flow, container: Container, hook: Webhook, failed: Callable[..., list[int]], start: Callable[..., Replay]
) -> None:
    failed()
    start(new_key=True)
    step_replays(container)

    day = flow.sql("select to_char(current_date, 'YYYYMMDD')")[0][0]
    assert container.storage.transact(partitions._is_needed, f"events_{day}")


# -- What it would have had --------------------------------------------------------------------------------------------


def test_a_webhook_that_came_late_gets_what_it_would_have_had(
    flow: Flow,
    storage: Storage,
    account: Account,
    hook: Webhook,
    start: Callable[..., Replay],
    count: Callable[..., Any],
    carry_on: Callable[..., Replay],
    receiver: Receiver,
) -> None:
    flow.run(*(an_event() for _ in range(12)), an_event("invoice_sent", body={"invoice": {"id": 1}}))
    events = flow.sql("select id from dispatcher.events where name = 'invoice_paid' order by id")
    late = a_webhook(storage, account, receiver.url("/late"))
    flow.run()  # this one it has

    assert count(missed=True, webhook_id=late.id) == 12
    done = carry_on(start(missed=True, webhook_id=late.id), late.id)
    assert (done.matched, done.sent, done.state) == (12, 12, "done")
    assert (
        flow.sql(
            "select event_id from dispatcher.deliveries where webhook_id = %(id)s and copy_of is null"
            " order by event_id limit 12",
            id=late.id,
        )
        == events
    )
    assert sum(request.path == "/late" for request in receiver.requests) == 13
    assert count(missed=True, webhook_id=late.id) == count(missed=True, webhook_id=hook.id) == 0


def test_a_webhook_that_was_inactive_gets_what_it_would_have_had(
    flow: Flow,
    container: Container,
    storage: Storage,
    hook: Webhook,
    start: Callable[..., Replay],
    count: Callable[..., Any],
    carry_on: Callable[..., Replay],
    receiver: Receiver,
) -> None:
    flow.run()
    edit.edit_webhook(storage, container.schedule, "applecorp", hook.id, {"active": False})
    flow.run(
        *(an_event() for _ in range(3)), *(an_event("invoice_sent", body={"invoice": {"id": 1}}) for _ in range(2))
    )
    edit.edit_webhook(storage, container.schedule, "applecorp", hook.id, {"active": True})
    flow.run()
    flow.emit()  # waits for its fan-out, which will make its delivery

    assert count(missed=True, webhook_id=hook.id) == 5
    assert count(missed=True, webhook_id=hook.id, event_names=["invoice_sent"]) == 2
    assert carry_on(start(missed=True, webhook_id=hook.id), hook.id).sent == 5
    flow.deliver(*flow.fan_out())
    assert len(set(keys(receiver))) == len(receiver.requests) == 8


def test_missed_events_are_found_from_then_on_and_a_page_at_a_time(
    flow: Flow,
    storage: Storage,
    account: Account,
    start: Callable[..., Replay],
    count: Callable[..., Any],
    carry_on: Callable[..., Replay],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job, "COUNT_EVENTS", 4)
    monkeypatch.setattr(job, "SCAN", 3)
    flow.run(*(an_event() for _ in range(10)))
    late = a_webhook(storage, account, events=["invoice_paid"])
    in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()

    assert count(missed=True, webhook_id=late.id, until=in_an_hour) == 10
    assert count(missed=True, webhook_id=late.id, until=(datetime.now(UTC) - timedelta(minutes=1)).isoformat()) == 0
    assert carry_on(start(missed=True, webhook_id=late.id), late.id).sent == 10


def test_two_replays_of_what_was_missed_build_it_once(
    flow: Flow,
    container: Container,
    storage: Storage,
    account: Account,
    start: Callable[..., Replay],
    found: Callable[[Replay], Replay],
) -> None:
    flow.run(*(an_event() for _ in range(8)))
    late = a_webhook(storage, account)
    made = [start(missed=True, webhook_id=late.id) for _ in range(2)]
    step_replays(container)
    step_replays(container)

    assert sorted(found(one).sent for one in made) == [0, 8]
    assert [found(one).state for one in made] == ["done", "done"]


# -- Order -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [{}, {"new_key": True}, {"missed": True}], ids=str)
def test_a_webhook_with_order_gets_them_in_order(
    flow: Flow,
    container: Container,
    storage: Storage,
    account: Account,
    start: Callable[..., Replay],
    receiver: Receiver,
    given: dict[str, Any],
) -> None:
    names = ["invoice_created", "invoice_updated", "invoice_sent"]
    if given != {"missed": True}:
        ordered = a_webhook(storage, account, receiver.url("/o"), names, ordering="resource")
    flow.emit(*(an_event(name, body={"invoice": {"id": id_}}) for name in names for id_ in (1, 2)))
    flow.fan_out()
    if given == {"missed": True}:
        ordered = a_webhook(storage, account, receiver.url("/o"), names, ordering="resource")
    finish(flow)
    start(webhook_id=ordered.id, **given)
    step_replays(container)

    assert flow.sql("select count(*) from dispatcher.deliveries_waiting where next_attempt_at <= dispatcher.now()") == [
        (2,)
    ]
    flow.deliver(ordered.id)
    sent = [
        json.loads(request.body)["event_name"]
        for request in receiver.requests
        if json.loads(request.body)["body"]["invoice"]["id"] == 1
    ]
    assert sent == names
    assert flow.sql("select count(*) from dispatcher.deliveries_waiting") == [(0,)]


# -- Stop, resume, and what is refused ---------------------------------------------------------------------------------


def test_it_is_stopped_and_goes_on(
    flow: Flow,
    container: Container,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    found: Callable[[Replay], Replay],
    carry_on: Callable[..., Replay],
    receiver: Receiver,
) -> None:
    failed(25)
    made = start(new_key=True)
    step_replays(container)
    stopped = job.stop(container.storage, made.id)
    assert (stopped.state, stopped.sent) == ("stopped", WINDOW)

    flow.deliver(hook.id)
    assert step_replays(container).running == 0
    assert len(receiver.requests) == found(made).sent == WINDOW
    assert job.stop(container.storage, made.id) == stopped

    assert job.resume(container.storage, made.id).state == "running"
    done = carry_on(made, hook.id)
    assert (done.state, done.sent) == ("done", 25)
    assert len(set(keys(receiver))) == len(receiver.requests) == 25
    assert job.resume(container.storage, made.id) == job.stop(container.storage, made.id) == done


def test_one_of_another_account_or_client_is_unknown(
    container: Container,
    account: Account,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
) -> None:
    failed(1)
    made = start()
    for to in ({"account_id": account.id + 1}, {"account_id": account.id, "client_id": 1}):
        for act in (job.stop, job.resume):
            with pytest.raises(ReplayNotFound):
                act(container.storage, made.id, **to)
    with pytest.raises(ReplayNotFound):
        job.stop(container.storage, made.id + 1)


IN_AN_HOUR = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"since": None}, "since can't be blank"),
    ({"since": "noon"}, "since not a date and time"),
    ({"since": "2026-01-01T00:00"}, "since needs a time zone"),
    ({"since": "0001-01-01T00:00+14:00"}, "since out of range"),
    ({"since": "9999-12-31T23:59-14:00"}, "since out of range"),
    ({"since": IN_AN_HOUR}, "since must be in the past"),
    ({"until": AN_HOUR_AGO}, "until must be after since"),
    ({"until": 5}, "until not a date and time"),
    ({"states": []}, "states can't be empty"),
    ({"states": ["pending"]}, "states is not included in the list"),
    ({"states": {"failed": 1}}, "states is invalid"),
    ({"event_names": ["invoice_eaten"]}, "event_names is not included in the list"),
    ({"event_names": []}, "event_names can't be empty"),
    ({"event_names": [None]}, "event_names is invalid"),
    ({"rate": 0}, "rate must be greater than 0"),
    ({"rate": 100_001}, "rate must be less than or equal to 100000"),
    ({"rate": "5"}, "rate is not a number"),
    ({"rate": True}, "rate is not a number"),
    ({"new_key": "yes"}, "new_key not a boolean"),
    ({"webhook_id": "x"}, "webhook_id not an integer"),
    ({"webhook_id": 2**62}, "webhook_id does not exist"),
    ({"webhook_id": 0}, "webhook_id does not exist"),
    ({"missed": True}, "webhook_id can't be blank"),
    ({"missed": True, "webhook_id": 1, "states": ["failed"]}, "states must be absent with missed"),
    ({"missed": True, "webhook_id": 1, "new_key": True}, "new_key must be absent with missed"),
    ({"oops": 1}, "oops Unknown field"),
]


def test_what_is_refused_names_field_and_reason(start: Callable[..., Replay], count: Callable[..., Any]) -> None:
    for given, said in REFUSED:
        for act in (start, count):
            with pytest.raises(InvalidReplay) as refused:
                act(**given)
            assert str(refused.value).startswith(said), given


def test_all_that_is_wrong_is_told_at_once(start: Callable[..., Replay]) -> None:
    with pytest.raises(InvalidReplay) as refused:
        start(rate=0, states=["x"], since="noon")
    assert refused.value.messages.keys() == {"rate", "states", "since"}


def test_a_deleted_webhook_and_anothers_are_not_there(
    container: Container, storage: Storage, account: Account, hook: Webhook, start: Callable[..., Replay]
) -> None:
    (client, _) = storage.transact(clients.create, account.id, "a test", [], SCOPES)
    with pytest.raises(InvalidReplay, match="webhook_id does not exist"):
        start(webhook_id=hook.id, client_id=client.id)
    edit.delete_webhook(storage, "applecorp", hook.id)
    with pytest.raises(InvalidReplay, match="webhook_id does not exist"):
        start(webhook_id=hook.id)


def test_an_account_cannot_have_any_number_of_them(
    hook: Webhook, failed: Callable[..., list[int]], start: Callable[..., Replay], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "MOST_RUNNING", 2)
    failed(1)
    start()
    start()

    with pytest.raises(InvalidReplay, match="2 replays are running"):
        start()


def test_it_cannot_begin_without_postgres(container: Container, account: Account) -> None:
    container.storage.engine.dispose()
    with pytest.raises(StorageUnavailable):
        job.dry_run(
            type(container.storage)("postgresql://127.0.0.1:1/x", container.storage.secrets),
            account,
            {"since": AN_HOUR_AGO},
            redelivery_limit=3,
        )


def test_it_rests_while_days_are_dropped_and_old_ones_go(
    container: Container,
    hook: Webhook,
    failed: Callable[..., list[int]],
    start: Callable[..., Replay],
    found: Callable[[Replay], Replay],
    shift_time: ShiftTime,
) -> None:
    failed(3)
    made = start()
    with container.storage.transaction() as connection:
        rows(connection, "select pg_advisory_xact_lock(%(lock)s)", lock=partitions.LOCK)
        step_replays(container)
        assert found(made).sent == 0
    step_replays(container)
    assert found(made).state == "done"

    prune(container.storage, container.settings.retention_days)
    assert found(made)
    shift_time(31 * 86_400)
    prune(container.storage, container.settings.retention_days)
    with pytest.raises(ReplayNotFound):
        found(made)
