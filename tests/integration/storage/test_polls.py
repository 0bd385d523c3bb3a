"""Deliveries of polled webhooks: kept out of every drain's sight, fetched in order, none skipped."""

import random
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.model.event import EventDraft
from dispatcher.model.webhook import POLL_URL
from dispatcher.pipeline import prune
from dispatcher.pipeline.fan_out import take_batch
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline import deliveries, emits, events, polls
from dispatcher.storage.pipeline.leasing import Leasing
from dispatcher.storage.stats import backlog
from dispatcher.webhooks import polling
from tests.conftest import ShiftTime
from tests.integration.storage.conftest import Steps
from tests.support.builders import a_draft, a_webhook

MIB = 2**20


@pytest.fixture
def polled(storage: Storage, account: Account) -> int:
    return a_webhook(storage, account, POLL_URL, events=["invoice_updated"]).id


def about(resource: int = 7, body: str | None = None) -> EventDraft:
    return a_draft("invoice_updated", body or f'{{"invoice":{{"id":{resource}}}}}', resource=f"invoice:{resource}")


def fetch(steps: Steps, webhook_id: int, after: int = 0, limit: int = 100) -> list[tuple[int, int]]:
    """Place and event of each delivery, as `polling.fetch` reads them."""

    def read() -> list[Any]:
        return steps.storage.read(polls.page, webhook_id, after=after, limit=limit, most_bytes=MIB)

    kept = read()
    if not kept and steps.storage.read(polls.ready, [(webhook_id, after)]):
        steps.storage.autocommit(polls.place, webhook_id, limit)
        kept = read()
    return [(one.position, one.claimed.event_id) for one in kept]


def ids(steps: Steps, webhook_id: int, after: int = 0, limit: int = 100) -> list[int]:
    return [event_id for _, event_id in fetch(steps, webhook_id, after, limit)]


def acknowledge(steps: Steps, webhook_id: int, up_to: int) -> int:
    return steps.storage.autocommit(polls.acknowledge, webhook_id, up_to)


# -- The order, and that nothing is skipped ----------------------------------------------------------------------------


def test_an_event_that_was_committed_late_is_not_skipped(steps: Steps, polled: int) -> None:
    with steps.another_session() as connection:
        (late,) = emits.insert(connection, steps.account.id, [about()])
        (early,) = steps.emit(about(8))
        steps.fan_out()
        ((place, event_id),) = fetch(steps, polled)
        connection.commit()
    steps.fan_out()

    assert late.id < early.id == event_id
    assert fetch(steps, polled, after=place) == [(place + 1, late.id)]


def test_an_event_waits_for_earlier_ones_that_another_fan_out_has(steps: Steps, polled: int) -> None:
    (first,) = steps.emit(about())
    with steps.another_session() as connection:
        events.fan_out(connection, 500)
        (second,) = steps.emit(about())
        steps.fan_out()

        assert ids(steps, polled) == []
        assert steps.storage.read(polls.ready, [(polled, 0)]) == set()
        connection.commit()

    assert steps.storage.read(polls.ready, [(99, 0), (polled, 0)]) == {1}
    assert ids(steps, polled) == [first.id, second.id]


def test_two_who_fetch_at_once_agree_on_the_places(steps: Steps, polled: int) -> None:
    steps.emit(*(about(n) for n in range(40)))
    steps.fan_out()
    with ThreadPoolExecutor(4) as pool:
        pages = list(pool.map(lambda _: fetch(steps, polled, limit=40), range(4)))

    places = {event_id: place for page in pages for place, event_id in page}
    assert sorted(places.values()) == list(range(1, 41))
    assert all(places[event_id] == place for page in pages for place, event_id in page)


def test_whoever_emits_and_fans_out_at_once_each_event_is_fetched_in_the_order_of_its_resource(
    steps: Steps, polled: int
) -> None:
    emitters, each, seed = 4, 30, random.Random(7)
    pauses = [seed.random() < 0.5 for _ in range(each)]
    emitted: dict[str, list[int]] = defaultdict(list)
    done = threading.Event()

    def emit(resource: int) -> None:
        for is_late in pauses:
            with steps.another_session() as connection:
                (event,) = emits.insert(connection, steps.account.id, [about(resource)])
                if is_late:  # its id is older than what others commit meanwhile
                    steps.rows("select pg_sleep(0.002)")
                connection.commit()
            emitted[f"invoice:{resource}"].append(event.id)

    def fan_out() -> None:
        while not done.is_set():
            take_batch(steps.storage, 3)

    def read() -> list[int]:
        seen: list[int] = []
        after = 0
        while len(seen) < emitters * each:
            page = fetch(steps, polled, after, limit=7)
            seen += [event_id for _, event_id in page]
            after = page[-1][0] if page else after
            if len(seen) % 3 == 0:
                acknowledge(steps, polled, after)
        return seen

    with ThreadPoolExecutor(emitters + 3) as pool:
        fanning_out = [pool.submit(fan_out) for _ in range(2)]
        reading = pool.submit(read)
        for future in [pool.submit(emit, number) for number in range(emitters)]:
            future.result()
        seen = reading.result(timeout=60)
        done.set()
        for future in fanning_out:
            future.result()

    assert len(seen) == len(set(seen))
    assert [[one for one in seen if one in own] for own in emitted.values()] == list(emitted.values())


# -- What is kept, and for how long ------------------------------------------------------------------------------------


def test_no_drain_is_asked_for_what_is_kept(steps: Steps, polled: int) -> None:
    steps.emit(about(), about())
    leasing = Leasing(token="0190163d-8694-839b-aea5-966c26f8ad91", lease_s=60.0, slots=10, room=100)
    batch, claim = take_batch(steps.storage, 1, leasing)
    plain = steps.fan_out()

    assert (batch.delivery_count, batch.webhook_ids, claim.claimed) == (1, (), ())
    assert (plain.delivery_count, plain.webhook_ids) == (1, ())
    assert steps.claim({polled: 10}).claimed == ()
    assert steps.storage.read(deliveries.next_due, [polled]) == {}
    assert [one.active for one in steps.storage.read(deliveries.all_due, after=0, limit=9)] == [False]
    assert steps.storage.transact(backlog.measure)[0].kept == 2


def test_what_is_acknowledged_is_delivered_and_what_comes_again_has_a_new_place(steps: Steps, polled: int) -> None:
    steps.emit(about(1), about(2), about(3))
    steps.fan_out()
    page = fetch(steps, polled, limit=2)

    assert [acknowledge(steps, polled, page[-1][0]) for _ in range(2)] == [2, 0]
    rest = fetch(steps, polled)
    ((id_, state),) = steps.rows("select id, state from dispatcher.deliveries where event_id = %(id)s", id=page[0][1])
    assert (state, steps.attempts(id_)) == ("delivered", [(1, "200", polls.ACKNOWLEDGED)])
    assert len(rest) == 1

    steps.storage.transact(deliveries.replay, id_, 10)
    assert fetch(steps, polled, after=rest[0][0]) == [(rest[0][0] + 1, page[0][1])]


def test_a_page_has_as_many_deliveries_as_its_bytes_allow_and_at_least_one(steps: Steps, polled: int) -> None:
    steps.emit(*(about(body=f'{{"invoice":{{"id":7,"note":"{"x" * (2 * MIB // 3)}"}}}}') for _ in range(3)))
    steps.emit(about(body=f'{{"invoice":{{"id":7,"note":"{"x" * 2 * MIB}"}}}}'))
    steps.fan_out()
    steps.storage.autocommit(polls.place, polled, 100)

    assert [len(fetch(steps, polled, after)) for after in (0, 1, 3)] == [1, 1, 1]


def test_what_cannot_be_rendered_fails_after_an_hour_and_stops_nothing_then(
    steps: Steps, polled: int, container: Container, shift_time: ShiftTime
) -> None:
    gone, broken, _ = steps.emit(about(1), about(2), about(3))
    steps.fan_out()
    steps.rows("delete from dispatcher.events where id = %(id)s", id=gone.id)
    steps.rows("update dispatcher.events set version = 99 where id = %(id)s", id=broken.id)

    assert polling.fetch(steps.storage, container.drain_policy, polled, after=0, limit=10) == ([], 1, False)
    shift_time(polling.PATIENCE_S)
    fetched, last, has_more = polling.fetch(steps.storage, container.drain_policy, polled, after=0, limit=10)

    assert (['"id":3' in one.body for one in fetched], last, has_more) == ([True], 3, True)
    states = steps.rows("select state from dispatcher.deliveries order by event_id")
    assert [state for (state,) in states] == ["failed", "failed", "pending"]


def test_what_is_not_fetched_within_the_retention_fails_and_its_day_is_dropped(
    steps: Steps, polled: int, shift_time: ShiftTime
) -> None:
    steps.emit(about())
    steps.fan_out()
    shift_time(9 * 86_400)
    assert steps.storage.autocommit(polls.expire, polled, 9) == 0
    shift_time(10 * 86_400)
    assert steps.storage.autocommit(polls.expire, polled, 9) == 1

    ((id_, state),) = steps.rows("select id, state from dispatcher.deliveries")
    assert (state, steps.attempts(id_)) == ("failed", [(1, "unknown_error", polls.NOT_FETCHED)])


def test_deliveries_that_expire_do_not_keep_the_day_of_their_event(
    steps: Steps, polled: int, account: Account, shift_time: ShiftTime
) -> None:
    steps.rows("update dispatcher.accounts set retention_days = 3")
    steps.emit(about())
    steps.fan_out()
    assert steps.storage.read(polls.retentions, 9) == {polled: 3}
    shift_time(10 * 86_400)

    assert any(name.startswith("events_") for name in prune.prune(steps.storage, 9))
