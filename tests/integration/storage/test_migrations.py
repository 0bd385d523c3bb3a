from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory

from dispatcher.errors import PendingMigrations, StorageUnavailable
from dispatcher.storage import migrate
from dispatcher.storage.engine import Storage, rows
from dispatcher.storage.secrets import SecretBox
from tests.support.builders import SECRET_KEY
from tests.support.servers import a_database

TABLES = {
    "accounts",
    "webhooks",
    "events",
    "events_waiting",
    "deliveries",
    "attempts",
    "users",
    "clients",
    "tokens",
}


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Storage]:
    with closing(Storage(empty_database_url, SecretBox([SECRET_KEY]))) as storage:
        yield storage


@pytest.fixture
def migrated(migrated_server: str) -> Iterator[Storage]:
    """Of a database of its own: a test may do with it what it likes."""
    for url in a_database(migrated_server):
        with closing(Storage(url, SecretBox([SECRET_KEY]))) as storage:
            yield storage


def left(storage: Storage) -> list[str]:
    """Tables, functions, types and sequences in the database, without that of the revision."""
    return storage.transact(
        lambda c: [
            name
            for (name,) in rows(
                c,
                "select relname from pg_class where relnamespace = 'dispatcher'::regnamespace"
                " union all select proname from pg_proc where pronamespace = 'dispatcher'::regnamespace order by 1",
            )
            if not name.startswith("dispatcher_version")
        ]
    )


def downgrade(storage: Storage, to: str = "base") -> None:
    with storage.transaction() as connection:
        command.downgrade(migrate.config(connection, storage.schema), to)


def upgrade(storage: Storage, to: str) -> None:
    with storage.transaction() as connection:
        rows(connection, f"create schema if not exists {storage.schema}")
        command.upgrade(migrate.config(connection, storage.schema), to)


def test_a_file_is_named_for_its_revision() -> None:
    scripts = ScriptDirectory.from_config(migrate.config())

    assert migrate._known() == tuple(script.revision for script in scripts.walk_revisions())[::-1]
    assert migrate._newest() == scripts.get_current_head()


def test_an_empty_database_is_refused(empty: Storage) -> None:
    with pytest.raises(PendingMigrations, match="dispatcher migrate"):
        migrate.check(empty)


def test_two_migrations_at_once_wait_for_each_other_and_another_does_no_harm(empty: Storage) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: migrate.upgrade(empty), range(2))

    assert first == second
    migrate.check(empty)
    before = left(empty)
    assert set(before) >= TABLES
    assert migrate.upgrade(empty) == first
    migrate.check(empty)
    assert left(empty) == before


OWNERS = """
select a.slug, u.email, u.full_name from dispatcher.users u join dispatcher.accounts a on a.id = u.account_id
order by a.slug, u.permission
"""


def test_the_way_down_leaves_nothing_and_the_way_up_brings_all_back_with_what_was_stored_on_it(
    migrated: Storage,
) -> None:
    before = left(migrated)

    downgrade(migrated)
    assert left(migrated) == []
    with pytest.raises(PendingMigrations):
        migrate.check(migrated)

    upgrade(migrated, "0001")
    accounts = "insert into dispatcher.accounts (slug, time_zone) values ('acme', 'UTC'), ('apple', 'UTC')"
    migrated.transact(rows, accounts)

    upgrade(migrated, "0008")  # accounts that exist got an owner
    assert migrated.transact(rows, OWNERS) == [
        ("acme", "owner@acme.invalid", "acme"),
        ("apple", "owner@apple.invalid", "apple"),
    ]
    people = """
        update dispatcher.users set email = 'ann@apple.cz' where full_name = 'apple';
        insert into dispatcher.accounts (slug, time_zone) values ('taken', 'UTC');
        insert into dispatcher.users (account_id, email, full_name, permission)
        select id, email, full_name, permission from dispatcher.accounts cross join (values
            ('owner@taken.invalid', 'taken', 'owner'), ('Taken@dispatcher.example', 'R', 'read')
        ) as users (email, full_name, permission) where slug = 'taken'
    """
    migrated.transact(rows, people)

    migrate.upgrade(migrated)
    assert left(migrated) == before
    assert migrated.transact(
        rows, OWNERS
    ) == [  # made-up e-mails that strict clients refuse were changed, and no others
        ("acme", "acme@dispatcher.example", "acme"),
        ("apple", "ann@apple.cz", "apple"),
        ("taken", "owner@taken.invalid", "taken"),  # the other is somebody's
        ("taken", "Taken@dispatcher.example", "R"),
    ]


def test_a_database_that_a_later_release_has_migrated_is_used_and_left_as_it_is(storage: Storage) -> None:
    storage.transact(rows, "update dispatcher.dispatcher_version set version_num = '9999'")

    migrate.check(storage)
    assert migrate.upgrade(storage) == "9999"
    assert storage.transact(rows, "select version_num from dispatcher.dispatcher_version") == [("9999",)]


def test_a_postgres_that_is_down_is_our_error() -> None:
    storage = Storage("postgresql://me:hunter2@127.0.0.1:1/main", SecretBox([SECRET_KEY]))

    with pytest.raises(StorageUnavailable, match="Postgres is not reachable: ") as caught:
        migrate.check(storage)
    assert "hunter2" not in str(caught.value)


def test_a_connection_that_was_ended_is_replaced(storage: Storage) -> None:
    def killed(connection: Any) -> None:
        rows(connection, "select pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(StorageUnavailable):
        storage.transact(killed)
    assert storage.transact(rows, "select 1") == [(1,)]


def test_an_error_of_a_statement_shows_no_parameter(storage: Storage) -> None:
    with pytest.raises(Exception, match="division by zero") as caught:
        storage.transact(rows, "select 1/0, %(secret)s", secret="hunter2")
    assert "hunter2" not in str(caught.value)
