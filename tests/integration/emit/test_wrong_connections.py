"""What is no connection that an emit takes is refused with the names of those that are."""

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import create_engine

from dispatcher import aemit, emit, emit_many, signals
from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.storage.engine import Storage
from tests.integration.emit.conftest import Open
from tests.support.cluster import SLUG

BODY: dict[str, Any] = {"inbox_files": {"count": 1}}
SYNC = r"psycopg2 or psycopg 3, a SQLAlchemy Connection, Session or scoped_session, or a Django connection"
ASYNC = r"asyncpg, a psycopg 3 AsyncConnection, or a SQLAlchemy AsyncConnection, AsyncSession or async_scoped_session"


@pytest.mark.parametrize("connection", [0, "postgresql:///shop", object()])
def test_it_is_refused_by_name(container: Container, account: Account, connection: object) -> None:
    named = rf"connection must be .*{SYNC}, not builtins\.{type(connection).__name__}$"
    with pytest.raises(TypeError, match=named):
        emit("inbox_file_removed_all", account=SLUG, connection=connection, **BODY)
    with pytest.raises(TypeError, match=named):
        emit_many([], account=SLUG, connection=connection)
    with pytest.raises(TypeError, match=named):
        signals.inbox_file_removed_all.send(SLUG, connection=connection, **BODY)
    with pytest.raises(TypeError, match=rf"connection must be .*{ASYNC}, not builtins\.{type(connection).__name__}$"):
        asyncio.run(aemit("inbox_file_removed_all", account=SLUG, connection=connection, **BODY))


def test_an_engine_is_no_connection(container: Container, account: Account, storage: Storage) -> None:
    with pytest.raises(TypeError, match=r"not sqlalchemy\.engine\.base\.Engine"):
        emit("inbox_file_removed_all", account=SLUG, connection=storage.engine, **BODY)


def test_one_of_the_other_kind_is_refused_with_the_function_for_it(opened: Open) -> None:
    driver = opened()
    if driver.is_async:
        with pytest.raises(TypeError, match=r"this one is asynchronous: await dispatcher\.aemit"):
            emit("inbox_file_removed_all", account=SLUG, connection=driver.connection, **BODY)
    else:
        with pytest.raises(TypeError, match=r"this one is synchronous: call dispatcher\.emit"):
            asyncio.run(aemit("inbox_file_removed_all", account=SLUG, connection=driver.connection, **BODY))


def test_another_database_is_refused(container: Container, account: Account) -> None:
    engine = create_engine("sqlite://")
    named = r"SQLAlchemy's over sqlite\+pysqlite; an emit needs postgresql"
    with engine.connect() as connection, pytest.raises(TypeError, match=named):
        emit("inbox_file_removed_all", account=SLUG, connection=connection, **BODY)
    engine.dispose()
    with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(TypeError, match=r"not sqlite3\.Connection"):
        emit("inbox_file_removed_all", account=SLUG, connection=connection, **BODY)


def test_without_a_connection_the_event_is_committed_by_a_thread(
    container: Container, account: Account, storage: Storage
) -> None:
    event = asyncio.run(aemit("inbox_file_removed_all", account=SLUG, **BODY))

    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("select event_id from dispatcher.events_waiting").scalars().all() == [
            event.id
        ]
