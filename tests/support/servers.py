"""Postgres databases and Valkeys of the tests' own."""

import itertools
import os
import signal
from collections.abc import Iterator
from contextlib import closing
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
    # Files are copied faster than pages are logged, and a crash in between is no matter here.
    execute(server_url, f"create database {name} template {template} strategy file_copy")
    yield in_database(server_url, name)
    execute(server_url, f"drop database {name} with (force)")


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
