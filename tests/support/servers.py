"""Postgres databases and Valkeys of the tests' own."""

import itertools
import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import psycopg2

from dispatcher.local.server import EmbeddedServer
from dispatcher.local.valkey import Valkey
from dispatcher.storage import migrate
from dispatcher.storage.engine import Storage
from dispatcher.storage.secrets import SecretBox
from tests.support.builders import SECRET_KEY
from tests.support.places import a_folder

TEMPLATE = "dispatcher_template"
_numbers = itertools.count(1)


def in_database(url: str, name: str) -> str:
    """The same server's URL for database `name`."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def a_valkey() -> Iterator[Valkey]:
    """One that runs, in a temporary folder, on a free port; for those who cannot share one that tests empty."""
    with a_folder() as folder:
        server = Valkey(folder / "valkey")
        server.start()
        yield server
        server.stop()


def a_database(server_url: str, template: str = TEMPLATE) -> Iterator[str]:
    """A copy of the database `template`, for as long as somebody uses it."""
    name = f"tests_{next(_numbers)}"
    copy_database(server_url, name, template)
    yield in_database(server_url, name)
    execute(server_url, f"drop database {name} with (force)")


def copy_database(server_url: str, name: str, template: str = TEMPLATE) -> None:
    """Files are copied faster than pages are logged, and a crash in between is no matter here."""
    execute(server_url, f"create database {name} template {template} strategy file_copy")


class Databases:
    """Migrated databases, each for one test at a time: emptied afterwards, which costs a quarter of copying another.

    One that differs from the template in more than its rows, or has many, is dropped instead.
    """

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._clean: list[str] = []
        self._catalogs: Any = None
        self._restore = ""

    def one(self) -> Iterator[str]:
        """The URL of one that is as the migrations leave it."""
        url = self._clean.pop() if self._clean else self._another()
        yield url
        if self._empty(url):
            self._clean.append(url)
        else:
            execute(self._server_url, f"drop database {urlsplit(url).path[1:]} with (force)")

    def _another(self) -> str:
        name = f"tests_{next(_numbers)}"
        copy_database(self._server_url, name)
        url = in_database(self._server_url, name)
        if self._catalogs is None:
            with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
                self._catalogs = _row(cursor, _CATALOGS)
                cursor.execute(f"select oid::regclass {_USED}")
                self._restore = "".join(_restoring(cursor, table) for (table,) in cursor.fetchall())
        return url

    def _empty(self, url: str) -> bool:
        """Whether it is as it was."""
        with closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(_END_SESSIONS)
                if _row(cursor, _CATALOGS) != self._catalogs or _row(cursor, _SIZE)[0] > _MOST_BYTES:
                    return False
                cursor.execute(_EMPTY + self._restore)
        return True


def _restoring(cursor: Any, table: str) -> str:
    """What inserts the rows that a migration put into the table."""
    rows = _row(cursor, f"select json_agg(one) from {table} one")
    sql = f"insert into {table} select * from json_populate_recordset(null::{table}, %s);"
    return cursor.mogrify(sql, (json.dumps(rows[0]),)).decode()


def _row(cursor: Any, sql: str) -> Any:
    cursor.execute(sql)
    return cursor.fetchone()


_MOST_BYTES = 1 << 20
"""Of tables with rows; nine times as much are their indexes and what was deleted before."""
_END_SESSIONS = """
select pg_terminate_backend(pid, 10000) from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
"""
# A row there that is new, changed or gone: a table, a column, a function, statistics, a setting of the database.
_CATALOGS = "select " + ", ".join(
    f"(select (count(*), max(xmin::text::bigint))::text from {catalog})"
    for catalog in (
        *("pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_index", "pg_inherits", "pg_namespace"),
        *("pg_proc", "pg_sequence", "pg_statistic", "pg_trigger", "pg_type"),
    )
)
_USED = """
from pg_class where relnamespace = 'dispatcher'::regnamespace and relkind = 'r' and pg_relation_size(oid) > 0
"""
_SIZE = f"select coalesce(sum(pg_relation_size(oid)), 0) {_USED}"
_EMPTY = f"""
do $$ declare name regclass; begin
    perform set_config('session_replication_role', 'replica', true);
    for name in select oid {_USED} loop
        execute format('delete from %s', name);
    end loop;
    perform setval(seqrelid, seqstart, false) from pg_sequence where pg_sequence_last_value(seqrelid) is not null;
    execute format('alter database %I reset all', current_database());
end $$;
"""


def execute(url: str, *statements: str) -> None:
    """Each by itself, outside any transaction."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql)


def make_template(server_url: str) -> None:
    """A database with all migrations, to be copied."""
    execute(server_url, f"create database {TEMPLATE}")
    storage = Storage(in_database(server_url, TEMPLATE), SecretBox([SECRET_KEY]))
    migrate.upgrade(storage)
    storage.close()


def suspend(server: EmbeddedServer) -> None:
    """Its connections stay open and nothing responds."""
    if server.pid is not None:
        os.kill(server.pid, signal.SIGSTOP)


def resume(server: EmbeddedServer) -> None:
    """Lets it go on."""
    if server.pid is not None:
        os.kill(server.pid, signal.SIGCONT)
