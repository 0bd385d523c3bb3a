"""What a service commits in its own database is stored by the dispatcher once, in order, whatever happens between."""

import json
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest

from dispatcher.container import Container
from dispatcher.errors import OutboxUnavailable
from dispatcher.pipeline import erasures, intake
from dispatcher.pipeline.emit import NewEvent, drafts_of
from dispatcher.pipeline.outbox_emit import OutboxEmitter
from dispatcher.schemas.active_catalogues import Catalogues, use
from dispatcher.schemas.api_v3 import EVENT_TYPES
from dispatcher.settings import Outbox
from dispatcher.storage.engine import Storage, rows
from dispatcher.storage.outboxes import registry
from dispatcher.storage.outboxes.database import BATCH_SIZE, OutboxDatabase
from dispatcher.storage.outboxes.tables import INSTALL
from dispatcher.storage.secrets import SecretBox
from tests.integration.outbox.conftest import TAKER, TakeIn
from tests.support import shop
from tests.support.bodies import event_example
from tests.support.builders import KEY, SECRET_KEY, a_body, an_account
from tests.support.outboxes import put, rows_in
from tests.support.servers import execute
from tests.support.waiting import eventually

Stored = Callable[[], list[int]]
LEFT = "select id from dispatcher_outbox.events"


def take_all(take_in: TakeIn) -> int:
    """How many batches there were."""
    batches = 0
    while take_in():
        batches += 1
    return batches


def test_events_are_stored_in_order_and_leave_the_outbox_afterwards(
    take_in: TakeIn, stored: Stored, outbox: Outbox
) -> None:
    put(outbox, 1, 2, 3)

    assert take_in() == 3
    assert stored() == [1, 2, 3]
    assert len(rows_in(outbox, LEFT)) == 3  # until the commit here is known

    assert take_in() == 0
    assert rows_in(outbox, LEFT) == []
    assert stored() == [1, 2, 3]


def test_a_batch_is_limited_and_the_rest_follows(take_in: TakeIn, stored: Stored, outbox: Outbox) -> None:
    put(outbox, *range(BATCH_SIZE + 7))

    assert [take_in(), take_in(), take_in()] == [BATCH_SIZE, 7, 0]
    assert stored() == list(range(BATCH_SIZE + 7))


def test_large_bodies_make_small_batches(take_in: TakeIn, outbox: Outbox, storage: Storage) -> None:
    sql = """insert into dispatcher_outbox.events (account, name, body)
        select 'applecorp', 'invoice_paid',
            json_build_object('invoice', json_build_object('id', n, 'note', repeat('x', 5000000)))
        from generate_series(1, 3) n"""
    rows_in(outbox, sql)

    assert [take_in(), take_in(), take_in(), take_in()] == [1, 1, 1, 0]


def test_what_was_stored_is_not_stored_again_though_it_is_still_in_the_outbox(
    take_in: TakeIn, stored: Stored, outbox: Outbox, storage: Storage
) -> None:
    put(outbox, 1, 2)
    take_in()
    put(outbox, 3)
    other = TAKER + 1
    storage.transact(rows, "update dispatcher.outboxes set taker_until = '-infinity'")  # the first one has died

    assert take_in(other) == 1
    assert stored() == [1, 2, 3]
    assert take_in(TAKER) is None


def test_after_a_rollback_here_they_are_stored_by_the_next_attempt(
    take_in: TakeIn, stored: Stored, outbox: Outbox, database_url: str
) -> None:
    put(outbox, 1)
    take_in()
    put(outbox, 2, 3)
    execute(database_url, "alter table dispatcher.events_waiting rename to elsewhere")
    with pytest.raises(Exception, match="does not exist"):
        take_in()
    execute(database_url, "alter table dispatcher.elsewhere rename to events_waiting")
    take_all(take_in)

    assert stored() == [1, 2, 3]
    assert rows_in(outbox, LEFT) == []


def test_bodies_arrive_as_if_the_service_had_emitted_them_here(
    take_in: TakeIn, outbox: Outbox, account: Any, storage: Storage
) -> None:
    happened = datetime(2024, 6, 13, 14, 6, 20, 924_001, tzinfo=UTC)
    new = [NewEvent(name=name, body=event_example(name), created_at=happened) for name in EVENT_TYPES]
    expected = drafts_of(new, account.time_zone)
    emit_to(outbox, new)

    assert take_in() == len(EVENT_TYPES)

    sql = """select e.name, body::text, created_at, resource
        from dispatcher.events e join dispatcher.events_waiting on event_id = id order by id"""
    found = storage.transact(rows, sql)
    assert found == [(one.name, one.body_json.decode(), happened, one.resource) for one in expected]


def emit_to(outbox: Outbox, new: list[NewEvent]) -> None:
    storage = Storage(outbox.url, SecretBox([SECRET_KEY]))
    OutboxEmitter(lambda: storage).emit("applecorp", new)
    storage.close()


def test_a_version_is_kept_and_what_a_service_of_the_release_before_has_put_in_is_the_one_before(
    take_in: TakeIn, outbox: Outbox, storage: Storage
) -> None:
    orders = [{"id": str(KEY), "number": "1"}, {"id": str(KEY), "reference": "1"}]
    try:
        for catalogue, order in zip((shop.a_catalogue(), shop.a_versioned_catalogue()), orders, strict=True):
            use(Catalogues(catalogue))
            emit_to(outbox, [NewEvent(name="order.shipped", body={"order": order, "parcel": {"carrier": "GLS"}})])

        assert take_in() == 2
    finally:
        use(None)
    found = storage.transact(rows, "select name, version, body -> 'order' from dispatcher.events order by id")
    assert found == [("order.shipped", version, order) for version, order in zip((None, 2), orders, strict=True)]


def test_what_is_erased_is_not_taken_in(
    take_in: TakeIn, stored: Stored, outbox: Outbox, database: OutboxDatabase, storage: Storage, account: Any
) -> None:
    emit_to(outbox, [NewEvent(name="subject_created", body={"subject": {"id": id_}}) for id_ in (17, 18, 17)])
    (first, *_) = database.next_batch([])
    database.set_aside([(first.id, "a reason")])

    requested = erasures.request(storage, account.id, subject="17")
    assert erasures.run(storage, [outbox], requested, 60.0).finished_at is not None

    assert database.failed(10) == []
    assert take_in() == 1
    assert storage.transact(rows, "select body::text from dispatcher.events") == [('{"subject":{"id":18}}',)]


def test_datetimes_are_written_in_the_zone_that_the_account_has(
    take_in: TakeIn, outbox: Outbox, storage: Storage
) -> None:
    an_account(storage, "kiwicorp", "Pacific/Auckland")
    body = a_body("invoice_paid") | {"invoice": {"id": 1, "created_at": "2024-06-13T14:06:20.743+02:00"}}
    sql = "insert into dispatcher_outbox.events (account, name, body) values ('kiwicorp', 'invoice_paid', '{}')"
    rows_in(outbox, sql.format(json.dumps(body)))

    take_in()

    ((written,),) = storage.transact(rows, "select body #>> '{invoice,created_at}' from dispatcher.events")
    assert written == "2024-06-14T00:06:20.743+12:00"


def test_a_key_is_good_for_one_event(take_in: TakeIn, stored: Stored, outbox: Outbox) -> None:
    put(outbox, 1, 2, key="k")
    assert take_in() == 2
    put(outbox, 3, key="k")
    put(outbox, 4)
    take_all(take_in)

    assert stored() == [1, 4]
    assert rows_in(outbox, LEFT) == []


def test_what_is_wrong_is_set_aside_with_its_reason_and_the_rest_is_stored(
    take_in: TakeIn, stored: Stored, outbox: Outbox, database: OutboxDatabase
) -> None:
    put(outbox, 1)
    put(outbox, 2, account="pearcorp")
    put(outbox, 3, name="inbox_file_removed_some")
    put(outbox, "many")
    rows_in(
        outbox, "insert into dispatcher_outbox.events (account, name, body) values ('applecorp', 'invoice_paid', '[]')"
    )
    put(outbox, 6, key="\x07")
    put(outbox, 7)

    assert take_in() == 7
    assert take_in() == 0
    assert stored() == [1, 7]
    assert rows_in(outbox, LEFT) == []
    assert [event.reason.split(";")[0] for event in database.failed(10)] == [
        "account 'pearcorp' does not exist",
        "inbox_file_removed_some: is not an event of the catalogue",
        "inbox_file_removed_all: inbox_files.count: not an integer",
        "invoice_paid: the body is not an object",
        "idempotency_key: must have printable characters only",
    ]


def test_what_cannot_even_be_checked_is_set_aside(
    take_in: TakeIn, stored: Stored, outbox: Outbox, database: OutboxDatabase
) -> None:
    put(outbox, 1)
    rows_in(
        outbox,
        """insert into dispatcher_outbox.events (account, name, body) select 'applecorp', 'inbox_file_removed_all',
            ('{"inbox_files": {"count": ' || repeat('1', 5000) || '}}')::json""",
    )
    put(outbox, 3)

    assert take_in() == 3
    assert stored() == [1, 3]
    assert [event.reason for event in database.failed(10)] == ["inbox_file_removed_all: cannot be checked: ValueError"]


def test_a_reason_may_hold_anything(outbox: Outbox, database: OutboxDatabase) -> None:
    put(outbox, 1)
    (event,) = database.next_batch([])
    database.set_aside([(event.id, 'of "a\0b", \ud800')])

    assert [event.reason for event in database.failed(10)] == ['of "a\\x00b", \\ud800']


def test_what_was_set_aside_can_be_tried_again(
    take_in: TakeIn, stored: Stored, outbox: Outbox, database: OutboxDatabase, storage: Storage
) -> None:
    put(outbox, 1, 2, account="pearcorp")
    take_in()
    an_account(storage, "pearcorp")

    assert database.retry(database.failed(1)[0].id) == 1
    assert database.retry(None) == 1
    assert take_in() == 2
    assert stored() == [1, 2]
    assert database.failed(10) == []


def test_what_postgres_refuses_is_set_aside_too(
    take_in: TakeIn, stored: Stored, outbox: Outbox, database: OutboxDatabase, database_url: str
) -> None:
    execute(
        database_url,
        "alter table dispatcher.events add constraint few check ((body #>> '{inbox_files,count}')::int < 3)",
    )
    put(outbox, 1, 2, 3, 4, 0)
    take_all(take_in)

    assert stored() == [1, 2, 0]
    assert [event.reason for event in database.failed(10)] == 2 * ["Postgres refuses it: 23514"]


def test_one_of_many_that_postgres_refuses_is_found_soon(
    take_in: TakeIn, stored: Stored, outbox: Outbox, database_url: str
) -> None:
    execute(
        database_url,
        "alter table dispatcher.events add constraint few check ((body #>> '{inbox_files,count}')::int <> 400)",
    )
    put(outbox, *range(BATCH_SIZE))
    batches = take_all(take_in)

    assert stored() == [count for count in range(BATCH_SIZE) if count != 400]
    assert batches < 50


def test_what_is_committed_late_comes_after_what_was_taken_in_and_all_else_in_order(
    take_in: TakeIn, stored: Stored, outbox: Outbox
) -> None:
    insert = (
        "insert into dispatcher_outbox.events (account, name, body) values ('applecorp', 'inbox_file_removed_all', %s)"
    )
    with closing(psycopg2.connect(outbox.url)) as late, late.cursor() as cursor:
        cursor.execute(insert, ['{"inbox_files": {"count": 1}}'])
        put(outbox, 2, 3)
        take_in()
        late.commit()
    put(outbox, 4)
    take_in()

    assert stored() == [2, 3, 1, 4]


def test_a_commit_is_heard_of_at_once(
    outbox: Outbox, container: Any, account: Any, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "CHECK_S", 600.0)  # so that only a notification can be the reason
    stop = threading.Event()
    intakes = intake.Intakes([outbox], container.storage, container.counters, TAKER)
    thread = threading.Thread(target=intakes.run, args=(stop,))
    thread.start()
    put(outbox, 1)
    eventually(lambda: stored() == [1], 20)
    for count in (2, 3):
        eventually(lambda: rows_in(outbox, LEFT) == [], 20)
        put(outbox, count)
        eventually(lambda count=count: stored()[-1] == count, 20)
    stop.set()
    thread.join()


def test_only_one_process_drains_an_outbox(outbox: Outbox, storage: Storage) -> None:
    def claim(taker: int, lease_s: float = 60.0) -> list[str]:
        return storage.autocommit(registry.claim, ["orders", "stock"], taker, lease_s)

    assert claim(1) == []  # makes them known
    assert claim(1, 0.0) == ["orders", "stock"]
    assert claim(2) == ["orders", "stock"]
    assert claim(1) == []
    assert claim(2) == ["orders", "stock"]


def test_a_worker_that_stops_leaves_its_outboxes_to_others(
    outbox: Outbox, container: Container, stored: Stored, account: Any, storage: Storage
) -> None:
    stop = threading.Event()
    intakes = intake.Intakes([outbox], storage, container.counters, TAKER)
    thread = threading.Thread(target=intakes.run, args=(stop,))
    thread.start()
    put(outbox, 1)
    eventually(lambda: stored() == [1] and rows_in(outbox, LEFT) == [], 20)
    stop.set()
    thread.join()

    assert storage.autocommit(registry.claim, [outbox.name], TAKER + 1, 60.0) == [outbox.name]


def test_an_outbox_that_is_being_drained_keeps_nobody_from_the_others(storage: Storage) -> None:
    storage.autocommit(registry.claim, ["orders", "stock"], 1, 0.0)
    storage.autocommit(registry.claim, ["orders", "stock"], 1, 0.0)
    with storage.transaction() as connection:
        assert registry.lock(connection, "orders", 1) == []

        assert storage.autocommit(registry.claim, ["orders", "stock"], 2, 60.0) == ["stock"]


def test_a_database_without_an_outbox_says_what_is_missing(empty_database_url: str, container: Any) -> None:
    database = OutboxDatabase(Outbox(name="stock", url=empty_database_url))
    with pytest.raises(OutboxUnavailable, match="run: dispatcher outbox install"):
        database.next_batch([])
    database.close()


def test_an_outbox_that_is_made_anew_gives_no_number_again(take_in: TakeIn, stored: Stored, outbox: Outbox) -> None:
    put(outbox, 1, 2)
    take_in()  # it has died before it deleted them there
    rows_in(outbox, "drop schema dispatcher_outbox cascade")
    rows_in(outbox, INSTALL)
    put(outbox, 3, 4, 5)
    take_all(take_in)

    assert stored() == [1, 2, 3, 4, 5]


def test_two_connections_to_a_database_stay_open(outbox: Outbox, database: OutboxDatabase) -> None:
    database.next_batch([])
    assert database.listener.wait(20.0, threading.Event())

    others = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    eventually(lambda: rows_in(outbox, f"select count(*) {others}") == [(2,)], 20)


def test_installing_again_changes_nothing(outbox: Outbox, database: OutboxDatabase) -> None:
    put(outbox, 1)
    database.install()

    assert database.version() == 1
    assert len(rows_in(outbox, LEFT)) == 1
    rows_in(outbox, "create or replace function dispatcher_outbox.version() returns int language sql as 'select 2'")
    with pytest.raises(OutboxUnavailable, match="version 2, of a later release"):
        database.install()
