"""A database that a Django project shares with the dispatcher, and what its models emitted."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from dispatcher.container import Container
from dispatcher.storage.engine import Storage, rows
from dispatcher.storage.secrets import SecretBox
from tests.support import django_shop
from tests.support.builders import SECRET_KEY, an_account
from tests.support.drivers.of_django import connect
from tests.support.servers import a_database

django_shop.set_up()

Emitted = Callable[[], list[tuple[str, Any]]]

EMITTED = (
    "select e.name, body from dispatcher.events e join dispatcher.events_waiting w on w.event_id = e.id order by id"
)


OURS = ("accounts", "users", "webhooks", "events", "events_waiting", "deliveries", "attempts")
SHOP = ("invoice", "label", "invoice_labels", "contact", "silent")
# Truncated tables would get new files, also for every day's partition: ten times what most of these tests take.
EMPTY = "; ".join(
    (
        "set local session_replication_role = replica",  # in whichever order
        *(f"delete from dispatcher.{name}" for name in OURS),
        *(f"delete from django_shop_{name}" for name in SHOP),
    )
)


@pytest.fixture(scope="module")
def database_url(migrated_server: str, valkey_server: str) -> Iterator[str]:
    """Django's own tables and the shop's are in it, too; `test_django_runner` has one that only Django has migrated."""
    with pytest.MonkeyPatch.context() as patch:
        for url in a_database(migrated_server):
            for name, value in {"DATABASE_URL": url, "REDIS_URL": valkey_server, "SECRET_KEYS": SECRET_KEY}.items():
                patch.setenv(name, value)
            connect("default", url)
            call_command("migrate", run_syncdb=True, verbosity=0)
            yield url
            connection.close()


@pytest.fixture(scope="module")
def storage(database_url: str) -> Iterator[Storage]:
    with closing(Storage(database_url, SecretBox((SECRET_KEY,)))) as storage:
        yield storage


@pytest.fixture
def account(storage: Storage, container: Container) -> Any:
    """The only one; nothing is emitted yet."""
    storage.transact(rows, EMPTY)
    return an_account(storage)


@pytest.fixture
def emitted(storage: Storage, account: Any) -> Emitted:
    """Takes what is committed out of the outbox: names and bodies."""

    def take() -> list[tuple[str, Any]]:
        with storage.transaction() as transaction:
            found = [(name, body) for name, body in transaction.exec_driver_sql(EMITTED)]
            transaction.exec_driver_sql("delete from dispatcher.events_waiting")
            return found

    return take
