"""Faults are injected into a cluster of real processes; `FAULTS=long` asks for as many as a night has time for."""

import os
import random
import threading
from typing import TypeVar

import pytest

from tests.e2e.conftest import (  # noqa: F401 - fixtures
    cluster,
    cluster_options,
    folder,
    programs,
    pytest_runtest_makereport,
    receiver,
)
from tests.support.cluster import Cluster
from tests.support.processes import Program

T = TypeVar("T")
LONG = os.environ.get("FAULTS") == "long"


# Events and deliveries of one `webhook`, as a fan-out makes them, without the time it would take.
LAY_DOWN = """
with stored as (
    insert into dispatcher.events (id, account_id, name, body, created_at)
    select dispatcher.new_event_id(), %(account)s, 'inbox_file_removed_all', '{"inbox_files":{"count":1}}', now()
    from generate_series(1, %(count)s) returning id)
insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key)
select delivery_id, event_id, %(webhook)s, dispatcher.new_idempotency_key(delivery_id)
from (select nextval('dispatcher.delivery_id') as delivery_id, id as event_id from stored) made
"""


# A lease must be over before another may have the delivery.
SHORTER = {"DISPATCHER_TIMEOUT_S": "1", "DISPATCHER_LEASE_S": "2", "DISPATCHER_HOLD_S": "1"}


def bounded(short: T, long: T) -> T:
    """How many: a few in every run, all of them by `make faults`."""
    return long if LONG else short


def kill_at_random(running: Cluster, rng: random.Random, count: int, workers: list[Program]) -> None:
    """Kills one of the workers, `count` times, and starts another in its place.

    From this thread: the kernel ends a process with the thread that has started it.
    """
    pause = threading.Event()
    for _ in range(count):
        pause.wait(rng.uniform(0.3, 1.5))
        victim = rng.randrange(len(workers))
        workers[victim].kill()
        workers[victim] = running.start_worker(ready=False)


@pytest.fixture
def rng() -> random.Random:
    """The same faults every time."""
    return random.Random(20_261_124)
