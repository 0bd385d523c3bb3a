"""A service's own database, with an outbox in it."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2

from dispatcher.settings import Outbox
from dispatcher.storage.outboxes.database import OutboxDatabase
from tests.support.cluster import SLUG
from tests.support.drivers.base import NAME
from tests.support.servers import a_database


@contextmanager
def _opened(outbox: Outbox) -> Iterator[OutboxDatabase]:
    with closing(OutboxDatabase(outbox)) as database:
        yield database


def an_outbox(server_url: str, name: str = "orders") -> Iterator[Outbox]:
    """One that is installed, in a new database without any other table."""
    for url in a_database(server_url, "template0"):
        outbox = Outbox(name=name, url=url)
        with _opened(outbox) as database:
            database.install()
        yield outbox


def rows_in(outbox: Outbox, sql: str) -> list[tuple[Any, ...]]:
    """Of a statement in the service's database, which is committed."""
    with closing(psycopg2.connect(outbox.url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


def put(outbox: Outbox, *counts: object, account: str = SLUG, name: str = NAME, key: str | None = None) -> None:
    """Events as a service in any language stores them: one INSERT each."""
    with closing(psycopg2.connect(outbox.url)) as connection, connection, connection.cursor() as cursor:
        for count in counts:
            cursor.execute(
                "insert into dispatcher_outbox.events (account, name, body, idempotency_key) values (%s, %s, %s, %s)",
                (account, name, json.dumps({"inbox_files": {"count": count}}), key),
            )
