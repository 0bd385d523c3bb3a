"""Order and superseding where things happen at once: fan-outs, late commits, replays, claims; and the order of ids."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from dispatcher.container import Container
from dispatcher.errors import StorageUnavailable
from dispatcher.model.account import Account
from dispatcher.model.delivery import ClaimedDelivery
from dispatcher.model.event import EventDraft
from dispatcher.model.webhook import Webhook
from dispatcher.pipeline.fan_out import take_batch
from dispatcher.storage.engine import Storage, make_engine, rows
from dispatcher.storage.pipeline import deliveries, emits, events, order
from dispatcher.storage.pipeline.events import Overtaken
from dispatcher.webhooks.edit import edit_webhook
from tests.integration.storage.conftest import Steps
from tests.support.builders import a_draft, a_webhook, an_account
from tests.support.fakes import FakeQueue
from tests.support.waiting import eventually

KEYS = {"invoice_updated": "invoice", "invoice_sent": "invoice"}


def about(id_: int = 7, name: str = "invoice_updated") -> EventDraft:
    return a_draft(name, f'{{"invoice":{{"id":{id_}}}}}', resource=f"invoice:{id_}")


@pytest.fixture
def ordered(storage: Storage, account: Account) -> int:
    return a_webhook(storage, account, events=list(KEYS), ordering="resource").id


@pytest.fixture
def superseding(storage: Storage, account: Account) -> int:
    return a_webhook(storage, account, events=list(KEYS), superseding=True).id


@pytest.fixture
def edit(container: Container) -> Callable[..., Webhook]:
    return partial(edit_webhook, container.storage, container.schedule, "applecorp")


def claimed(steps: Steps, webhook_id: int) -> list[int]:
    return [one.event_id for one in steps.claim({webhook_id: 10}).claimed]


def settle(steps: Steps, one: Any) -> None:
    """As a drain asks for it, when it has recorded what came of one."""
    steps.storage.autocommit(order.settle, [(one.webhook_id, one.resource)])


def is_settled(steps: Steps) -> bool:
    """Of each resource one delivery is out, no more and no less."""
    outs = steps.rows(
        f"select count(*) filter (where next_attempt_at < {order.HELD_BACK}) from dispatcher.deliveries_waiting"
        " where resource is not null group by webhook_id, resource"
    )
    return {count for (count,) in outs} == {1}


# -- Two fan-outs at once ----------------------------------------------------------------------------------------------


def test_an_event_stays_behind_an_earlier_one_that_another_fan_out_has(steps: Steps, ordered: int) -> None:
    (first,) = steps.emit(about())
    with steps.another_session() as connection:
        events.fan_out(connection, 500)
        (second,) = steps.emit(about())

        with pytest.raises(Overtaken) as overtaken:
            steps.fan_out()
        assert (overtaken.value.account_ids, overtaken.value.event_id) == ((steps.account.id,), first.id)
        assert claimed(steps, ordered) == []
        connection.commit()
    steps.fan_out()

    assert claimed(steps, ordered) == [first.id]
    assert steps.rows("select event_id from dispatcher.deliveries_waiting order by 1") == [(first.id,), (second.id,)]


@pytest.mark.parametrize("name", ["ordered", "superseding"])
def test_a_fan_out_whose_process_died_holds_nothing_up(steps: Steps, request: pytest.FixtureRequest, name: str) -> None:
    webhook_id = request.getfixturevalue(name)
    (first,) = steps.emit(about(name="invoice_sent"))
    with steps.another_session() as connection:
        events.fan_out(connection, 500)
        connection.rollback()
    steps.emit(about(name="invoice_sent"))

    assert steps.fan_out().event_count == 2
    assert claimed(steps, webhook_id)[0] == first.id


def test_accounts_whose_order_is_safe_are_fanned_out_meanwhile(steps: Steps, storage: Storage, ordered: int) -> None:
    other = an_account(storage, "pearcorp")
    hers = a_webhook(storage, other, events=list(KEYS), ordering="resource")
    steps.emit(about())
    with steps.another_session() as connection:
        events.fan_out(connection, 500)
        steps.emit(about(), about(8))
        storage.transact(emits.insert, other.id, [about(), about()])

        batch, _ = take_batch(storage, 500)
        assert (batch.event_count, batch.behind is not None, batch.webhook_ids) == (2, True, (hers.id,))


def test_without_order_nobody_stays_behind(steps: Steps, webhook: Webhook) -> None:
    steps.emit(a_draft(resource="invoice:7"))
    with steps.another_session() as connection:
        events.fan_out(connection, 500)
        steps.emit(a_draft(resource="invoice:7"))

        assert steps.fan_out().event_count == 1


def test_where_others_have_more_than_can_be_looked_at_all_with_order_stay_behind(steps: Steps, ordered: int) -> None:
    steps.emit(*(a_draft() for _ in range(10)))
    with steps.another_session() as connection:
        events.fan_out(connection, 10)
        steps.emit(about())

        with pytest.raises(Overtaken):
            steps.fan_out(limit=1)


def test_what_was_left_is_fanned_out_as_soon_as_the_other_has_committed(
    steps: Steps, ordered: int, container: Container, queue: FakeQueue
) -> None:
    steps.emit(about())
    with steps.another_session() as connection, ThreadPoolExecutor(1) as pool:
        events.fan_out(connection, 500)
        steps.emit(about())
        waiting = pool.submit(container.fan_out_runner.run)
        steps.wait_for_a_waiter()
        assert container.fan_out_runner.run()[0].events == 0  # and one that waits is enough
        connection.commit()
        waiting.result()

    assert queue.fan_outs == 1
    assert container.fan_out_runner.run()[0].events == 1


def test_one_that_hangs_is_waited_for_no_longer_than_a_lock_is(steps: Steps, ordered: int, storage: Storage) -> None:
    (first,) = steps.emit(about())

    def wait(connection: Any) -> None:
        rows(connection, "set local lock_timeout = 50")
        events.wait_for_lock(connection, first.id)

    with steps.another_session() as connection:
        events.fan_out(connection, 500)
        with pytest.raises(StorageUnavailable):
            storage.transact(wait)


# -- Late commits ------------------------------------------------------------------------------------------------------


def late(steps: Steps, draft: EventDraft | None = None) -> tuple[Any, Any]:
    """An emit that is not committed yet: its connection, and its event."""
    connection = steps.storage.engine.connect()
    (event,) = emits.insert(connection, steps.account.id, [draft or about()])
    return connection, event


def commit(connection: Any) -> None:
    connection.commit()
    connection.close()


def test_one_that_is_committed_late_goes_before_a_later_one_that_waits(steps: Steps, ordered: int) -> None:
    connection, first = late(steps)
    (second,) = steps.emit(about())
    steps.fan_out()
    commit(connection)
    steps.fan_out()

    assert is_settled(steps)
    one = steps.claim_one(ordered)
    assert one.event_id == first.id
    steps.record(one)
    settle(steps, one)
    assert claimed(steps, ordered) == [second.id]


def test_one_that_is_committed_late_goes_after_a_later_one_that_is_in_flight(steps: Steps, ordered: int) -> None:
    connection, first = late(steps)
    (second,) = steps.emit(about())
    steps.fan_out()
    one = steps.claim_one(ordered)
    commit(connection)
    steps.fan_out()

    assert (one.event_id, claimed(steps, ordered)) == (second.id, [])
    steps.record(one)
    settle(steps, one)
    assert claimed(steps, ordered) == [first.id]


@pytest.mark.parametrize("in_flight", [False, True])
def test_an_older_update_that_comes_late_gives_way(steps: Steps, superseding: int, in_flight: bool) -> None:
    connection, first = late(steps)
    (second,) = steps.emit(about())
    steps.fan_out()
    found = claimed(steps, superseding) if in_flight else []
    commit(connection)
    steps.fan_out()

    assert found + claimed(steps, superseding) == [second.id]
    assert steps.value("select state from dispatcher.deliveries where event_id = %(id)s", id=first.id) == "superseded"


def test_an_older_update_that_comes_after_the_newer_was_delivered_is_sent(steps: Steps, superseding: int) -> None:
    connection, first = late(steps)
    steps.emit(about())
    steps.fan_out()
    steps.record(steps.claim_one(superseding))
    commit(connection)
    steps.fan_out()

    assert claimed(steps, superseding) == [first.id]


# -- What is in flight when a newer update comes -----------------------------------------------------------------------


@pytest.fixture
def outdated(steps: Steps, superseding: int) -> ClaimedDelivery:
    """An update in flight, and a newer one that waits."""
    steps.emit(about())
    steps.fan_out()
    one = steps.claim_one(superseding)
    steps.emit(about())
    steps.fan_out()
    return one


def test_an_update_that_failed_is_not_sent_again_after_a_newer_one(
    steps: Steps, superseding: int, outdated: ClaimedDelivery
) -> None:
    steps.record(steps.claim_one(superseding))
    steps.record(outdated, "500", retry_in_s=0)
    settle(steps, outdated)

    assert steps.delivery(outdated.id)["state"] == "superseded"
    assert claimed(steps, superseding) == []


def test_an_update_whose_worker_died_is_not_sent_again_after_a_newer_one(
    steps: Steps, superseding: int, outdated: ClaimedDelivery
) -> None:
    steps.record(steps.claim_one(superseding))
    steps.lose(outdated.id)

    claim = steps.claim({superseding: 10})
    assert (claim.claimed, claim.losses, claim.failed) == ((), 1, 0)
    assert steps.delivery(outdated.id)["state"] == "superseded"


def test_an_update_in_flight_that_arrives_is_delivered(steps: Steps, outdated: ClaimedDelivery) -> None:
    steps.record(outdated)

    assert steps.delivery(outdated.id)["state"] == "delivered"


def test_what_gave_way_is_sent_where_somebody_asks_for_it(
    steps: Steps, superseding: int, outdated: ClaimedDelivery
) -> None:
    steps.record(steps.claim_one(superseding))
    steps.record(outdated, "500", retry_in_s=0)
    settle(steps, outdated)

    assert steps.storage.transact(deliveries.replay, outdated.id, 1_000) == superseding
    again = steps.claim_one(superseding)
    steps.record(again, "500", retry_in_s=0)
    settle(steps, outdated)
    assert steps.claim_one(superseding).id == outdated.id


# -- Replays -----------------------------------------------------------------------------------------------------------


def test_a_replay_is_held_back_behind_what_is_in_flight(steps: Steps, ordered: int) -> None:
    (first, second) = steps.emit(about(), about())
    steps.fan_out()
    failed = steps.claim_one(ordered)
    steps.record(failed, "500")
    settle(steps, failed)
    flying = steps.claim_one(ordered)
    steps.storage.transact(deliveries.replay, failed.id, 1_000)

    assert (flying.event_id, claimed(steps, ordered)) == (second.id, [])
    steps.record(flying)
    settle(steps, flying)
    assert claimed(steps, ordered) == [first.id]


def test_a_replay_of_what_was_made_before_order_was_wanted_is_in_order(
    steps: Steps, storage: Storage, account: Account, edit: Callable[..., Webhook]
) -> None:
    webhook = a_webhook(storage, account, events=list(KEYS))
    (first, _) = steps.emit(about(), about())
    steps.fan_out()
    failed = steps.claim_one(webhook.id)
    steps.record(failed, "500")
    edit(webhook.id, {"ordering": "resource"})
    steps.storage.transact(deliveries.replay, failed.id, 1_000)

    assert claimed(steps, webhook.id) == [first.id]


def test_deliveries_given_up_after_too_many_losses_let_the_next_go(steps: Steps, ordered: int) -> None:
    (_, second) = steps.emit(about(), about())
    steps.fan_out()
    steps.lose(steps.claim_one(ordered).id)

    claim = steps.claim({ordered: 1}, limit=1)
    assert (claim.failed, claim.ended) == (1, ((ordered, "invoice:7"),))
    steps.storage.autocommit(order.settle, claim.ended)
    assert claimed(steps, ordered) == [second.id]


def test_the_rule_is_kept_by_the_indexes_of_its_resource(steps: Steps, storage: Storage, account: Account) -> None:
    hooks = [a_webhook(storage, account, ordering=ordering, superseding=True) for ordering in ("resource", "none")]
    steps.rows(
        "insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, resource, next_attempt_at)"
        " select nextval('dispatcher.delivery_id'), n, webhook_id, gen_random_uuid(), 'invoice:' || mod(n, 500),"
        f" case when n < 500 then now() else {order.HELD_BACK} end"
        " from generate_series(1, 5000) n cross join unnest(%(webhooks)s) webhook_id",
        webhooks=[webhook.id for webhook in hooks],
    )

    def check(statistics: str) -> None:
        for webhook in hooks:
            pairs = {"webhook_ids": f"{{{webhook.id}}}", "resources": "{invoice:7}"}
            for statement in filter(str.strip, order._KEEP.split(";")):
                plan = "\n".join(line for (line,) in steps.rows("explain " + statement, **pairs))
                assert "Seq Scan on deliveries_waiting" not in plan, (statistics, webhook.ordering)
                assert "deliveries_due" not in plan, (statistics, webhook.ordering)

    check("of empty tables")
    steps.rows("analyze dispatcher.deliveries_waiting")
    check("fresh")


# -- Order switched on and off -----------------------------------------------------------------------------------------


def test_order_switched_on_holds_for_what_waits_already(
    steps: Steps, storage: Storage, account: Account, edit: Callable[..., Webhook]
) -> None:
    webhook = a_webhook(storage, account, events=list(KEYS))
    (flying, first, second, other) = steps.emit(about(), about(), about(), about(8))
    steps.fan_out()
    one = steps.claim_one(webhook.id)
    assert one.event_id == flying.id

    edit(webhook.id, {"ordering": "resource"})
    assert claimed(steps, webhook.id) == [other.id]
    for event in (first, second):
        steps.record(one)
        steps.storage.autocommit(order.settle_all)  # by reconcile: who claimed the first did not know of order
        one = steps.claim_one(webhook.id)
        assert one.event_id == event.id


def test_order_switched_on_beside_superseding_holds_for_what_waits_already(
    steps: Steps, superseding: int, edit: Callable[..., Webhook]
) -> None:
    (first, _) = steps.emit(about(name="invoice_sent"), about(name="invoice_sent"))
    steps.fan_out()
    edit(superseding, {"ordering": "resource"})

    assert is_settled(steps)
    assert claimed(steps, superseding) == [first.id]


def test_order_switched_on_waits_for_a_fan_out_under_way(
    steps: Steps, storage: Storage, account: Account, edit: Callable[..., Webhook]
) -> None:
    webhook = a_webhook(storage, account, events=list(KEYS))
    (first, _) = steps.emit(about(), about())
    with steps.another_session() as connection, ThreadPoolExecutor(1) as pool:
        events.fan_out(connection, 500)
        editing = pool.submit(edit, webhook.id, {"ordering": "resource"})
        steps.wait_for_a_waiter()
        connection.commit()
        editing.result()

    assert claimed(steps, webhook.id) == [first.id]


def test_order_switched_off_lets_all_go_at_once(steps: Steps, ordered: int, edit: Callable[..., Webhook]) -> None:
    stored = steps.emit(about(), about(), about())
    steps.fan_out()
    edit(ordered, {"ordering": "none"})

    assert claimed(steps, ordered) == [event.id for event in stored]


# -- The order of ids --------------------------------------------------------------------------------------------------

NOW = "(extract(epoch from clock_timestamp())::bigint - 1577836800)"


def draw(steps: Steps, count: int = 3) -> list[int]:
    return [steps.value("select dispatcher.new_event_id()") for _ in range(count)]


def behind_s(steps: Steps, id_: int) -> int:
    """By how many seconds the id is older than now."""
    return steps.value(f"select {NOW} - (%(id)s >> 23)", id=id_)


def test_ids_grow_where_their_counter_is_full(steps: Steps) -> None:
    steps.rows(f"select setval('dispatcher.event_counter', {NOW} << 23 | 8388606)")
    drawn = draw(steps)

    assert drawn == sorted(set(drawn))
    assert {event.id for event in steps.emit(*[about()] * 60)} > {drawn[-1] + 1}


def test_ids_grow_while_a_clock_that_was_set_back_catches_up(steps: Steps) -> None:
    steps.rows(f"select setval('dispatcher.event_counter', ({NOW} + 55) << 23)")
    drawn = draw(steps)

    assert drawn == list(range(drawn[0], drawn[0] + 3))
    assert -60 <= behind_s(steps, drawn[0]) <= -50


def test_ids_follow_a_clock_that_was_set_back_by_more(steps: Steps) -> None:
    steps.rows(f"select setval('dispatcher.event_counter', ({NOW} + 86400) << 23 | 17)")
    drawn = draw(steps)

    assert -2 <= behind_s(steps, drawn[0]) <= 2
    assert [id_ & 8388607 for id_ in drawn] == [19, 20, 21]  # and not those that this second may have seen already


def test_ids_drawn_at_once_are_distinct_and_of_the_present_second(steps: Steps, database_url: str) -> None:
    steps.rows(f"select setval('dispatcher.event_counter', ({NOW} - 100) << 23)")
    start = threading.Barrier(8)

    def drawing(_: Any) -> list[int]:
        engine = make_engine(database_url, 1)
        with engine.begin() as connection:
            rows(connection, "select 1")
            start.wait()
            drawn = [rows(connection, "select dispatcher.new_event_id()")[0][0] for _ in range(50)]
        engine.dispose()
        return drawn

    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(drawing, range(8)))
    assert len({id_ for ids in drawn for id_ in ids}) == 400
    assert all(ids == sorted(ids) for ids in drawn)
    assert all(behind_s(steps, ids[0]) < 50 for ids in drawn)


def test_no_lock_is_kept_for_an_id(steps: Steps) -> None:
    steps.rows(f"select setval('dispatcher.event_counter', ({NOW} - 100) << 23)")
    with steps.another_session() as connection:
        rows(connection, "select dispatcher.new_event_id()")
        assert rows(connection, "select count(*) from pg_locks where locktype = 'advisory'") == [(0,)]


def test_who_may_only_draw_ids_moves_them_on(steps: Steps) -> None:
    steps.rows(f"select setval('dispatcher.event_counter', ({NOW} - 100) << 23)")
    with steps.another_session() as connection:
        rows(connection, "create role emitter")
        rows(
            connection,
            "grant usage on schema dispatcher to emitter; grant usage on sequence dispatcher.event_counter to emitter",
        )
        rows(connection, "set local role emitter")
        (id_,) = rows(connection, "select dispatcher.new_event_id()")[0]
        connection.rollback()

    assert behind_s(steps, id_) < 50


# -- All at once -------------------------------------------------------------------------------------------------------


class Drains:
    """What two drains at once send; `twice` are resources of which two were in flight together."""

    def __init__(self, steps: Steps, webhook_id: int) -> None:
        self.sent: list[Any] = []
        self.twice: list[Any] = []
        self._steps, self._webhook_id = steps, webhook_id
        self._in_flight: set[Any] = set()
        self._lock = threading.Lock()

    def drain(self, rng: random.Random) -> None:
        found = self._steps.claim({self._webhook_id: 50}).claimed
        with self._lock:
            for one in found:
                self.twice += {one.resource} & self._in_flight
                self._in_flight.add(one.resource)
                self.sent.append((one.resource, one.event_id))
        for one in found:
            with self._lock:
                self._in_flight.remove(one.resource)
            self._steps.record(one, rng.choice(("200", "200", "500")), retry_in_s=0)
            settle(self._steps, one)


def test_whatever_happens_at_once_those_of_a_resource_go_one_by_one_in_their_order(
    steps: Steps, storage: Storage, ordered: int
) -> None:
    """Emitters, fan-outs, drains, replays and `reconcile`, all at once."""
    drains, stored = Drains(steps, ordered), []
    meddling, draining = threading.Event(), threading.Event()

    def emit(rng: random.Random) -> None:
        for _ in range(30):
            with storage.transaction() as connection:
                id_ = rng.randrange(4)
                rows(connection, "select pg_advisory_xact_lock(99, %(id)s)", id=id_)  # as of a row that is changed
                draft = about(id_, "invoice_sent")
                stored.extend(emits.insert(connection, steps.account.id, [draft] * rng.choice((1, 1, 3))))

    def fan_out(rng: random.Random) -> None:
        take_batch(storage, rng.choice((1, 5, 50)))

    def meddle(rng: random.Random) -> None:
        storage.autocommit(order.settle_all)
        found = steps.rows(
            "select id from dispatcher.deliveries where finished_on is not null order by id desc limit 20"
        )
        if found:
            storage.transact(deliveries.replay, rng.choice(found)[0], 1_000)

    def repeat(work: Callable[..., Any], seed: int, ended: threading.Event) -> None:
        rng = random.Random(seed)
        while not ended.is_set():
            work(rng)

    jobs = [*[(fan_out, draining)] * 2, *[(drains.drain, draining)] * 2, (meddle, meddling)]
    with ThreadPoolExecutor(3 + len(jobs)) as pool:
        running = [pool.submit(repeat, work, seed, ended) for seed, (work, ended) in enumerate(jobs)]
        try:
            for emitter in [pool.submit(emit, random.Random(seed)) for seed in range(3)]:
                emitter.result()
            meddling.set()  # what is left must come to its end by itself
            waiting = (
                "select (select count(*) from dispatcher.events_waiting) +"
                " (select count(*) from dispatcher.deliveries_waiting)"
            )
            eventually(lambda: steps.value(waiting) == 0, 60, "the end of all deliveries")
        finally:
            meddling.set()
            draining.set()
        for job in running:
            job.result()

    first_sent = list(dict.fromkeys(drains.sent))
    assert drains.twice == []
    assert sorted(id_ for _, id_ in first_sent) == sorted(event.id for event in stored)
    for resource in {resource for resource, _ in first_sent}:
        ids = [id_ for of, id_ in first_sent if of == resource]
        assert ids == sorted(ids)
