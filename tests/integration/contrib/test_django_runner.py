"""Django's own commands: `test` makes a database with the dispatcher's tables, and no other variable has to be set."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from django.core.management import call_command
from django.db import connection
from django.test import override_settings

from dispatcher.producer import use_emitter
from tests.support.drivers.of_django import connect
from tests.support.places import ROOT
from tests.support.processes import clean_environment

SHOP = ROOT / "examples" / "django_shop"
MORE_TESTS = '''
from django.test import TransactionTestCase

from dispatcher import signals
from dispatcher.contrib.django.models import AccountRecord, EventRecord
from shop.models import Invoice


class FlushedTests(TransactionTestCase):
    """The database is flushed after each; its tables stay."""

    def setUp(self):
        AccountRecord.objects.get_or_create(slug="applecorp", time_zone="Europe/Prague")

    def test_what_is_committed(self):
        Invoice.objects.create(number="2026-1", total="1.00")
        assert EventRecord.objects.latest("id").name == "invoice_created"

    def test_without_a_connection_the_event_is_in_the_database_of_the_tests(self):
        signals.inbox_file_removed_all.send("applecorp", inbox_files={"count": 1})
        assert EventRecord.objects.latest("id").name == "inbox_file_removed_all"
'''


def has_tables(database_url: str) -> bool:
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("select to_regclass('dispatcher.events') is not null")
        return cursor.fetchall() == [(True,)]


def test_a_projects_tests_run_in_a_database_of_their_own_also_those_that_commit(
    empty_database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "test_more.py").write_text(MORE_TESTS)
    env = clean_environment() | {"DATABASE_URL": empty_database_url, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-B", "manage.py", "test", "--noinput", "shop", "test_more"]
    done = subprocess.run(command, cwd=SHOP, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "Ran 4 tests" in done.stdout + done.stderr
    assert not has_tables(empty_database_url)


def test_migrate_makes_the_tables_unless_that_is_switched_off(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    connect("default", empty_database_url)
    try:
        with override_settings(DISPATCHER={"MIGRATE": False}):
            call_command("migrate", run_syncdb=True, verbosity=0)
        assert not has_tables(empty_database_url)

        call_command("migrate", verbosity=0)
        assert has_tables(empty_database_url)
        call_command("flush", interactive=False, verbosity=0)
        assert has_tables(empty_database_url)
    finally:
        connection.close()
        use_emitter(None)
