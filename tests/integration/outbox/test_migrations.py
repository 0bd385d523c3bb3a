"""A service's own migrations create the outbox: Django's, with the app or by SQL, and Alembic's."""

from collections.abc import Iterator

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection, migrations, transaction
from django.db.migrations.state import ProjectState
from sqlalchemy import create_engine

from dispatcher import emit
from dispatcher.producer import use_emitter
from dispatcher.settings import Outbox
from dispatcher.storage.outboxes.tables import INSTALL
from tests.support import django_shop
from tests.support.cluster import SLUG
from tests.support.drivers.base import NAME
from tests.support.drivers.of_django import connect
from tests.support.outboxes import put, rows_in

django_shop.set_up()

COUNTS = "select (body #>> '{inbox_files,count}')::int from dispatcher_outbox.events order by id"


@pytest.fixture
def database(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outbox]:
    """Of a service; Django's `default`."""
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    monkeypatch.setenv("DISPATCHER_OUTBOX", "1")
    connect("default", empty_database_url)
    yield Outbox(name="orders", url=empty_database_url)
    connection.close()
    use_emitter(None)


def test_djangos_app_installs_it_with_the_services_own_migrations(database: Outbox) -> None:
    assert [one.id for one in run_checks(databases=["default"])] == ["dispatcher.W001"]
    call_command("migrate", run_syncdb=True, verbosity=0)
    call_command("migrate", verbosity=0)
    assert run_checks(databases=["default"]) == []

    emit(NAME, account=SLUG, inbox_files={"count": 1})
    with transaction.atomic():
        emit(NAME, account=SLUG, connection=connection, inbox_files={"count": 2})
        transaction.set_rollback(True)
    emit(NAME, account=SLUG, connection=connection, inbox_files={"count": 3})

    assert rows_in(database, COUNTS) == [(1,), (3,)]
    assert rows_in(database, "select to_regnamespace('dispatcher')") == [(None,)]


def test_a_migration_of_djangos_runs_its_statements(database: Outbox) -> None:
    operation = migrations.RunSQL(INSTALL, "drop schema dispatcher_outbox cascade")
    for _ in range(2):
        with connection.schema_editor() as editor:
            operation.database_forwards("orders", editor, ProjectState(), ProjectState())
    put(database, 1)
    assert rows_in(database, COUNTS) == [(1,)]

    with connection.schema_editor() as editor:
        operation.database_backwards("orders", editor, ProjectState(), ProjectState())
    assert rows_in(database, "select to_regnamespace('dispatcher_outbox')") == [(None,)]


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_a_migration_of_alembics_runs_its_statements(database: Outbox, driver: str) -> None:
    engine = create_engine(database.url.replace("postgresql://", f"postgresql+{driver}://"))
    for _ in range(2):
        with engine.begin() as connection:
            op = Operations(MigrationContext.configure(connection))
            op.get_bind().exec_driver_sql(INSTALL)
    engine.dispose()
    put(database, 1)

    assert rows_in(database, COUNTS) == [(1,)]
