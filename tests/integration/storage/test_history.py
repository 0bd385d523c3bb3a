"""Days of history: made ahead, dropped whole, kept while something still needs them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from time import monotonic

import pytest

from dispatcher.model.account import Account
from dispatcher.model.webhook import Webhook
from dispatcher.pipeline.prune import prune as prune_storage
from dispatcher.storage.engine import Storage
from dispatcher.storage.reads import deliveries
from dispatcher.storage.reads.deliveries import DeliveryRow
from dispatcher.storage.stats import partitions
from tests.conftest import ShiftTime
from tests.integration.storage.conftest import Steps
from tests.support.builders import a_draft, a_webhook


def today() -> date:
    """Not a constant: tests run over midnight, too."""
    return datetime.now(UTC).date()


RETENTION, OLDEST = 3, 6
"""Days."""


def prune(steps: Steps, retention_days: int = RETENTION) -> list[str]:
    return prune_storage(steps.storage, retention_days)


def partitions_of(steps: Steps, table: str) -> set[str]:
    names = steps.rows(
        "select relname from pg_inherits join pg_class c on c.oid = inhrelid where inhparent = %(t)s::regclass",
        t=f"dispatcher.{table}",
    )
    return {name for (name,) in names}


def named(table: str, days_ago: int) -> str:
    return f"{table}_{today() - timedelta(days=days_ago):%Y%m%d}"


@pytest.fixture
def old(steps: Steps, webhook: Webhook) -> int:
    """An event of the oldest day, with a delivery that waits; its ids are 1 ... of that day."""
    steps.rows("select dispatcher.create_partitions(current_date - n) from generate_series(1, %(days)s) n", days=OLDEST)
    first = partitions._first_id(today() - timedelta(days=OLDEST))
    steps.rows(
        "insert into dispatcher.events (id, account_id, name, body, created_at)"
        " values (%(id)s, %(account)s, 'invoice_paid', '{}', now() - make_interval(days => %(days)s))",
        id=first,
        days=OLDEST,
        account=steps.account.id,
    )
    steps.rows(
        "insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key)"
        " values (1, %(id)s, %(webhook)s, dispatcher.new_idempotency_key(1))",
        id=first,
        webhook=webhook.id,
    )
    return first


def test_the_next_days_are_made_ahead(steps: Steps, shift_time: ShiftTime) -> None:
    shift_time(3 * 86_400)
    assert prune(steps) == []

    for table in ("events", "deliveries", "attempts"):
        assert named(table, -10) in partitions_of(steps, table)


def test_days_past_their_retention_are_dropped_and_the_others_kept(steps: Steps, old: int) -> None:
    steps.record(steps.claim_one(steps.value("select id from dispatcher.webhooks")))

    dropped = prune(steps)

    assert dropped == sorted(dropped, key=lambda name: (name[-8:], name))
    assert set(dropped) == {named(table, n) for table in ("events", "deliveries", "attempts") for n in (4, 5, 6)}
    assert named("events", RETENTION) in partitions_of(steps, "events")
    assert steps.value("select count(*) from dispatcher.events") == 0
    assert steps.value("select count(*) from dispatcher.deliveries") == 1  # it was finished today
    assert prune(steps) == []


def test_an_event_whose_delivery_waits_keeps_its_day(steps: Steps, old: int, webhook: Webhook) -> None:
    dropped = prune(steps)

    assert named("events", OLDEST) not in dropped
    assert named("events", OLDEST - 1) in dropped
    assert steps.claim_one(webhook.id).id == 1


def test_an_event_in_the_outbox_keeps_its_day(steps: Steps, old: int) -> None:
    steps.rows("delete from dispatcher.deliveries")
    steps.rows(
        "insert into dispatcher.events_waiting (event_id, account_id, name)"
        " values (%(id)s, %(account)s, 'invoice_paid')",
        id=old,
        account=steps.account.id,
    )

    assert named("events", OLDEST) not in prune(steps)


def test_two_workers_that_prune_at_once_drop_each_day_once(steps: Steps, old: int) -> None:
    steps.record(steps.claim_one(1))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: prune(steps), range(2))

    dropped = [*first, *second]
    assert len(set(dropped)) == len(dropped)
    assert prune(steps) == [] or len(dropped) < 9  # one that found no lock free left the rest for the next time
    assert len(partitions_of(steps, "events")) == RETENTION + 1 + 7 + 1


@pytest.mark.parametrize("read", ["events", "deliveries", "attempts"])
def test_a_day_that_somebody_reads_is_left_for_the_next_time(
    steps: Steps, old: int, read: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A dump has read it, and goes on for hours."""
    steps.record(steps.claim_one(1))
    with steps.another_session() as reader:
        reader.exec_driver_sql(f"select count(*) from dispatcher.{named(read, OLDEST)}")
        dropped = prune(steps)

    assert {name.partition("_")[0] for name in dropped} == {"events", "deliveries", "attempts"} - {read}
    assert f"history.busy partition={named(read, OLDEST)}" in caplog.text
    assert len(prune(steps)) == OLDEST - RETENTION


def test_the_next_days_are_made_although_somebody_reads_what_is_to_be_dropped(
    steps: Steps, old: int, shift_time: ShiftTime
) -> None:
    shift_time(86_400)
    with steps.another_session() as reader:
        reader.exec_driver_sql(f"select count(*) from dispatcher.{named('events', OLDEST)}")
        prune(steps)

    for table in ("events", "deliveries", "attempts"):
        assert named(table, -8) in partitions_of(steps, table)


def test_days_are_made_when_a_reader_is_gone(steps: Steps, shift_time: ShiftTime) -> None:
    shift_time(86_400)
    with steps.another_session() as reader:
        reader.exec_driver_sql("select count(*) from dispatcher.attempts")
        prune(steps)
    assert named("attempts", -8) not in partitions_of(steps, "attempts")

    prune(steps)
    assert named("attempts", -8) in partitions_of(steps, "attempts")


def test_nobody_waits_long_behind_a_prune_that_waits_for_a_reader(steps: Steps, old: int, webhook: Webhook) -> None:
    """Emits, claims and lists stood still for 5 s, in each worker that pruned."""
    waits: list[float] = []

    def work() -> None:
        while not pruning.done():
            for step in (steps.emit, lambda: steps.claim({webhook.id: 1}), lambda: listed(steps)):
                began_s = monotonic()
                step()
                waits.append(monotonic() - began_s)

    with steps.another_session() as reader, ThreadPoolExecutor(2) as pool:
        for table in ("events", "deliveries", "attempts"):
            reader.exec_driver_sql(f"select count(*) from dispatcher.{table}")
        pruning = pool.submit(prune, steps)
        pool.submit(work).result()
        assert pruning.result() == []

    assert max(waits) < 4  # 0.2 s, and what a busy machine adds; it was 5 s


def listed(steps: Steps) -> list[DeliveryRow]:
    return steps.storage.transact(deliveries.deliveries, "applecorp")


def test_a_day_nobody_made_in_time_goes_to_the_default_partition(
    steps: Steps, shift_time: ShiftTime, webhook: Webhook
) -> None:
    steps.emit()
    steps.fan_out()
    shift_time(20 * 86_400)
    steps.record(steps.claim_one(webhook.id))

    assert steps.delivery(1)["table"] == "deliveries_default"
    prune(steps, 30)
    assert steps.delivery(1)["table"] == "deliveries_default"


def test_an_events_day_is_written_in_its_id(steps: Steps) -> None:
    (event,) = steps.emit()

    assert partitions._first_id(today()) <= event.id < partitions._first_id(today() + timedelta(days=1))


def test_deliveries_of_two_webhooks_move_to_history_one_by_one(
    steps: Steps, storage: Storage, account: Account
) -> None:
    hooks = [a_webhook(storage, account) for _ in range(2)]
    steps.emit(a_draft())
    steps.fan_out()
    first = steps.claim_one(hooks[0].id)
    steps.record(first)

    assert steps.value("select count(*) from dispatcher.deliveries_waiting") == 1
    assert steps.value("select count(*) from dispatcher.deliveries") == 2
