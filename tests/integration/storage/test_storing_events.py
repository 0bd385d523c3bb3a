import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatcher.model.account import Account
from dispatcher.model.webhook import Webhook
from dispatcher.storage.engine import Storage, make_engine
from dispatcher.storage.pipeline import emits
from dispatcher.storage.pipeline.emits import Emit
from tests.integration.storage.conftest import Steps
from tests.support.builders import a_draft, an_account


def count(steps: Steps) -> int:
    stored = steps.value("select count(*) from dispatcher.events")
    assert steps.value("select count(*) from dispatcher.events_waiting") == stored
    return stored


def test_an_event_is_stored_and_waits_in_the_outbox(steps: Steps, account: Account) -> None:
    (event,) = steps.emit(a_draft("invoice_paid", '{"a":1}'))

    assert event.new
    assert event.created_at.tzinfo is not None
    assert steps.rows("select id, account_id, name, body::text, created_at from dispatcher.events") == [
        (event.id, account.id, "invoice_paid", '{"a":1}', event.created_at)
    ]
    assert steps.rows("select event_id, account_id, name from dispatcher.events_waiting") == [
        (event.id, account.id, "invoice_paid")
    ]


def test_many_events_are_stored_in_order(steps: Steps) -> None:
    stored = steps.emit(*(a_draft("invoice_paid", f'{{"n":{n}}}') for n in range(1_000)))

    bodies = dict(steps.rows("select id, body->>'n' from dispatcher.events"))
    assert [bodies[event.id] for event in stored] == [str(n) for n in range(1_000)]


def test_ids_of_events_fit_javascript(steps: Steps) -> None:
    assert 0 < steps.emit()[0].id < 2**53


def test_ids_of_events_hold_the_second_of_their_emit(steps: Steps) -> None:
    """The counter stands below it."""
    stored = [steps.emit()[0].id for _ in range(2)]

    assert stored[0] < stored[1]
    assert abs(steps.value("select extract(epoch from now())::bigint - 1577836800") - (stored[1] >> 23)) <= 1


def test_ids_of_events_grow_from_emit_to_emit_over_whichever_connections(steps: Steps, database_url: str) -> None:
    engines = [make_engine(database_url, 1) for _ in range(3)]
    ids = []
    for number in range(30):
        with engines[number % 3].begin() as connection:
            drafts = [a_draft()] * (1 + number % 2)
            ids += [e.id for e in emits.insert(connection, steps.account.id, drafts)]
    for engine in engines:
        engine.dispose()

    assert ids == sorted(ids)


def test_events_lie_in_the_partition_of_their_day(steps: Steps) -> None:
    (event,) = steps.emit()

    today = steps.value("select to_char(now(), 'YYYYMMDD')")
    assert (
        steps.value("select tableoid::regclass::text from dispatcher.events where id = %(id)s", id=event.id)
        == f"dispatcher.events_{today}"
    )


def test_when_it_happened_is_kept_as_given(steps: Steps) -> None:
    happened = datetime(2024, 6, 13, 12, 6, 20, 924_000, tzinfo=UTC)

    assert steps.emit(a_draft(created_at=happened))[0].created_at == happened


def test_a_body_keeps_its_very_bytes(steps: Steps, webhook: Webhook) -> None:
    bodies = ['{"b": 1,  "a":[1.10, 1e2]}', '{"é":"\\u00e9","a":1,"a":2}', '{"x":"\\\\ %s %(y)s %% ;"}']
    stored = steps.emit(*(a_draft(body_json=body) for body in bodies))
    steps.fan_out()

    claimed = {one.event_id: one.body_json for one in steps.claim({webhook.id: 10}).claimed}
    assert [claimed[event.id] for event in stored] == bodies


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters='"\\')))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_keeps_its_very_bytes(steps: Steps, webhook: Webhook, text: str) -> None:
    steps.emit(a_draft(body_json=f'{{"text":"{text}"}}'))
    steps.fan_out()
    claimed = steps.claim_one(webhook.id)
    steps.record(claimed)

    assert claimed.body_json == f'{{"text":"{text}"}}'


def test_a_key_repeated_within_a_batch_is_one_event(steps: Steps) -> None:
    first, again, other = steps.emit(
        a_draft(idempotency_key="k"), a_draft(idempotency_key="k"), a_draft(idempotency_key="other")
    )

    assert (first.new, again.new, other.new) == (True, False, True)
    assert first.id == again.id != other.id
    assert count(steps) == 2


def test_a_key_repeated_later_returns_the_first_event(steps: Steps) -> None:
    (first,) = steps.emit(a_draft("invoice_paid", idempotency_key="k"))
    again, fresh = steps.emit(a_draft("invoice_sent", idempotency_key="k"), a_draft())

    assert (again.id, again.name, again.created_at, again.new) == (first.id, "invoice_paid", first.created_at, False)
    assert fresh.new
    assert count(steps) == 2


def test_a_key_is_known_after_its_event_was_fanned_out(steps: Steps, webhook: Webhook) -> None:
    (first,) = steps.emit(a_draft(idempotency_key="k"))
    steps.fan_out()

    assert steps.emit(a_draft(idempotency_key="k"))[0].id == first.id


def test_accounts_do_not_share_keys(steps: Steps, storage: Storage) -> None:
    other = an_account(storage, "pearcorp")
    (first,) = steps.emit(a_draft(idempotency_key="k"))
    (second,) = storage.transact(emits.insert, other.id, [a_draft(idempotency_key="k")])

    assert second.new
    assert first.id != second.id


def test_twenty_threads_with_one_key_store_one_event(steps: Steps) -> None:
    start = threading.Barrier(8)

    def emit(_: Any) -> list[Any]:
        start.wait()
        return [steps.emit(a_draft(idempotency_key="k"))[0] for _ in range(3)]

    with ThreadPoolExecutor(8) as pool:
        stored = [event for mine in pool.map(emit, range(8)) for event in mine]

    assert len({event.id for event in stored}) == 1
    assert sum(event.new for event in stored) == 1
    assert count(steps) == 1


def test_batches_with_the_same_keys_in_another_order_do_not_deadlock(steps: Steps) -> None:
    keys = [f"key {n}" for n in range(50)]
    start = threading.Barrier(4)

    def emit(order: list[str]) -> list[Any]:
        start.wait()
        return steps.emit(*(a_draft(idempotency_key=key) for key in order))

    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(emit, [keys, keys[::-1], keys, keys[::-1]]))

    assert sum(event.new for batch in batches for event in batch) == 50
    assert count(steps) == 50


def test_a_key_that_was_rolled_back_is_free(steps: Steps) -> None:
    with steps.another_session() as connection:
        emits.insert(connection, steps.account.id, [a_draft(idempotency_key="k")])
        connection.rollback()

    assert steps.emit(a_draft(idempotency_key="k"))[0].new


def test_an_event_is_part_of_the_emitters_transaction(steps: Steps, joined: Any) -> None:
    emits.insert(joined, steps.account.id, [a_draft(), a_draft(idempotency_key="k")])
    assert count(steps) == 0

    joined.commit()
    assert count(steps) == 2


def test_an_event_is_rolled_back_with_the_emitters_transaction(steps: Steps, joined: Any) -> None:
    emits.insert(joined, steps.account.id, [a_draft(), a_draft(idempotency_key="k")])
    joined.rollback()

    assert count(steps) == 0


def test_what_several_calls_emit_together_stands_in_their_order(steps: Steps, storage: Storage) -> None:
    other = an_account(storage, "pearcorp")
    (known,) = steps.emit(a_draft("invoice_sent", idempotency_key="known"))
    together = [
        Emit(steps.account.id, [a_draft(idempotency_key="k"), a_draft()]),
        Emit(other.id, [a_draft(idempotency_key="k"), a_draft(idempotency_key="known")]),
        Emit(steps.account.id, [a_draft(idempotency_key="k"), a_draft(idempotency_key="known")]),
    ]

    stored: Any = storage.transact(emits.insert_together, together)
    first, second, third = stored

    assert [event.new for event in (*first, *second, *third)] == [True, True, True, True, False, False]
    assert [event.id for event in third] == [first[0].id, known.id]
    assert len({event.id for event in (*first, *second, known)}) == count(steps) == 5
    owners = dict(steps.rows("select id, account_id from dispatcher.events"))
    assert [owners[event.id] for event in (*first, *second)] == [steps.account.id] * 2 + [other.id] * 2


def test_together_nobody_waits_for_a_key_that_another_transaction_is_storing(steps: Steps, storage: Storage) -> None:
    together = [
        Emit(steps.account.id, [a_draft(idempotency_key="free")]),
        Emit(steps.account.id, [a_draft(), a_draft(idempotency_key="taken")]),
        Emit(steps.account.id, [a_draft()]),
    ]
    with steps.another_session() as connection:
        emits.insert(connection, steps.account.id, [a_draft(idempotency_key="taken")])
        stored: Any = storage.transact(emits.insert_together, together)
        first, second, third = stored

        assert second is None
        assert [event.new for event in (*first, *third)] == [True, True]
        assert count(steps) == 2

    (again,) = storage.transact(emits.insert_together, together[1:2])
    assert again is not None
    assert [event.new for event in again] == [True, False]
    assert count(steps) == 4


def test_a_key_is_looked_up_by_its_index_whatever_the_statistics_say(steps: Steps) -> None:
    """As for the claim: those of a nearly empty table made the planner read all."""
    steps.rows("analyze dispatcher.events")
    steps.emit(*(a_draft(idempotency_key=f"key {n}") for n in range(2_000)))
    explain = "explain (format json) " + emits._BY_KEY
    parameters = emits._key_parameters([(steps.account.id, f"key {n}") for n in range(100)])

    plan = str(steps.value(explain, **parameters))

    assert "events_" in plan
    assert "Hash Join" not in plan
    assert "Merge Join" not in plan
