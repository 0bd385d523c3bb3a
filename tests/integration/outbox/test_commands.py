"""`dispatcher outbox`, and what /metrics and a worker's log say of outboxes."""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from click.testing import Result

from dispatcher.container import Container
from dispatcher.pipeline.intake import Intakes
from dispatcher.settings import Outbox, Settings
from dispatcher.storage.engine import rows
from dispatcher.storage.outboxes import registry
from dispatcher.storage.outboxes.tables import INSTALL
from tests.integration.cli.conftest import run, run_json
from tests.integration.conftest import queue
from tests.integration.metrics.conftest import read
from tests.support.builders import an_account
from tests.support.outboxes import put, rows_in
from tests.support.servers import execute
from tests.support.waiting import eventually

LEFT = "select id from dispatcher_outbox.events"
__all__ = ["queue", "read", "run", "run_json"]


@pytest.fixture
def settings(settings: Settings, outbox: Outbox, empty_database_url: str) -> Settings:
    """Two outboxes, of which one is not installed."""
    return replace(settings, outboxes=(outbox, Outbox(name="stock", url=empty_database_url)))


@pytest.fixture
def draining(container: Container, account: Any) -> Iterator[Intakes]:
    """A worker's threads."""
    stop = threading.Event()
    thread = threading.Thread(target=container.intakes.run, args=(stop,))
    thread.start()
    yield container.intakes
    stop.set()
    thread.join()


def test_an_outbox_is_installed_where_it_is_configured_or_anywhere(
    run: Callable[..., Result], empty_database_url: str
) -> None:
    assert run("outbox", "install", "stock").stdout == "outbox is at version 1\n"
    assert run("outbox", "install", "--database-url", empty_database_url).stdout == "outbox is at version 1\n"
    assert (
        "'nobody' does not exist, or is not in DISPATCHER_OUTBOXES" in run("outbox", "install", "nobody", code=1).output
    )
    run("outbox", "install", code=2)


def test_the_statements_can_be_run_by_the_services_own_migrations(
    run: Callable[..., Result], empty_database_url: str
) -> None:
    statements = run("outbox", "install", "--sql").stdout
    assert statements == INSTALL

    execute(empty_database_url, statements, statements)
    execute(empty_database_url, "insert into dispatcher_outbox.events (account, name, body) values ('a', 'b', '{}')")


def test_a_role_needs_no_more_than_the_guide_grants(outbox: Outbox) -> None:
    put(outbox, 1)
    rows_in(outbox, "grant usage on schema dispatcher_outbox to pg_monitor")
    rows_in(outbox, "grant insert, select on dispatcher_outbox.events to pg_monitor")
    rows_in(
        outbox,
        "set role pg_monitor; insert into dispatcher_outbox.events (account, name, body)"
        " values ('applecorp', 'inbox_file_removed_all', '{}') returning id, created_at",
    )

    assert len(rows_in(outbox, LEFT)) == 2


def test_what_happens_to_events_is_seen_by_command_and_metric(
    draining: Intakes,
    outbox: Outbox,
    container: Container,
    run: Callable[..., Result],
    run_json: Callable[..., Any],
    read: Callable[..., float],
) -> None:
    put(outbox, 1)
    put(outbox, 2, account="pearcorp")
    eventually(lambda: read("dispatcher_outbox_events_failed", outbox="orders") == 1, 20)

    eventually(lambda: stock_error(container), 20)
    orders, stock = run_json("outbox", "list")
    assert (orders["name"], orders["is_up"], orders["pending"], orders["failed"]) == ("orders", True, 0, 1)
    assert (stock["name"], stock["is_up"]) == ("stock", False)
    assert stock["error"] == "the outbox is not installed; run: dispatcher outbox install"
    assert "run: dispatcher outbox install" in run("outbox", "list").stdout
    assert read("dispatcher_outbox_up", outbox="orders") == 1
    assert read("dispatcher_outbox_up", outbox="stock") == 0

    (failed,) = run_json("outbox", "failed", "orders")
    assert failed["reason"].startswith("account 'pearcorp' does not exist")
    an_account(container.storage, "pearcorp")
    assert run("outbox", "retry", "orders").stdout == "1 events are pending again\n"
    eventually(lambda: rows_in(outbox, LEFT) == [], 20)
    assert run_json("outbox", "failed", "orders") == []

    run("outbox", "remove", "nobody", code=1)


def test_a_removed_outbox_is_gone(container: Container, run: Callable[..., Result]) -> None:
    for _ in range(2):  # the first time makes it known
        container.storage.autocommit(registry.claim, ["old"], 1, 60.0)
    assert (
        "a worker drains outbox 'old'; remove it from DISPATCHER_OUTBOXES"
        in run("outbox", "remove", "old", code=1).output
    )
    container.storage.transact(rows, "update dispatcher.outboxes set taker_until = dispatcher.now()")

    assert run("outbox", "remove", "old").stdout == "outbox old removed\n"
    assert container.storage.read(registry.statuses) == []


def test_an_outbox_that_is_down_is_logged_once_and_harms_no_other(
    draining: Intakes, outbox: Outbox, container: Container, caplog: pytest.LogCaptureFixture, empty_database_url: str
) -> None:
    with caplog.at_level(logging.WARNING):
        eventually(lambda: stock_error(container) is not None, 20)
        put(outbox, 1)
        eventually(lambda: rows_in(outbox, LEFT) == [], 20)
        execute(empty_database_url, INSTALL)
        eventually(lambda: stock_error(container) is None, 30)

    lines = [record.getMessage() for record in caplog.records if "outbox=stock" in record.getMessage()]
    assert [line.split()[0] for line in lines] == ["outbox.down", "outbox.up"]


def stock_error(container: Container) -> str | None:
    return {one.name: one.error for one in container.storage.read(registry.statuses)}.get("stock")
