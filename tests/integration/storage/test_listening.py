"""Postgres notifies the workers of each commit of events; behind a pooler that keeps notifications, they notice."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest

from dispatcher.model.event import EventDraft
from dispatcher.storage import migrate
from dispatcher.storage.engine import Storage, make_engine, rows
from dispatcher.storage.pipeline import emits, events
from dispatcher.storage.pipeline.emits import Emit
from dispatcher.storage.pipeline.listener import NotificationListener
from dispatcher.storage.secrets import SecretBox
from tests.integration.storage.conftest import Steps
from tests.support.builders import SECRET_KEY, a_draft, an_account
from tests.support.waiting import eventually


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def listener(storage: Storage, stop: threading.Event) -> Iterator[NotificationListener]:
    with closing(NotificationListener(storage.engine, reconnect_s=0.0)) as listener:
        assert listener.wait(10, stop)  # its own echo
        yield listener


def test_a_listener_hears_of_an_event_at_its_commit_and_not_before(
    steps: Steps, joined: Any, listener: NotificationListener, stop: threading.Event
) -> None:
    emits.insert(joined, steps.account.id, [a_draft()])
    assert not listener.wait(0.1, stop)

    joined.commit()
    assert listener.wait(10, stop)
    assert not listener.wait(0, stop)


def test_a_listener_hears_nothing_of_a_rollback(
    steps: Steps, joined: Any, listener: NotificationListener, stop: threading.Event
) -> None:
    emits.insert(joined, steps.account.id, [a_draft()])
    joined.rollback()

    assert not listener.wait(0.1, stop)


def test_a_repeated_key_notifies_nobody(steps: Steps, listener: NotificationListener, stop: threading.Event) -> None:
    steps.emit(a_draft(idempotency_key="k"))
    assert listener.wait(10, stop)

    steps.emit(a_draft(idempotency_key="k"))

    assert not listener.wait(0.1, stop)


@pytest.mark.parametrize(
    "drafts",
    [[a_draft()], [a_draft(idempotency_key="k")], [a_draft()] * 2, [a_draft()] * emits.MANY],
    ids=["one", "one with a key", "two", "many"],
)
def test_every_way_to_store_events_notifies(
    steps: Steps, storage: Storage, listener: NotificationListener, stop: threading.Event, drafts: list[EventDraft]
) -> None:
    steps.emit(*drafts)
    assert listener.wait(10, stop)

    together = [Emit(steps.account.id, [draft._replace(idempotency_key=None) for draft in drafts])]
    storage.autocommit(emits.insert_together, together)
    assert listener.wait(10, stop)


def test_a_listener_that_lost_its_connection_gets_another_and_says_that_it_may_have_missed_something(
    steps: Steps, listener: NotificationListener, stop: threading.Event
) -> None:
    steps.rows("select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen%%'")

    assert eventually(lambda: listener.wait(0.1, stop), what="the echo of a new connection")


def test_behind_a_pooler_that_shares_connections_by_transaction_a_listener_knows_that_it_is_deaf(
    pooled_url: str, steps: Steps, stop: threading.Event
) -> None:
    with closing(NotificationListener(make_engine(pooled_url, 1))) as listener:
        assert not listener.is_deaf
        eventually(lambda: not listener.wait(0.1, stop) and listener.is_deaf, what="that it hears nothing")


def test_behind_such_a_pooler_migrations_and_all_else_find_the_tables_in_another_schema(pooled_url: str) -> None:
    with closing(Storage(pooled_url, SecretBox([SECRET_KEY]), 2, "hooks")) as storage:
        migrate.upgrade(storage)
        pooled = Steps(storage, an_account(storage))
        pooled.emit()
        assert pooled.fan_out().event_count == 1
        assert storage.read(events.any_waiting) is False
        assert storage.transact(rows, "show search_path") == [('"$user", public',)]


@pytest.fixture
def pooled_url(database_url: str, tmp_path: Path) -> Iterator[str]:
    """This test's database behind a PgBouncer in transaction mode."""
    server = urlsplit(database_url)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    database = server.path[1:]
    (tmp_path / "users.txt").write_text(f'"{server.username}" "{server.password or ""}"\n')
    (tmp_path / "pgbouncer.ini").write_text(
        f"""
[databases]
{database} = host={server.hostname} port={server.port} user={server.username} password={server.password or ""}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
ignore_startup_parameters = options
user = nobody
"""
    )
    process = subprocess.Popen(["/usr/sbin/pgbouncer", "--quiet", str(tmp_path / "pgbouncer.ini")])
    url = f"postgresql://{server.username}@127.0.0.1:{port}/{database}"
    try:
        eventually(lambda: answers(url), what="PgBouncer")
        yield url
    finally:
        process.terminate()
        process.wait(10)


def answers(url: str) -> bool:
    with suppress(psycopg2.OperationalError):
        psycopg2.connect(url).close()
        return True
    return False
