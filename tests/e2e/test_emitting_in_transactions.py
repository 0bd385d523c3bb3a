"""An event emitted in somebody's transaction shares its fate, and a commit is heard of at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from sqlalchemy.orm import Session

from dispatcher import emit
from tests.support.builders import a_body
from tests.support.cluster import SLUG, Cluster
from tests.support.receiver import Receiver
from tests.support.waiting import eventually


@contextmanager
def a_connection(cluster: Cluster) -> Iterator[Any]:
    with cluster.container.storage.engine.connect() as connection:
        yield connection


@contextmanager
def a_session(cluster: Cluster) -> Iterator[Any]:
    with Session(cluster.container.storage.engine) as session:
        yield session


@contextmanager
def a_psycopg2_connection(cluster: Cluster) -> Iterator[Any]:
    connection = psycopg2.connect(cluster.env["DATABASE_URL"])
    yield connection
    connection.close()


def test_an_event_is_rolled_back_with_its_transaction_and_sent_once_committed(
    cluster: Cluster, receiver: Receiver
) -> None:
    cluster.webhook(receiver.url("/hook"))
    cluster.start_worker(DISPATCHER_RECONCILE_S="600")  # so that only a notification can be the reason
    eventually(lambda: is_listening(cluster), what="the worker listening")
    committed: list[tuple[int, str]] = []
    for opened in (a_connection, a_session, a_psycopg2_connection):
        key, before = opened.__name__, len(committed)
        with opened(cluster) as connection:
            emit("invoice_paid", account=SLUG, connection=connection, idempotency_key=f"rolled back: {key}", **a_body())
            connection.rollback()
            event = emit("invoice_paid", account=SLUG, connection=connection, idempotency_key=key, **a_body())
            assert len(receiver.requests) == before, key
            connection.commit()
        committed.append((event.id, key))

        cluster.wait_until_delivered(len(committed), 10)

        assert len(receiver.requests) == len(committed), key
    assert cluster.rows("select id, idempotency_key from dispatcher.events order by id") == committed


def is_listening(cluster: Cluster) -> bool:
    sql = """select 1 from pg_stat_activity where datname = current_database() and query like 'listen%%'"""
    return bool(cluster.rows(sql))
