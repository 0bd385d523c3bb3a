"""A Django project's database, which `manage.py migrate` has made, and what its models emitted."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from dispatcher.container import Container
from dispatcher.storage.engine import Storage
from tests.support import django_shop
from tests.support.builders import SECRET_KEY, an_account
from tests.support.drivers.of_django import connect
from tests.support.servers import a_database, execute

django_shop.set_up()

Emitted = Callable[[], list[tuple[str, Any]]]

EMITTED = (
    "select e.name, body from dispatcher.events e join dispatcher.events_waiting w on w.event_id = e.id order by id"
)


@pytest.fixture(scope="module")
def database_url(postgres_server: str, valkey_server: str) -> Iterator[str]:
    """It has not been migrated by the dispatcher's own command."""
    with pytest.MonkeyPatch.context() as patch:
        for url in a_database(postgres_server, "template0"):
            for name, value in {"DATABASE_URL": url, "REDIS_URL": valkey_server, "SECRET_KEYS": SECRET_KEY}.items():
                patch.setenv(name, value)
            connect("default", url)
            call_command("migrate", run_syncdb=True, verbosity=0)
            yield url
            connection.close()


@pytest.fixture
def account(storage: Storage, container: Container, database_url: str) -> Any:
    """The only one; nothing is emitted yet."""
    shop = ", ".join(f"django_shop_{name}" for name in ("invoice", "label", "invoice_labels", "contact", "silent"))
    ours = ", ".join(
        f"dispatcher.{name}" for name in ("accounts", "events", "events_waiting", "deliveries", "attempts")
    )
    execute(database_url, f"truncate {ours}, {shop} restart identity cascade")
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
