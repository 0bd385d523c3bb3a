"""An emit that is handed no connection has one of the process's own, by the driver that the service has."""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread
from typing import Any

import pytest

from dispatcher import NewEvent, emit, emit_many, signals
from dispatcher.connections import pool as pools
from dispatcher.connections.pool import ConnectionPool
from dispatcher.errors import AccountNotFound, InvalidSetting, StorageUnavailable
from dispatcher.pipeline.emit import Emitter
from dispatcher.producer import current_emitter, use_emitter
from dispatcher.schemas import active
from dispatcher.signals import namespace
from dispatcher.storage.pipeline.emits import MANY
from tests.support.cluster import SLUG
from tests.support.drivers.base import NAME
from tests.support.servers import execute

BODY: dict[str, Any] = {"inbox_files": {"count": 3}}
OURS = "select pg_backend_pid()"
DRIVERS = ("psycopg2", "psycopg")


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The only one that is installed."""
    only(request.param, monkeypatch)
    return str(request.param)


def only(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "find_spec", lambda name: name == driver)


@pytest.fixture
def producer(account: Any, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process with no setting but DATABASE_URL."""
    for name in ("REDIS_URL", "BROKER_URL", "SECRET_KEYS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", database_url)
    use_emitter(None)
    yield
    use_emitter(None)


@pytest.fixture
def pool(driver: str, database_url: str) -> ConnectionPool:
    return ConnectionPool(database_url, 2)


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """They are interrupted at nearly every instruction."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def pid_of(connection: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(OURS)
        pid: int = cursor.fetchone()[0]
        return pid


@pytest.mark.usefixtures("driver", "producer")
def test_it_commits_and_needs_no_setting_but_the_database() -> None:
    first = emit(NAME, account=SLUG, idempotency_key="k", **BODY)
    second = emit(NAME, account=SLUG, idempotency_key="k", **BODY)
    many = emit_many([NewEvent(name=NAME, body=BODY)] * MANY, account=SLUG)

    assert (first.new, second.new, second.id) == (True, False, first.id)
    assert len({event.id for event in many}) == MANY


@pytest.mark.usefixtures("driver", "producer")
def test_a_failure_leaves_nothing_behind(database_url: str) -> None:
    with pytest.raises(AccountNotFound):
        emit(NAME, account="nobody", **BODY)
    execute(database_url, "alter table dispatcher.events_waiting add constraint refused check (false) not valid")
    with pytest.raises(Exception, match="refused"):
        emit(NAME, account=SLUG, idempotency_key="k", **BODY)
    execute(database_url, "alter table dispatcher.events_waiting drop constraint refused")

    assert emit(NAME, account=SLUG, idempotency_key="k", **BODY).new


def test_the_connection_that_was_used_last_is_used_again(pool: ConnectionPool) -> None:
    assert pool.autocommit(pid_of) == pool.autocommit(pid_of)


def test_a_connection_that_the_server_closed_is_replaced(pool: ConnectionPool, database_url: str) -> None:
    closed = pool.autocommit(pid_of)
    execute(database_url, f"select pg_terminate_backend({closed}, 5000)")

    assert pool.autocommit(pid_of) != closed


def test_one_that_breaks_in_a_statement_is_told_and_replaced(pool: ConnectionPool) -> None:
    def breaks(connection: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("select pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(StorageUnavailable, match="Postgres is not reachable: "):
        pool.autocommit(breaks)
    assert pool.autocommit(pid_of)


def test_threads_share_as_many_connections_as_there_may_be(pool: ConnectionPool) -> None:
    both = Barrier(2)

    def meet(connection: Any) -> int:
        both.wait(20)
        return pid_of(connection)

    with ThreadPoolExecutor(6) as threads:
        pids = list(threads.map(lambda _: pool.autocommit(meet), range(6)))

    assert len(set(pids)) == 2


def test_threads_that_come_first_at_once_share_them_too(driver: str, database_url: str, hasty_threads: None) -> None:
    for _ in range(7):
        pool, start = ConnectionPool(database_url, 1), Barrier(8)

        def first(_: int, pool: ConnectionPool = pool, start: Barrier = start) -> int:
            start.wait(20)
            return pool.autocommit(pid_of)

        with ThreadPoolExecutor(8) as threads:
            assert len(set(threads.map(first, range(8)))) == 1


def test_a_signal_has_its_receiver_when_any_thread_gets_it(hasty_threads: None) -> None:
    for _ in range(7):
        namespace.clear()
        start = Barrier(8)

        def receivers(_: int, start: Barrier = start) -> set[int]:
            start.wait(20)
            return {len(signals[name].receivers) for name in active().events}  # type: ignore[index]

        with ThreadPoolExecutor(8) as threads:
            assert set.union(*threads.map(receivers, range(8))) == {1}


def test_what_postgres_wants_repeated_is_repeated(pool: ConnectionPool) -> None:
    tries = []

    def work(connection: Any) -> str:
        tries.append(1)
        if len(tries) < 3:
            connection.cursor().execute("do $$ begin raise exception 'again' using errcode = '40001'; end $$")
        return "done"

    assert pool.autocommit(work) == "done"


def _report(pool: ConnectionPool, pipe: Any) -> None:
    pipe.send(pool.autocommit(pid_of))
    os._exit(0)


def test_a_process_that_was_forked_has_connections_of_its_own(pool: ConnectionPool) -> None:
    before = pool.autocommit(pid_of)
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_report, args=(pool, theirs))
    child.start()

    assert ours.poll(20)
    assert ours.recv() != before
    child.join(20)
    assert pool.autocommit(pid_of) == before


def _current(pipe: Any) -> None:
    current_emitter()
    pipe.send("made")
    os._exit(0)


def test_a_process_that_is_forked_during_the_first_emit_does_not_wait_for_it() -> None:
    parent, under_way, go_on = os.getpid(), Event(), Event()

    def make() -> Emitter:
        under_way.set()
        if os.getpid() == parent:
            go_on.wait(60)
        return Emitter(lambda: ConnectionPool("postgresql:///", 1))

    use_emitter(make)
    first = Thread(target=current_emitter)
    first.start()
    assert under_way.wait(20)
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_current, args=(theirs,))
    child.start()

    is_made = ours.poll(20)
    go_on.set()
    first.join()
    child.kill()
    child.join()
    use_emitter(None)
    assert is_made


def test_a_url_that_libpq_does_not_understand_is_named(driver: str) -> None:
    with pytest.raises(InvalidSetting, match="DATABASE_URL: libpq does not understand it"):
        ConnectionPool("postgresql://localhost/x?no_such_option=1", 1).autocommit(pid_of)


@pytest.mark.usefixtures("producer")
def test_without_a_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    only("none", monkeypatch)

    with pytest.raises(InvalidSetting, match=r"pip install 'webhook-dispatcher\[psycopg2\]'"):
        emit(NAME, account=SLUG, **BODY)


@pytest.mark.usefixtures("producer")
def test_without_a_database_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")

    with pytest.raises(InvalidSetting, match="DATABASE_URL: required"):
        emit(NAME, account=SLUG, **BODY)
