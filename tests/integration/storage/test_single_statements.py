"""Statements on the driver's own connection: repeated, translated and given back as those of a transaction are."""

import psycopg2
import pytest

from dispatcher.errors import StorageUnavailable
from dispatcher.storage.engine import rows


def backend(connection):
    return rows(connection, "select pg_backend_pid()")[0][0]


def test_each_statement_is_committed_by_itself(storage, steps):
    def work(connection):
        rows(connection, "create table kept (id int)")
        rows(connection, "insert into kept values (1)")
        raise ValueError

    with pytest.raises(ValueError):
        storage.single(work)
    assert steps.value("select count(*) from kept") == 1


def test_the_connection_goes_back_as_it_came(storage):
    pid = storage.single(backend)

    assert storage.run(backend) == pid

    def fails(connection):
        rows(connection, "create table gone (id int)")
        raise ValueError

    with pytest.raises(ValueError):
        storage.run(fails)
    assert storage.look(lambda c: rows(c, "select to_regclass('gone')")) == [(None,)]


def test_a_connection_that_breaks_is_told_and_replaced(storage):
    pid = storage.single(backend)

    with pytest.raises(StorageUnavailable, match="Postgres is not reachable: "):
        storage.single(lambda c: rows(c, "select pg_terminate_backend(pg_backend_pid())"))
    assert storage.single(backend) != pid


def test_a_statement_that_takes_too_long_is_told_as_no_answer(storage):
    def slow(connection):
        rows(connection, "set statement_timeout = 50")
        rows(connection, "select pg_sleep(10)")

    for way in (storage.single, storage.run):
        with pytest.raises(StorageUnavailable, match="statement timeout"):
            way(slow)
        storage.engine.dispose()


def test_what_postgres_wants_repeated_is_repeated(storage):
    tries = []

    def work(connection):
        tries.append(1)
        if len(tries) < 3:
            rows(connection, "do $$ begin raise exception 'again' using errcode = '40001'; end $$")
        return "done"

    assert storage.single(work) == "done"
    assert len(tries) == 3


def test_a_fault_of_ours_is_no_outage(storage):
    with pytest.raises(psycopg2.errors.UndefinedTable):
        storage.single(lambda c: rows(c, "select * from no_such_table"))
