"""An event shares the fate of the transaction that it was emitted in, on every connection that an emit takes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from dispatcher import emit
from dispatcher.container import Container
from dispatcher.errors import AccountNotFound
from dispatcher.model.account import Account
from dispatcher.model.event import Event
from dispatcher.schemas import Catalogue, InvalidEvent
from dispatcher.schemas.active_catalogues import Catalogues, use
from dispatcher.schemas.api_v3 import FileCountSchema
from dispatcher.storage.admin import accounts
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline import emits
from dispatcher.storage.pipeline.listener import NotificationListener
from tests.integration.emit.conftest import Open
from tests.support.builders import a_draft
from tests.support.drivers.base import Driver
from tests.support.waiting import eventually

Outbox = Callable[[], list[int]]
Notified = Callable[[float], bool]

OUTBOX = """
select (body #>> '{inbox_files,count}')::int from dispatcher.events join dispatcher.events_waiting on event_id = id
order by id
"""


@pytest.fixture
def outbox(storage: Storage) -> Outbox:
    """The counts that the events in the outbox have."""

    def counts() -> list[int]:
        with storage.engine.connect() as connection:
            return [count for (count,) in connection.exec_driver_sql(OUTBOX)]

    return counts


@pytest.fixture
def notified(storage: Storage) -> Iterator[Notified]:
    """Whether the workers have been notified since it was last asked."""
    with closing(NotificationListener(storage.engine, reconnect_s=0.0)) as listener:
        stop = threading.Event()
        assert listener.wait(10, stop)  # its own echo
        yield lambda within_s: listener.wait(within_s, stop)


def test_an_event_is_there_and_the_workers_notified_at_the_commit_and_not_before_or_after_a_rollback(
    driver: Driver, outbox: Outbox, notified: Notified
) -> None:
    driver.begin()
    driver.emit(1)
    driver.end(commit=False)
    driver.begin()
    event = driver.emit(2)
    assert outbox() == []
    assert not notified(0.05)

    driver.end(commit=True)

    assert outbox() == [2]
    assert notified(10)
    assert event.new
    assert event.created_at.utcoffset() == timedelta(0)
    assert abs(event.created_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_only_what_was_emitted_since_the_savepoint_is_undone(driver: Driver, outbox: Outbox) -> None:
    driver.begin()
    driver.emit(1)
    driver.begin()
    driver.emit(2)
    driver.end(commit=False)
    driver.emit(3)
    driver.end(commit=True)

    assert outbox() == [1, 3]


def test_what_is_nested_ends_with_what_is_around_it(driver: Driver, outbox: Outbox) -> None:
    for commit in (False, True):
        driver.begin()
        driver.emit(1)
        driver.begin()
        driver.begin()
        driver.emit(2)
        driver.end(commit=True)
        driver.emit(3)
        driver.end(commit=True)
        driver.end(commit=commit)
        assert outbox() == ([1, 2, 3] if commit else [])


def test_of_two_events_in_one_transaction_both_are_there_or_none(driver: Driver, outbox: Outbox) -> None:
    for commit in (False, True):
        driver.begin()
        driver.emit(1)
        driver.emit(2)
        driver.end(commit=commit)
        assert outbox() == ([1, 2] if commit else [])


def test_many_are_there_in_order_with_the_rest_of_the_transaction(driver: Driver, outbox: Outbox) -> None:
    counts = range(emits.MANY + 1)
    driver.begin()
    driver.emit_many([0])
    driver.begin()
    driver.emit_many(counts)
    driver.end(commit=False)
    stored = driver.emit_many(counts)
    assert [event.id for event in stored] == sorted({event.id for event in stored})
    driver.end(commit=True)

    assert outbox() == [0, *counts]


def test_an_event_has_the_time_that_it_was_given_and_the_version_of_its_body(driver: Driver, storage: Storage) -> None:
    happened = datetime(2024, 6, 13, 14, 6, 20, 924_001, tzinfo=UTC)
    own = Catalogue("own")
    files = own.resource("inbox_files", FileCountSchema, id=None)
    own.event("inbox_file_removed_all", files)
    own.event("inbox_file_removed_all", files, version=2, downgrade=lambda body: body)
    use(Catalogues(own))
    try:
        driver.begin()
        event = driver.emit(1, created_at=happened.astimezone())
        driver.emit_many(range(2))
        driver.emit_many(range(emits.MANY))
        driver.end(commit=True)
    finally:
        use(None)

    assert event.created_at == happened
    with storage.engine.connect() as connection:
        stored = connection.exec_driver_sql("select created_at, version from dispatcher.events order by id").all()
    assert (stored[0].created_at, [one.version for one in stored]) == (happened, [2] * (3 + emits.MANY))


def test_a_repeated_key_stands_for_the_first_event(driver: Driver, outbox: Outbox) -> None:
    driver.begin()
    first = driver.emit(1, idempotency_key="k")
    driver.end(commit=True)
    driver.begin()
    second = driver.emit(2, idempotency_key="k")
    driver.end(commit=True)

    assert second.id == first.id
    assert second.created_at == first.created_at
    assert not second.new
    assert outbox() == [1]


def test_what_is_refused_before_the_insert_leaves_the_transaction_as_it_was(driver: Driver, outbox: Outbox) -> None:
    driver.begin()
    driver.emit(1)
    with pytest.raises(InvalidEvent):
        driver.emit("many")
    driver.emit(2)
    driver.end(commit=True)

    assert outbox() == [1, 2]


def test_an_account_that_is_not_there_leaves_the_transaction_as_it_was(driver: Driver, outbox: Outbox) -> None:
    driver.begin()
    driver.execute("update dispatcher.accounts set slug = 'pearcorp'")
    with pytest.raises(AccountNotFound):
        driver.emit(1)
    driver.execute("update dispatcher.accounts set slug = 'applecorp'")
    driver.emit(2)
    driver.end(commit=True)

    assert outbox() == [2]


def test_an_account_that_has_changed_since_the_last_emit_is_looked_up_again(driver: Driver, outbox: Outbox) -> None:
    driver.begin()
    driver.emit(1)
    driver.execute("update dispatcher.accounts set slug = 'pearcorp'")
    with pytest.raises(AccountNotFound):
        driver.emit(2)
    driver.execute("update dispatcher.accounts set slug = 'applecorp', time_zone = 'Asia/Tokyo'")
    driver.emit(3)
    driver.end(commit=True)

    assert outbox() == [1, 3]


def test_without_a_transaction_an_event_is_there_at_once(opened: Open, outbox: Outbox, notified: Notified) -> None:
    opened(autocommit=True).emit(1)

    assert outbox() == [1]
    assert notified(10)


def test_without_a_transaction_a_key_waits_for_another_emit_of_it(
    opened: Open, account: Account, storage: Storage, outbox: Outbox
) -> None:
    driver = opened(autocommit=True)
    stored: list[Event] = []
    emitting = threading.Thread(target=lambda: stored.append(emit_in_a_thread(driver)))
    with storage.transaction() as connection:
        (first,) = emits.insert(connection, account.id, [a_draft(idempotency_key="k")])
        emitting.start()
        eventually(lambda: somebody_waits(storage), what="the second emit waiting for the first")
    emitting.join(20)

    assert [(event.id, event.new) for event in stored] == [(first.id, False)]
    assert len(outbox()) == 1


def test_without_a_transaction_a_key_is_locked_until_its_event_is_committed(
    opened: Open, storage: Storage, outbox: Outbox
) -> None:
    driver = opened(autocommit=True)
    emitting = threading.Thread(target=lambda: emit_in_a_thread(driver))
    with storage.transaction() as connection:
        connection.exec_driver_sql("lock table dispatcher.events_waiting")
        emitting.start()
        eventually(lambda: somebody_waits(storage), what="the insert waiting for the table")
        assert connection.exec_driver_sql("select 1 from pg_locks where locktype = 'advisory' and granted").all()
    emitting.join(20)

    assert outbox() == [2]


def emit_in_a_thread(driver: Driver) -> Event:
    """A driver belongs to the thread that uses it, so this one opens its own."""
    own = type(driver)(driver.url, autocommit=True)
    try:
        return own.emit(2, idempotency_key="k")
    finally:
        own.close()


def somebody_waits(storage: Storage) -> bool:
    with storage.engine.connect() as connection:
        return connection.exec_driver_sql("select 1 from pg_locks where not granted").first() is not None


def test_after_a_failed_emit_without_a_transaction_the_connection_is_as_before(opened: Open, outbox: Outbox) -> None:
    driver = opened(autocommit=True)
    driver.execute("alter table dispatcher.events_waiting add check (false) not valid")
    with pytest.raises(Exception, match="violates check constraint"):
        driver.emit(1, idempotency_key="k")

    driver.execute("alter table dispatcher.events_waiting drop constraint events_waiting_check")
    driver.emit(2, idempotency_key="k")

    assert outbox() == [2]


def test_times_are_in_the_time_zone_that_the_account_has_now(
    container: Container, account: Account, storage: Storage
) -> None:
    sent_at = datetime(2024, 6, 13, 12, 0, tzinfo=UTC)
    with storage.transaction() as connection:
        for time_zone in ("Europe/Prague", "Asia/Tokyo"):
            accounts.edit(connection, account.id, time_zone=time_zone)
            emit(
                "invoice_paid",
                account=account.slug,
                connection=connection,
                invoice={"id": 1, "sent_at": sent_at},
                payment={"id": 2},
            )
        sql = "select body #>> '{invoice,sent_at}' from dispatcher.events order by id"
        times = [text for (text,) in connection.exec_driver_sql(sql)]

    assert times == ["2024-06-13T14:00:00.000+02:00", "2024-06-13T21:00:00.000+09:00"]
