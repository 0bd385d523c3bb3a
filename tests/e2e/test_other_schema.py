"""DISPATCHER_SCHEMA: all of it in another schema, beside an install in the usual one; with no search_path to help."""

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from dispatcher import emit, emit_many
from dispatcher.local.postgres import Postgres
from dispatcher.local.valkey import Valkey
from dispatcher.metrics.scrape import scrape
from dispatcher.storage.stats import partitions
from tests.e2e.conftest import a_cluster, used
from tests.support.builders import an_event
from tests.support.cluster import SLUG, Cluster, posts_by_key
from tests.support.receiver import Receiver


@pytest.fixture
def cluster(mortal_servers: tuple[Postgres, Valkey], folder: Path) -> Iterator[Cluster]:
    yield from used(a_cluster(mortal_servers, folder, schema="hooks"))


def test_events_are_emitted_delivered_shown_and_counted_and_the_other_install_notices_nothing(
    cluster: Cluster, receiver: Receiver
) -> None:
    container = cluster.container
    cluster.webhook(receiver.url("/hook"))
    cluster.env["DATABASE_URL"] += "?options=-csearch_path%3Dpg_catalog"  # nothing is found that is not named whole
    cluster.start_worker()

    cluster.emit(60)
    with psycopg2.connect(cluster.env["DATABASE_URL"], options="-csearch_path=dispatcher,public") as connection:
        emit(an_event().name, account=SLUG, connection=connection, **an_event().body)
        emit_many([an_event() for _ in range(60)], account=SLUG, connection=connection)
    connection.close()
    cluster.wait_until_delivered(121)

    assert len(posts_by_key(receiver)) == 121
    assert cluster.rows("select count(*) from hooks.deliveries where state = 'delivered'") == [(121,)]
    figures = scrape(
        container.storage,
        container.schedule,
        container.queue,
        container.counters,
        window=container.drain_policy.window,
        breaker=container.drain_policy.breaker,
    ).decode()
    assert 'dispatcher_partitions{table="deliveries"}' in figures
    for command in (
        ["status"],
        ["deliveries", "list", "--account", SLUG],
        ["webhook", "list", "--account", SLUG],
        ["migrate"],
    ):
        done = cluster.start("dispatcher", *command)
        assert done.wait(30) == 0, done.output
    (first, *_) = container.storage.transact(partitions.expired, -30)
    assert container.storage.transact(partitions.drop, first)
    assert container.storage.transact(partitions.missing) != []

    with psycopg2.connect(cluster.env["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        for table in ("accounts", "webhooks", "events", "events_waiting"):
            cursor.execute(f"select count(*) from dispatcher.{table}")
            assert cursor.fetchone() == (0,), table
    connection.close()
