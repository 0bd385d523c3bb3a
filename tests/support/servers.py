"""Postgres databases and Valkeys of the tests' own."""

import fcntl
import itertools
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool

from dispatcher.connections.pool import is_closed
from dispatcher.local.postgres import Postgres
from dispatcher.local.server import EmbeddedServer
from dispatcher.local.valkey import Valkey
from dispatcher.storage import migrate
from dispatcher.storage.engine import Storage, make_engine
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
    name = _new_name()
    copy_database(server_url, name, template)
    yield in_database(server_url, name)
    execute(server_url, f"drop database {name} with (force)")


def _new_name() -> str:
    """For a database; another process may have some on the same server."""
    return f"tests_{os.getpid()}_{next(_numbers)}"


def copy_database(server_url: str, name: str, template: str = TEMPLATE) -> None:
    """Files are copied faster than pages are logged, and a crash in between is no matter here."""
    execute(server_url, f"create database {name} template {template} strategy file_copy")


class Databases:
    """Migrated databases, each for one test at a time: emptied afterwards, which costs a quarter of copying another.

    One that differs from the template in more than its rows, or has many, is dropped instead.
    """

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._clean: list[_Database] = []
        self._lent: dict[str, _Database] = {}

    def one(self) -> Iterator[str]:
        """The URL of one that is as the migrations leave it."""
        database = self._clean.pop() if self._clean else self._another()
        self._lent[database.url] = database
        yield database.url
        del self._lent[database.url]
        if database.empty():
            self._clean.append(database)
        else:
            database.close()
            execute(self._server_url, f"drop database {urlsplit(database.url).path[1:]} with (force)")

    def engine(self, url: str) -> Engine | None:
        """The one that goes with that database from test to test, if it is one of these.

        They know the tables, and have planned statements: to open another and plan again costs more than most tests do.
        """
        database = self._lent.get(url)
        return database.engine if database else None

    def _another(self) -> "_Database":
        name = _new_name()
        copy_database(self._server_url, name)
        return _Database(in_database(self._server_url, name))


class _Database:
    """As the migrations leave it, at first."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = make_engine(url, _POOL_SIZE)
        self._connection = self._connected()
        with self._connection.cursor() as cursor:
            cursor.execute(_LOOK)
            (self._catalogs, _, tables, _) = cursor.fetchone()
            self._restore = "".join(_restoring(cursor, table) for table in tables)

    def close(self) -> None:
        self.engine.dispose()
        self._connection.close()

    def empty(self) -> bool:
        """Whether it is as it was, now that it is empty again."""
        if is_closed(self._connection):
            self._connection = self._connected()
        with self._connection.cursor() as cursor:
            cursor.execute(_END_SESSIONS, {"but": self._tidied()})
            cursor.execute(_LOOK)
            (catalogs, size, tables, is_set) = cursor.fetchone()
            if catalogs != self._catalogs or size > _MOST_BYTES:
                return False
            cursor.execute("".join(f"delete from {table};" for table in tables) + _EMPTY + self._restore)
            if is_set:
                cursor.execute(f"alter database {urlsplit(self.url).path[1:]} reset all")
        return True

    def _tidied(self) -> list[int]:
        """The one session that the engine keeps, without all that a test may have left in it but plans.

        Of several, statements would go to each in turn: those of one thread, whose ids then follow no order.
        """
        pids: list[int] = []
        for pooled in idle_sessions(self.engine):
            connection: Any = pooled.dbapi_connection
            with connection.cursor() as cursor:
                cursor.execute(_TIDY)
                is_shifted = bool(cursor.fetchone()[0])
            if pids or is_shifted:
                pooled.detach()
            else:
                pids.append(connection.info.backend_pid)
        return pids

    def _connected(self) -> Any:
        connection = psycopg2.connect(self.url, options="-c session_replication_role=replica")  # no triggers
        connection.autocommit = True
        return connection


def idle_sessions(engine: Engine) -> Iterator[Any]:
    """All that wait in its pool, while nobody uses another; for statements that they commit each by itself."""
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    if pool.checkedout():  # who has it shall not go on with it
        engine.dispose()
        return
    for pooled in [engine.raw_connection() for _ in range(pool.checkedin())]:
        connection: Any = pooled.dbapi_connection
        connection.autocommit = True
        yield pooled
        connection.autocommit = False
        pooled.close()


def _restoring(cursor: Any, table: str) -> str:
    """What inserts the rows that a migration put into the table."""
    cursor.execute(f"select json_agg(one) from {table} one")
    sql = f"insert into {table} select * from json_populate_recordset(null::{table}, %s);"
    return cursor.mogrify(sql, (json.dumps(cursor.fetchone()[0]),)).decode()


_POOL_SIZE = 10
"""That of the tests' `settings`."""
_MOST_BYTES = 1 << 20
"""Of tables with rows; nine times as much are their indexes and what was deleted before."""
_END_SESSIONS = """
select pg_terminate_backend(pid, 10000) from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
    and pid <> all (%(but)s::int[])
"""
# `discard all` without `deallocate all`. And whether the session's clock is moved still: it was when it began.
_TIDY = """
set session authorization default; reset all; discard sequences; unlisten *; select pg_advisory_unlock_all();
select current_setting('dispatcher.shift', true)
"""
# A row there that is new, changed or gone: a table, a column, a function, statistics. `age` is the transactions since.
_CATALOGS = ", ".join(
    f"(select (count(*), age('3'::xid) - min(age(xmin)))::text from {catalog})"
    for catalog in (
        *("pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_index", "pg_inherits", "pg_namespace"),
        *("pg_proc", "pg_sequence", "pg_statistic", "pg_trigger", "pg_type"),
    )
)
# And of the tables that have, or had, rows: how many bytes, and which. And whether the database has settings.
_LOOK = f"""
select array[{_CATALOGS}], coalesce(sum(size), 0), coalesce(array_agg(name), '{{}}'),
    exists (select from pg_db_role_setting s join pg_database d on d.oid = setdatabase
        where datname = current_database())
from (
    select oid::regclass::text as name, pg_relation_size(oid) as size from pg_class
    where relnamespace = 'dispatcher'::regnamespace and relkind = 'r'
) tables where size > 0
"""
_EMPTY = """
select setval(seqrelid, seqstart, false) from pg_sequence where pg_sequence_last_value(seqrelid) is not null;
"""


def execute(url: str, *statements: str) -> None:
    """Each by itself, outside any transaction."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql)


def make_sign_in_cheap(server_url: str) -> None:
    """A client hashes a password 4,096 times, which shall make guessing costly. This one is no person's."""
    url = urlsplit(server_url)
    execute(server_url, "set scram_iterations = 1", f"alter role {url.username} password '{url.password}'")


@contextmanager
def a_migrated_postgres(run_folder: Path) -> Iterator[Postgres]:
    """A server, not started yet, with the database TEMPLATE.

    It is made once a run: the first of its processes leaves it in their `run_folder`, and each has a copy of the files.
    """
    made, lock = run_folder / "postgres", run_folder / "postgres.lock"
    with a_folder() as folder:
        with _held(lock):
            if not made.exists():
                _make_server(made)
            subprocess.run(["cp", "-a", made, folder], check=True)
        yield Postgres(folder / made.name)
    with _held(lock):  # the others have their copies; and it is large
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _held(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make_server(to: Path) -> None:
    """Password and data of a server that has ended."""
    with a_folder() as folder:
        server = Postgres(folder / "postgres")
        url = server.start()
        execute(url, "alter system set fsync = off", "select pg_reload_conf()")
        make_sign_in_cheap(url)
        make_template(url)
        execute(url, "alter system reset fsync")
        server.stop()
        draft = to.with_name(f"{to.name}.new")
        shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
        draft.mkdir()
        subprocess.run(["cp", "-a", server.folder / "password", server.data, draft], check=True)
        draft.rename(to)


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
