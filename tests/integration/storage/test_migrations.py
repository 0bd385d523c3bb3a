from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory

from dispatcher.errors import PendingMigrations, StorageUnavailable
from dispatcher.storage import migrate
from dispatcher.storage.engine import Storage, rows
from dispatcher.storage.secrets import SecretBox
from tests.support.builders import SECRET_KEY

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
    storage = Storage(empty_database_url, SecretBox([SECRET_KEY]))
    yield storage
    storage.close()


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


def test_migrations_run_on_an_empty_database_and_again_without_harm(empty: Storage) -> None:
    revision = migrate.upgrade(empty)
    assert left(empty)

    before = left(empty)
    assert migrate.upgrade(empty) == revision
    migrate.check(empty)
    assert left(empty) == before
    assert set(before) >= TABLES


def test_a_downgrade_leaves_nothing_and_an_upgrade_brings_all_back(empty: Storage) -> None:
    migrate.upgrade(empty)
    before = left(empty)

    downgrade(empty)
    assert left(empty) == []
    with pytest.raises(PendingMigrations):
        migrate.check(empty)

    migrate.upgrade(empty)
    assert left(empty) == before


def test_accounts_that_exist_get_an_owner(empty: Storage) -> None:
    migrate.upgrade(empty)
    downgrade(empty, "0001")
    empty.transact(rows, "insert into dispatcher.accounts (slug, time_zone) values ('acme', 'UTC'), ('apple', 'UTC')")

    migrate.upgrade(empty)

    owners = (
        "select a.slug, u.email, u.full_name from dispatcher.users u"
        " join dispatcher.accounts a on a.id = u.account_id order by u.id"
    )
    assert empty.transact(rows, owners) == [
        ("acme", "acme@dispatcher.example", "acme"),
        ("apple", "apple@dispatcher.example", "apple"),
    ]


def test_made_up_e_mails_that_strict_clients_refuse_are_changed_and_no_others(empty: Storage) -> None:
    migrate.upgrade(empty)
    downgrade(empty, "0008")
    people = """
        insert into dispatcher.accounts (slug, time_zone) values ('acme', 'UTC'), ('apple', 'UTC'), ('taken', 'UTC');
        insert into dispatcher.users (account_id, email, full_name, permission)
        select id, case slug when 'apple' then 'ann@apple.cz' else 'owner@' || slug || '.invalid' end, slug, 'owner'
        from dispatcher.accounts;
        insert into dispatcher.users (account_id, email, full_name, permission)
        select id, 'Taken@dispatcher.example', 'R', 'read' from dispatcher.accounts where slug = 'taken';
    """
    empty.transact(rows, people)

    migrate.upgrade(empty)

    emails = (
        "select u.email from dispatcher.users u join dispatcher.accounts a on a.id = u.account_id"
        " order by a.slug, u.permission"
    )
    assert [row[0] for row in empty.transact(rows, emails)] == [
        "acme@dispatcher.example",
        "ann@apple.cz",
        "owner@taken.invalid",  # the other is somebody's
        "Taken@dispatcher.example",
    ]


def test_two_migrations_at_once_wait_for_each_other(empty: Storage) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: migrate.upgrade(empty), range(2))

    assert first == second
    migrate.check(empty)


def test_a_database_that_a_later_release_has_migrated_is_used_and_left_as_it_is(empty: Storage) -> None:
    migrate.upgrade(empty)
    empty.transact(rows, "update dispatcher.dispatcher_version set version_num = '9999'")

    migrate.check(empty)
    assert migrate.upgrade(empty) == "9999"
    assert empty.transact(rows, "select version_num from dispatcher.dispatcher_version") == [("9999",)]


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
