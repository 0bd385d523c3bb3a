"""A process dies at the worst moment, as by `kill -9`; another takes over, and what happened is told by the rows."""

import json
import signal
from typing import Any

import pytest

from dispatcher import failpoints
from dispatcher.storage.pipeline import events
from tests.e2e.test_outboxes import IN_AN_INTAKE
from tests.integration.api.v1.test_routes import IN_A_REQUEST
from tests.integration.pipeline.test_erasures import IN_AN_ERASURE
from tests.support.builders import a_body
from tests.support.cluster import SLUG, Cluster, posts_by_key
from tests.support.processes import Program
from tests.support.receiver import Answer, Receiver

SENT, LOST = ("200", None), ("unknown_error", "lost")

# The process dies at the point; a worker without a flaw takes over. Then: POSTs that came, and attempts recorded.
IN_A_FAN_OUT: dict[str, tuple[int, Any]] = {  # which has leased what it has made
    "after_fan_out": (1, [LOST, SENT]),
    "before_send": (1, [LOST, SENT]),
    "after_send": (2, [LOST, SENT]),
    "before_record": (2, [LOST, SENT]),
    "after_record": (1, [SENT]),
}
IN_A_DRAIN: dict[str, tuple[int, Any]] = {  # of what somebody else has fanned out
    "after_take": (1, [SENT]),
    "after_claim": (1, [LOST, SENT]),
    "before_send": (1, [LOST, SENT]),
    "after_send": (2, [LOST, SENT]),
    "before_record": (2, [LOST, SENT]),
    "after_record": (1, [SENT]),
}
IN_AN_EMITTER = {"before_commit": 0, "after_commit": 1}
"""And how many events it has committed."""
# A lease must be over before another may have the delivery; these make that two seconds.
SHORTER = {"DISPATCHER_TIMEOUT_S": "1", "DISPATCHER_LEASE_S": "2", "DISPATCHER_HOLD_S": "1"}


def test_every_crash_point_is_tried() -> None:
    tried = (IN_A_FAN_OUT, IN_A_DRAIN, IN_AN_EMITTER, IN_AN_INTAKE, IN_A_REQUEST, IN_AN_ERASURE)

    assert {point for points in tried for point in points} == failpoints.POINTS


def test_a_worker_killed_while_it_waits_for_an_answer_is_replaced(cluster: Cluster, receiver: Receiver) -> None:
    cluster.webhook(receiver.script("/hook", Answer(delay_s=30), Answer()))
    first = cluster.start_worker()
    cluster.emit()
    receiver.wait_for(1)
    first.kill()

    cluster.start_worker()
    cluster.wait_until_delivered(1)

    assert list(posts_by_key(receiver).values()) == [2]
    assert cluster.attempts() == [LOST, SENT]
    assert cluster.counts() == [(1, 1)]
    assert receiver.requests[0].body == receiver.requests[1].body


def test_a_worker_that_was_frozen_does_no_harm_when_it_goes_on(cluster: Cluster, receiver: Receiver) -> None:
    cluster.env |= SHORTER
    cluster.webhook(receiver.script("/hook", Answer(delay_s=0.2)))
    frozen = cluster.start_worker()
    cluster.emit(30)  # more than the window: some are in flight, some are claimed at most
    receiver.wait_for(1)
    frozen.send(signal.SIGSTOP)

    other = cluster.start_worker()
    cluster.wait_until_delivered(30)
    frozen.send(signal.SIGCONT)
    cluster.emit()
    cluster.wait_until_delivered(31)
    for worker in (frozen, other):
        worker.send(signal.SIGTERM)
        assert worker.wait(15) == 0

    assert cluster.states() == {"delivered": 31}
    assert max(posts_by_key(receiver).values()) == 2
    assert len(receiver.requests) <= len(cluster.attempts())


def test_workers_killed_under_load_lose_nothing_and_repeat_only_what_was_in_flight(
    cluster: Cluster, receiver: Receiver
) -> None:
    cluster.env |= SHORTER
    for number in range(2):
        cluster.webhook(receiver.script(f"/{number}", Answer(delay_s=0.02)))
    workers = [cluster.start_worker(), cluster.start_worker()]

    with cluster.emitting(450):
        for arrived in (100, 300, 500):
            receiver.wait_for(arrived, 30)
            for worker in workers:
                worker.kill()
            workers = [cluster.start_worker(ready=False), cluster.start_worker()]
    cluster.wait_until_delivered(900, 60)

    assert len(posts_by_key(receiver)) == 900
    assert 900 <= len(receiver.requests) <= len(cluster.attempts())
    assert max(posts_by_key(receiver).values()) <= 4
    assert set(cluster.attempts()) == {SENT, LOST}
    assert {attempts for attempts, _ in cluster.counts()} == {1}


@pytest.mark.parametrize("point", IN_A_FAN_OUT)
def test_a_fan_out_whose_worker_dies_loses_nothing(point: str, cluster: Cluster, receiver: Receiver) -> None:
    cluster.env |= SHORTER
    cluster.webhook(receiver.url("/hook"))
    cluster.emit()

    dies_and_is_replaced(cluster, receiver, point, *IN_A_FAN_OUT[point])


def test_a_fan_out_that_leases_nothing_loses_nothing_when_its_worker_dies(cluster: Cluster, receiver: Receiver) -> None:
    cluster.env |= SHORTER
    cluster.webhook(receiver.url("/hook"))
    cluster.rows("update dispatcher.webhooks set rate_limit = 100")
    cluster.emit()

    dies_and_is_replaced(cluster, receiver, "after_fan_out", 1, [SENT])


@pytest.mark.parametrize("point", IN_A_DRAIN)
def test_a_drain_whose_worker_dies_loses_nothing(point: str, cluster: Cluster, receiver: Receiver) -> None:
    cluster.env |= SHORTER
    cluster.webhook(receiver.url("/hook"))
    cluster.emit()
    cluster.container.storage.transact(events.fan_out, 1)

    dies_and_is_replaced(cluster, receiver, point, *IN_A_DRAIN[point])


def dies_and_is_replaced(
    cluster: Cluster, receiver: Receiver, point: str, posts: int, attempts: list[tuple[str, str | None]]
) -> None:
    flawed = cluster.start_worker(ready=False, DISPATCHER_FAILPOINT=point)

    assert flawed.wait(30) == -signal.SIGKILL
    cluster.start_worker(ready=False)
    cluster.wait_until_delivered(1)
    cluster.emit()  # what comes next is delivered too, and the first one is not sent once more
    cluster.wait_until_delivered(2)
    assert list(posts_by_key(receiver).values()) == [posts, 1]
    assert sorted(cluster.attempts()) == sorted([*attempts, SENT])
    assert cluster.counts() == [(1, attempts.count(LOST)), (1, 0)]


def test_an_emitter_that_dies_has_emitted_what_it_committed(cluster: Cluster, receiver: Receiver) -> None:
    cluster.webhook(receiver.url("/hook"))
    cluster.start_worker()
    events = 0

    for point, committed in IN_AN_EMITTER.items():
        emitter = emit_by_command(cluster, DISPATCHER_FAILPOINT=point)

        assert emitter.wait(30) == -signal.SIGKILL, point
        events += committed
        if committed:
            cluster.wait_until_delivered(events)  # found by reconcile: nobody was told
        cluster.emit()  # by somebody else, so that there is an end to wait for
        events += 1
        cluster.wait_until_delivered(events)
        assert cluster.rows("select count(*) from dispatcher.events") == [(events,)], point
    assert list(posts_by_key(receiver).values()) == [1] * events
    assert cluster.attempts() == [SENT] * events


def test_crashing_is_refused_outside_tests(cluster: Cluster) -> None:
    flaw = {"DISPATCHER_FAILPOINT": "after_claim", "DISPATCHER_TESTING": ""}

    for process in (cluster.start_worker(ready=False, **flaw), emit_by_command(cluster, **flaw)):
        assert process.wait(30) not in (0, -signal.SIGKILL)
        assert process.output == "error: DISPATCHER_FAILPOINT: refused: it kills the process, for tests only\n"


def emit_by_command(cluster: Cluster, **env: str) -> Program:
    body = cluster.folder / "body.json"
    body.write_text(json.dumps(a_body()))
    return cluster.start("dispatcher", "emit", "invoice_paid", "--account", SLUG, "--body", body, **env)
