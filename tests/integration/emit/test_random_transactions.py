"""Whatever becomes of transactions, an event is delivered exactly if what was changed beside it is there."""

import random
from contextlib import closing, suppress

import pytest

from dispatcher.container import Container
from dispatcher.model.webhook import Webhook
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline import events
from tests.support import drivers
from tests.support.drivers.base import Driver

STEPS = 1_000
DEEPEST = 4
FAN_OUT_EVERY = 50

KILL = """
select pg_terminate_backend(pid, 5000) from pg_stat_activity
where datname = current_database() and application_name <> 'dispatcher'
"""
DELIVERED = """
select (body #>> '{inbox_files,count}')::int from deliveries d join events e on e.id = d.event_id order by 1
"""


@pytest.mark.parametrize("name", drivers.NAMES)
def test_what_is_delivered_is_what_was_committed(
    name: str, container: Container, storage: Storage, webhook: Webhook, database_url: str
) -> None:
    rng = random.Random(name)
    driver = drivers.a_driver(name, database_url)
    for number in range(STEPS):
        if number % FAN_OUT_EVERY == 0:
            storage.transact(events.fan_out, STEPS)
        step = rng.random()
        if not driver.depth or (step < 0.15 and driver.depth < DEEPEST):
            driver.begin()
        elif step < 0.6:
            driver.execute(f"insert into orders values ({number})")
            driver.emit(number)
        elif step < 0.98:
            driver.end(commit=rng.random() < 0.7)
        else:
            driver = killed(driver, storage)
    with closing(driver):
        while driver.depth:
            driver.end(commit=True)
    storage.transact(events.fan_out, STEPS)

    with storage.engine.connect() as connection:
        committed = [id_ for (id_,) in connection.exec_driver_sql("select id from orders order by 1")]
        assert [count for (count,) in connection.exec_driver_sql(DELIVERED)] == committed
    assert len(committed) > STEPS / 20


def killed(driver: Driver, storage: Storage) -> Driver:
    """Its session ends in the middle of a transaction; the service goes on with another."""
    with storage.engine.connect() as connection:
        connection.exec_driver_sql(KILL)  # none, where it connects at the first statement only
    while driver.depth:
        with suppress(Exception):
            driver.end(commit=True)
    with suppress(Exception):
        driver.close()
    return type(driver)(driver.url, autocommit=False)
