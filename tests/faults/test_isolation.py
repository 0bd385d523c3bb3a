"""Receivers that never answer are their own problem, be they one of a hundred or every second one."""

import re
import shlex
import threading
import time

import pytest

from tests.e2e.conftest import busy_cores
from tests.faults.conftest import LONG, bounded
from tests.support.cluster import Cluster, posts_by_key
from tests.support.places import ROOT
from tests.support.processes import Program
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually, wait_until

WEBHOOKS = 100
# Longer than the test: what hangs at its beginning does so at its end.
LONGER = {"DISPATCHER_TIMEOUT_S": "60", "DISPATCHER_LEASE_S": "120", "DISPATCHER_HOLD_S": "60"}


def start_of_procfile(cluster: Cluster, name: str) -> Program:
    """A process as production starts it."""
    (line,) = re.findall(rf"^{name}: (.+)$", (ROOT / "Procfile").read_text(), re.MULTILINE)
    return cluster.start(*shlex.split(line.replace("${DISPATCHER_PROCESS:-1}", "1")))


@pytest.mark.parametrize("hanging", [1, 50])
def test_healthy_webhooks_get_everything_while_others_hang(cluster: Cluster, receiver: Receiver, hanging: int) -> None:
    cluster.env |= LONGER
    count, healthy = bounded(10, 400), WEBHOOKS - hanging
    for number in range(hanging):
        cluster.webhook(receiver.script(f"/hangs/{number}", Answer(delay_s=600)))
    for number in range(healthy):
        cluster.webhook(receiver.url(f"/{number}"))
    workers = [start_of_procfile(cluster, name) for name in ("worker", "worker_slow")]

    cluster.emit(1)
    receiver.wait_for(WEBHOOKS, 30)
    cluster.emit(count - 1)
    expected = {"delivered": count * healthy, "pending": count * hanging}
    wait_until(cluster.states, lambda states: states == expected, 45)

    assert cluster.attempts() == [("200", None)] * (count * healthy)
    assert {
        count for (count,) in cluster.rows("select attempt_count from dispatcher.deliveries where state = 'pending'")
    } == {0}
    posts = [one for one in receiver.requests if not one.path.startswith("/hangs/")]
    assert len(posts) == len({one.header("Idempotency-Key") for one in posts}) == count * healthy
    assert set(posts_by_key(receiver).values()) == {1}
    assert not any(worker.ended for worker in workers)


def test_a_webhook_does_not_wait_for_one_that_hangs_in_the_same_drain(cluster: Cluster, receiver: Receiver) -> None:
    cluster.env |= LONGER | {"DISPATCHER_WINDOW_MAX": "10"}
    cluster.webhook(receiver.script("/hangs", Answer(delay_s=600)))
    for number in range(5):  # each of them has work for longer than a drain's turn
        cluster.webhook(receiver.script(f"/{number}", Answer(delay_s=0.2)))
    for name in ("worker", "worker_slow"):
        start_of_procfile(cluster, name)
    cluster.emit(100)

    wait_until(cluster.states, lambda states: states == {"delivered": 500, "pending": 100}, 20)


def test_on_a_busy_machine_too_nobody_waits_for_one_that_hangs(cluster: Cluster, receiver: Receiver) -> None:
    cluster.env |= LONGER
    hangs = cluster.webhook(receiver.url("/hangs"))
    for number in range(9):
        cluster.webhook(receiver.url(f"/{number}"))
    for name in ("worker", "worker_slow"):
        start_of_procfile(cluster, name)
    cluster.emit(1)
    receiver.wait_for(10, 30)

    with busy_cores():
        before = latencies_s(cluster, receiver, hangs) if LONG else []
        receiver.script("/hangs", Answer(delay_s=600))
        while_one_hangs = latencies_s(cluster, receiver, hangs)
        receiver.script("/hangs", Answer())
        after = latencies_s(cluster, receiver, hangs) if LONG else []
    assert max(while_one_hangs) < 5  # they once stood still for 9 s
    if LONG:  # a few seconds are no measure
        assert p95(while_one_hangs) <= 1.25 * max(p95(before), p95(after))


def latencies_s(cluster: Cluster, receiver: Receiver, but: int) -> list[float]:
    """From commit to arrival at each webhook but one, at 20 events/s."""
    committed, pause = {}, threading.Event()
    for _ in range(bounded(20, 800)):
        (event,) = cluster.emit(1)
        committed[event] = time.monotonic()
        pause.wait(0.05)
    sql = """select idempotency_key::text, event_id from dispatcher.deliveries
        where event_id = any (%(ids)s) and webhook_id <> %(but)s"""

    def arrived() -> dict[str, float]:
        return {str(one.header("Idempotency-Key")): one.received_s for one in receiver.requests}

    eventually(lambda: len(cluster.rows(sql, ids=[*committed], but=but)) == 9 * len(committed), 30, "the fan-out")
    keys = dict(cluster.rows(sql, ids=[*committed], but=but))
    eventually(lambda: keys.keys() <= arrived().keys(), 30, "the arrivals")
    return [arrived_s - committed[keys[key]] for key, arrived_s in arrived().items() if key in keys]


def p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * len(values))]


def test_what_hangs_is_cut_off_in_the_end(cluster: Cluster, receiver: Receiver) -> None:
    hanging = cluster.webhook(receiver.script("/hangs", Answer(delay_s=600)), "invoice_created")
    for number in range(3):
        cluster.webhook(receiver.url(f"/{number}"))
    cluster.start_worker(DISPATCHER_RETRY_LIMIT="0")
    cluster.emit(4, "invoice_created")
    cluster.emit(100)

    eventually(lambda: cluster.states() == {"delivered": 300, "failed": 4}, 20, "the end of those that hang")
    of_hanging = (
        "select a.status from dispatcher.attempts a join dispatcher.deliveries d on d.id = a.delivery_id"
        " where d.webhook_id = %(id)s"
    )
    assert cluster.rows(of_hanging, id=hanging) == [("timeout",)] * 4
    assert len(receiver.requests) == 304
