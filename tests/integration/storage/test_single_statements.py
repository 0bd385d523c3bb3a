"""Statements on the driver's own connection: repeated, translated and given back as those of a transaction are."""

import itertools
from typing import Any

import psycopg2
import pytest
from sqlalchemy.exc import DBAPIError

from dispatcher.errors import StorageUnavailable
from dispatcher.model.account import Account
from dispatcher.storage.engine import Storage, refuses_values, rows
from tests.integration.storage.conftest import Steps


def backend(connection: Any) -> int:
    return rows(connection, "select pg_backend_pid()")[0][0]


def test_each_statement_is_committed_by_itself(storage: Storage, steps: Steps) -> None:
    def work(connection: Any) -> str:
        rows(connection, "create table kept (id int)")
        rows(connection, "insert into kept values (1)")
        raise ValueError

    with pytest.raises(ValueError):
        storage.autocommit(work)
    assert steps.value("select count(*) from kept") == 1


def test_the_connection_goes_back_as_it_came(storage: Storage) -> None:
    pid = storage.autocommit(backend)

    assert storage.transact(backend) == pid

    def fails(connection: Any) -> None:
        rows(connection, "create table gone (id int)")
        raise ValueError

    with pytest.raises(ValueError):
        storage.transact(fails)
    assert storage.read(rows, "select to_regclass('gone')") == [(None,)]


def test_a_connection_that_breaks_is_told_and_replaced(storage: Storage) -> None:
    pid = storage.autocommit(backend)

    with pytest.raises(StorageUnavailable, match="Postgres is not reachable: "):
        storage.autocommit(rows, "select pg_terminate_backend(pg_backend_pid())")
    assert storage.autocommit(backend) != pid


def test_a_statement_that_takes_too_long_is_told_as_no_answer(storage: Storage) -> None:
    def slow(connection: Any) -> None:
        rows(connection, "set statement_timeout = 50")
        rows(connection, "select pg_sleep(10)")

    for way in (storage.autocommit, storage.transact):
        with pytest.raises(StorageUnavailable, match="statement timeout"):
            way(slow)
        storage.engine.dispose()


def test_a_lock_that_is_not_free_in_time_is_told_as_no_answer(storage: Storage, steps: Steps) -> None:
    def waits(connection: Any) -> None:
        rows(connection, "set lock_timeout = 50")
        rows(connection, "insert into dispatcher.webhooks default values")

    with steps.another_session() as other:
        rows(other, "lock table dispatcher.webhooks in access exclusive mode")
        for way in (storage.autocommit, storage.transact):
            with pytest.raises(StorageUnavailable, match=r"Postgres refuses: .*lock timeout"):
                way(waits)
            storage.engine.dispose()


def test_what_would_have_to_be_repeated_too_often_is_told_as_no_answer(storage: Storage) -> None:
    tries = []

    def work(connection: Any) -> None:
        tries.append(1)
        rows(connection, "do $$ begin raise exception 'again' using errcode = '40P01'; end $$")

    for way in (storage.autocommit, storage.transact):
        with pytest.raises(StorageUnavailable, match="Postgres refuses: again"):
            way(work)
    assert len(tries) == 10


def test_what_postgres_wants_repeated_is_repeated(storage: Storage) -> None:
    tries = []

    def work(connection: Any) -> str:
        tries.append(1)
        if len(tries) < 3:
            rows(connection, "do $$ begin raise exception 'again' using errcode = '40001'; end $$")
        return "done"

    assert storage.autocommit(work) == "done"
    assert len(tries) == 3


def test_a_fault_of_ours_is_no_outage(storage: Storage) -> None:
    with pytest.raises(psycopg2.errors.UndefinedTable):
        storage.autocommit(rows, "select * from no_such_table")


REFUSED = [
    ("select 32767::smallint + 1::smallint", True),
    ("insert into dispatcher.accounts (slug, time_zone) select slug, time_zone from dispatcher.accounts", True),
    ("insert into dispatcher.deliveries_20200102 (id) values (1)", False),
    ("create table days (day date) partition by list (day); insert into days values (now())", False),
]


def test_values_that_postgres_refuses_are_told_from_a_statement_that_it_refuses(
    storage: Storage, account: Account
) -> None:
    for (sql, is_of_values), way in itertools.product(REFUSED, (storage.autocommit, storage.transact)):
        with pytest.raises((psycopg2.Error, DBAPIError)) as caught:
            way(rows, sql)
        assert refuses_values(caught.value) is is_of_values, sql
        storage.autocommit(rows, "drop table if exists days")
