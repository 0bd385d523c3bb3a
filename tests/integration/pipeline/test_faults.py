"""An emit when Redis or Postgres does not answer, and what a process that only emits loads."""

import dataclasses
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from dispatcher import emit
from dispatcher.container import Container
from dispatcher.current import use_container
from dispatcher.errors import StorageUnavailable
from dispatcher.model.account import Account
from dispatcher.model.webhook import Webhook
from dispatcher.replays.one import replay
from dispatcher.schedule.schedule import Schedule
from dispatcher.settings import Settings
from dispatcher.storage.engine import Storage, rows
from dispatcher.webhooks.edit import edit_webhook
from tests.integration.pipeline.conftest import Flow
from tests.support.builders import a_body, a_webhook
from tests.support.places import ROOT


def test_an_emit_needs_neither_redis_nor_the_broker(settings: Settings, account: Account) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        container = Container(replace(settings, redis_url=url, broker_url=url))
        use_container(container)
        try:
            event = emit("invoice_paid", account="applecorp", **a_body())
            waiting = container.storage.read(rows, "select event_id from dispatcher.events_waiting")
        finally:
            use_container(None)
            container.close()

        assert waiting == [(event.id,)]
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody has called
            silent.accept()


@pytest.fixture
def down(settings: Settings) -> Schedule:
    """A clock in a Redis that does not answer."""
    return Schedule("redis://127.0.0.1:1/0")


@pytest.fixture
def hook(storage: Storage, account: Account) -> Webhook:
    return a_webhook(storage, account)


def test_a_replay_with_redis_down_is_stored_and_found_by_reconcile(
    flow: Flow, hook: Webhook, down: Schedule, caplog: pytest.LogCaptureFixture
) -> None:
    flow.emit()
    flow.fan_out()
    flow.sql("update dispatcher.deliveries set state = 'failed', finished_on = current_date")
    (delivery,) = flow.deliveries()

    assert replay(flow.container.storage, down, str(delivery.id), limit=3).state == "pending"
    assert "webhook.not_scheduled" in caplog.text
    assert flow.container.reconciler.reconcile().webhook_count == 1


def test_a_webhook_that_is_switched_on_with_redis_down_is_found_by_reconcile(
    flow: Flow, hook: Webhook, down: Schedule, caplog: pytest.LogCaptureFixture
) -> None:
    flow.emit()
    flow.fan_out()
    edit_webhook(flow.container.storage, flow.container.schedule, "applecorp", hook.id, {"active": False})
    assert flow.container.reconciler.reconcile().webhook_count == 0

    assert edit_webhook(flow.container.storage, down, "applecorp", hook.id, {"active": True}).active
    assert "webhook.not_scheduled" in caplog.text
    assert flow.container.reconciler.reconcile().webhook_count == 1


def test_an_emit_with_postgres_down_is_refused(settings: Settings) -> None:
    container = Container(dataclasses.replace(settings, database_url="postgresql://me@127.0.0.1:1/main"))
    use_container(container)
    try:
        with pytest.raises(StorageUnavailable):
            emit("invoice_paid", account="applecorp", **a_body())
    finally:
        use_container(None)
        container.close()


def test_a_process_that_only_emits_loads_no_worker_no_web_and_no_sender(settings: Settings, account: Account) -> None:
    program = """
import sys
from dataclasses import replace
from dispatcher import emit, signals
emit("invoice_removed", account="applecorp", invoice={"id": 1})
signals.invoice_removed.send("applecorp", invoice={"id": 2})
found = set(sys.modules)
loaded = found & {"dispatcher.tasks", "flask", "pycurl", "requests", "tornado", "flower"}
assert not loaded, loaded
"""
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "SECRET_KEYS": settings.secret_keys[0],
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_nothing_connects_when_it_is_built(settings: Settings) -> None:
    nowhere = "redis://127.0.0.1:1/0"
    Container(
        dataclasses.replace(
            settings, database_url="postgresql://me@127.0.0.1:1/main", redis_url=nowhere, broker_url=nowhere
        )
    ).close()
