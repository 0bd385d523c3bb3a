"""An event emitted in somebody's transaction shares its fate, and a commit is heard of at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest
from sqlalchemy.orm import Session

from dispatcher import emit
from tests.support.builders import a_body
from tests.support.cluster import SLUG, Cluster
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

Open = Callable[[Cluster], Any]


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


@pytest.mark.parametrize("opened", [a_connection, a_session, a_psycopg2_connection])
def test_an_event_is_rolled_back_with_its_transaction_and_sent_once_committed(
    opened: Open, cluster: Cluster, receiver: Receiver
) -> None:
    cluster.webhook(receiver.url("/hook"))
    cluster.start_worker(DISPATCHER_RECONCILE_S="600")  # so that only a notification can be the reason
    eventually(lambda: is_listening(cluster), what="the worker listening")
    with opened(cluster) as connection:
        emit("invoice_paid", account=SLUG, connection=connection, idempotency_key="rolled back", **a_body())
        connection.rollback()
        event = emit("invoice_paid", account=SLUG, connection=connection, idempotency_key="committed", **a_body())
        assert receiver.requests == []
        connection.commit()

    cluster.wait_until_delivered(1, 5)

    assert len(receiver.requests) == 1
    assert cluster.rows("select id, idempotency_key from dispatcher.events") == [(event.id, "committed")]


def is_listening(cluster: Cluster) -> bool:
    sql = """select 1 from pg_stat_activity where datname = current_database() and query like 'listen%%'"""
    return bool(cluster.rows(sql))
