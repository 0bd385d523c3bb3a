"""Django's own commands: `test` makes a database with the dispatcher's tables, and no other variable has to be set."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from tests.support.places import ROOT
from tests.support.processes import clean_environment
from tests.support.servers import a_database

SHOP = ROOT / "examples" / "django_shop"
BESIDE_THE_SHOP = """
from shop.settings import *

DISPATCHER = {"MIGRATE": False}
"""
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


@pytest.fixture
def shop_url(postgres_server: str) -> Iterator[str]:
    """Without a table."""
    yield from a_database(postgres_server, "template0")


@pytest.fixture
def more(tmp_path: Path) -> Path:
    """A folder with modules of a project's own."""
    (tmp_path / "beside_the_shop.py").write_text(BESIDE_THE_SHOP)
    (tmp_path / "test_more.py").write_text(MORE_TESTS)
    return tmp_path


def manage(database_url: str, *arguments: str, **variables: str) -> str:
    """What the example's `manage.py` says."""
    env = clean_environment() | {"DATABASE_URL": database_url, "PYTHONDONTWRITEBYTECODE": "1"} | variables
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=SHOP, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def has_tables(database_url: str) -> bool:
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("select to_regclass('dispatcher.events') is not null")
        return cursor.fetchall() == [(True,)]


def test_the_tests_of_the_example_pass(shop_url: str) -> None:
    assert "Ran 2 tests" in manage(shop_url, "test", "--noinput")
    assert not has_tables(shop_url)


def test_tests_that_commit_stay_in_the_database_of_the_tests(shop_url: str, more: Path) -> None:
    assert "Ran 2 tests" in manage(shop_url, "test", "--noinput", "test_more", PYTHONPATH=str(more))
    assert not has_tables(shop_url)


def test_migrate_makes_the_tables_unless_that_is_switched_off(shop_url: str, more: Path) -> None:
    beside = {"PYTHONPATH": str(more), "DJANGO_SETTINGS_MODULE": "beside_the_shop"}
    manage(shop_url, "migrate", **beside)
    assert not has_tables(shop_url)

    manage(shop_url, "migrate")
    assert has_tables(shop_url)
    manage(shop_url, "flush", "--noinput")
    assert has_tables(shop_url)
