"""The tables are in a schema of their own: what is beside it, what was before it, and another name for it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg2
import pytest
from alembic import command

from dispatcher.connections.pool import ConnectionPool
from dispatcher.errors import InvalidSetting, MissingSchema, PendingMigrations, UnknownRevision
from dispatcher.model.account import Account
from dispatcher.pipeline.emit import Emitter
from dispatcher.pipeline.prune import prune
from dispatcher.storage import migrate
from dispatcher.storage.engine import Storage, rows
from dispatcher.storage.pipeline.emits import MANY
from dispatcher.storage.secrets import SecretBox
from tests.integration.storage.conftest import Steps
from tests.support.builders import SECRET_KEY, a_webhook, an_account, an_event
from tests.support.servers import a_database, execute

SERVICES_OWN = (
    "create table orders (id int primary key, deliveries int)",
    "create sequence order_number",
    "create function order_id() returns int language sql as 'select 1'",
)
"""What lies in the same schema and is none of the dispatcher's."""

# As the former release stored it: an account, a webhook, a delivery that has failed and one that waits.
STORED = """
insert into accounts (slug, time_zone) values ('applecorp', 'UTC');
insert into webhooks (account_id, webhook_url, signing_secret_encrypted, events)
values (1, 'http://127.0.0.1:9/', %(secret)s, '{invoice_paid}');
insert into events (account_id, name, body, created_at) select 1, 'invoice_paid', '{}', now()
from generate_series(1, 2);
insert into events_waiting (event_id, account_id, name) select id, 1, name from events order by id desc limit 1;
insert into deliveries (id, event_id, webhook_id, idempotency_key, state, finished_on)
select nextval('delivery_id'), id, 1, gen_random_uuid(), 'failed', current_date from events order by id limit 1;
insert into deliveries (id, event_id, webhook_id, idempotency_key)
select nextval('delivery_id'), id, 1, gen_random_uuid() from events order by id limit 1;
insert into attempts (delivery_id, number, request_id, url, status, started_at, finished_at)
select min(id), 1, gen_random_uuid(), '', '500', now(), now() from deliveries
"""


@contextmanager
def a_storage(url: str, schema: str = "dispatcher", **options: str) -> Iterator[Storage]:
    """`options` of the URL."""
    made = Storage(f"{url}?{'&'.join(f'{name}={quote(value)}' for name, value in options.items())}", BOX, 5, schema)
    yield made
    made.close()


BOX = SecretBox([SECRET_KEY])


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Storage]:
    with a_storage(empty_database_url) as storage:
        yield storage


@pytest.fixture(scope="module")
def former_name(postgres_server: str) -> Iterator[str]:
    """A database with an install of the former release, to be copied."""
    for url in a_database(postgres_server, "template0"):
        with a_storage(url) as storage:
            install_former(storage)
        yield urlsplit(url).path[1:]


@pytest.fixture
def former_url(postgres_server: str, former_name: str) -> Iterator[str]:
    yield from a_database(postgres_server, former_name)


@pytest.fixture
def former(former_url: str) -> Iterator[Storage]:
    """An install of the former release."""
    with a_storage(former_url) as storage:
        yield storage


def install_former(storage: Storage, revision: str = "0012") -> None:
    """A former release's tables, with two days of data, in `public`; and Alembic's table, as it is usually called."""
    with storage.transaction() as connection:
        config = migrate.config(connection, "public")
        config.attributes["version_table"] = "alembic_version"
        command.upgrade(config, revision)
        rows(connection, "set local search_path to public")
        rows(connection, STORED, secret=BOX.close("whsec_x"))
        for sql in SERVICES_OWN:
            rows(connection, sql)


def names_in(storage: Storage, schema: str) -> set[str]:
    sql = """
    select relname from pg_class where relnamespace = %(schema)s::regnamespace
    union all select proname from pg_proc where pronamespace = %(schema)s::regnamespace
    """
    return {name for (name,) in storage.transact(rows, sql, schema=schema)}


def counts(storage: Storage, schema: str) -> list[Any]:
    tables = ("accounts", "webhooks", "events", "events_waiting", "deliveries", "deliveries_waiting", "attempts")
    return storage.transact(rows, "select " + ", ".join(f"(select count(*) from {schema}.{t})" for t in tables))


def test_an_install_of_the_former_release_is_moved_with_its_data(
    former: Storage, storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    before = counts(former, "public")

    assert migrate.upgrade(former) == migrate._newest()

    assert "migrate.moved from_schema=public to_schema=dispatcher" in caplog.text
    assert counts(former, "dispatcher") == before == [(1, 1, 2, 1, 2, 1, 1)]
    assert names_in(former, "public") == {"orders", "orders_pkey", "order_number", "order_id"}
    moved, new = names_in(former, "dispatcher"), names_in(storage, "dispatcher")
    assert moved - new == {"alembic_version", "alembic_version_pkc"}  # for processes of the former release
    assert new - moved == {"dispatcher_version_pkc"}
    migrate.check(former)
    assert migrate.upgrade(former) == migrate._newest()
    check_that_deliveries_go_on(former)


def test_one_of_the_first_release_is_moved_too(empty: Storage) -> None:
    install_former(empty, "0001")
    migrate.upgrade(empty)
    check_that_deliveries_go_on(empty)


def check_that_deliveries_go_on(storage: Storage) -> None:
    steps = Steps(storage, Account(id=1, slug="applecorp", time_zone="UTC"))

    steps.emit()
    steps.fan_out()
    claimed = steps.claim({1: 10}).claimed
    for one in claimed:
        steps.record(one)

    assert len(claimed) == 3
    assert steps.rows("select state, count(*) from dispatcher.deliveries group by 1 order by 1") == [
        ("delivered", 3),
        ("failed", 1),
    ]
    assert a_webhook(storage, steps.account).id == 2
    assert [day for day in prune(storage, 30) if "events_2" in day] == []


def test_a_process_of_the_former_release_goes_on_where_its_search_path_leads_to_the_schema(
    former: Storage, former_url: str
) -> None:
    """Told to roles before the move, it lets an update be a rolling one."""
    insert = "insert into events (account_id, name, body, created_at) values (1, 'x', '{}', now()) returning id"
    with closing(psycopg2.connect(former_url, options="-csearch_path=public,dispatcher")) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(f"prepare emit as {insert}")
        cursor.execute("execute emit")

        migrate.upgrade(former)

        cursor.execute("execute emit")
        cursor.execute("select count(*), min(next_attempt_at) <= dispatcher_now() from deliveries_waiting")
        assert cursor.fetchone() == (1, True)
        cursor.execute("select create_partitions(current_date + 30)")
        cursor.execute("select version_num from alembic_version")
        assert cursor.fetchone() == (migrate._newest(),)
    assert counts(former, "dispatcher")[0][2] == 4


def test_who_could_use_the_tables_still_can(former: Storage) -> None:
    rows_of = "grant select on accounts, events to emitter; grant select on orders to stranger"
    former.transact(rows, "create role emitter; create role stranger; " + rows_of)
    try:
        migrate.upgrade(former)

        sql = "select has_schema_privilege(%(role)s, 'dispatcher', 'usage')"
        assert [former.transact(rows, sql, role=role)[0][0] for role in ("emitter", "stranger")] == [True, False]
    finally:
        former.transact(rows, "drop owned by emitter, stranger; drop role emitter, stranger")


def test_tables_of_a_former_release_at_a_revision_that_it_never_had_are_refused(former: Storage) -> None:
    before = names_in(former, "public")
    for versions in ["abc123"], ["9999"], ["0012", "abc123"], []:
        former.transact(rows, "delete from alembic_version")
        for version in versions:
            former.transact(rows, "insert into alembic_version values (%(version)s)", version=version)

        with pytest.raises(UnknownRevision, match=r"public\.alembic_version is at revision"):
            migrate.upgrade(former)
        assert names_in(former, "public") == before, versions
        with pytest.raises(PendingMigrations):
            migrate.check(former)


def test_a_revision_that_is_nobodys_is_refused(storage: Storage) -> None:
    for revision in ("abc123", "0012x", "12"):
        storage.transact(rows, "update dispatcher.dispatcher_version set version_num = %(to)s", to=revision)

        for use in (migrate.check, migrate.upgrade):
            with pytest.raises(UnknownRevision, match=f"dispatcher_version is at revision '{revision}'"):
                use(storage)


def test_a_services_own_tables_and_revision_are_left_alone(empty: Storage) -> None:
    own = [f"create table {name} (id int)" for name in ("accounts", "users", "events", "sessions", "deliveries")]
    own += ["create table alembic_version (version_num text)", "insert into alembic_version values ('0012')"]
    empty.transact(rows, ";".join(own))
    before = names_in(empty, "public")

    with pytest.raises(PendingMigrations):
        migrate.check(empty)
    migrate.upgrade(empty)

    assert names_in(empty, "public") == before
    assert empty.transact(rows, "select version_num from alembic_version") == [("0012",)]
    Steps(empty, an_account(empty)).emit()


def test_an_install_may_stay_where_it_is(former_url: str) -> None:
    with a_storage(former_url, "public") as storage:
        before = names_in(storage, "public")

        migrate.upgrade(storage)

        assert before - names_in(storage, "public") == set()
        assert storage.transact(rows, "select to_regnamespace('dispatcher')") == [(None,)]
        Steps(storage, Account(id=1, slug="applecorp", time_zone="UTC")).emit()
        assert counts(storage, "public")[0][2] == 3


@pytest.mark.parametrize("schema", ["hooks", "public"])
def test_another_schema_is_used_and_no_other(empty_database_url: str, schema: str) -> None:
    with a_storage(empty_database_url, schema) as storage:
        migrate.upgrade(storage)
        migrate.check(storage)
        steps = Steps(storage, an_account(storage))
        a_webhook(storage, steps.account)
        steps.emit()
        steps.fan_out()
        steps.record(steps.claim_one(1))

        assert counts(storage, schema) == [(1, 1, 1, 0, 1, 0, 1)]
        there = storage.transact(rows, "select nspname from pg_namespace where nspname in ('dispatcher', 'hooks')")
        assert there == ([("hooks",)] if schema == "hooks" else [])

        # A producer's own connections, and those that it is handed.
        emitter = Emitter(lambda: ConnectionPool(empty_database_url, 1, schema), schema=schema)
        emitter.emit(steps.account.slug, [an_event()])
        with closing(psycopg2.connect(empty_database_url)) as connection, connection:
            emitter.emit(steps.account.slug, [an_event()] * MANY, connection)
        assert counts(storage, schema)[0][2:4] == (MANY + 2, MANY + 1)


def test_two_installs_in_one_database_do_not_hear_of_each_other(storage: Storage, database_url: str) -> None:
    with (
        a_storage(database_url, "hooks", options="-csearch_path=dispatcher,public") as other,
        closing(psycopg2.connect(database_url)) as listening,
    ):
        migrate.upgrade(other)
        listening.autocommit = True
        listening.cursor().execute("listen dispatcher_events; listen hooks_events")

        Steps(other, an_account(other)).emit()

        listening.cursor().execute("select")  # what was notified before comes with the answer
        assert [heard.channel for heard in listening.notifies] == ["hooks_events"]
        assert counts(storage, "dispatcher")[0][2] == 0
        assert counts(other, "hooks")[0][2] == 1


def test_a_search_path_of_the_url_stays(database_url: str) -> None:
    with a_storage(database_url, options="-csearch_path=elsewhere -cstatement_timeout=1") as storage:
        shown = "select current_setting('search_path'), current_setting('statement_timeout')"
        assert storage.read(rows, shown) == [("elsewhere", "20s")]


def test_a_role_that_may_not_create_the_schema_is_told_what_to_do(empty: Storage, empty_database_url: str) -> None:
    database = empty_database_url.rpartition("/")[2]
    grants = f"revoke all on database {database} from public", f"grant connect on database {database} to poor"
    execute(empty_database_url, "create role poor login password 'poor'", *grants)
    try:
        with a_storage(empty_database_url, user="poor", password="poor") as poor:
            with pytest.raises(MissingSchema, match="create schema dispatcher authorization"):
                migrate.upgrade(poor)
            execute(empty_database_url, "create schema dispatcher authorization poor")
            migrate.upgrade(poor)
    finally:
        execute(empty_database_url, "drop owned by poor", "drop role poor")


def test_a_reserved_word_is_no_schema(empty_database_url: str) -> None:
    with a_storage(empty_database_url, "user") as storage, pytest.raises(InvalidSetting, match=r"^DISPATCHER_SCHEMA: "):
        migrate.upgrade(storage)
