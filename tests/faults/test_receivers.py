"""Receivers on a bad day: down for a while, flapping, busy, resetting, dripping, redirecting."""

import itertools

import pytest

from tests.conftest import eventually
from tests.e2e.cluster import Cluster, posts_by_key
from tests.faults.conftest import bounded
from tests.receiver import Answer, Receiver

BREAKER = {
    "DISPATCHER_BREAKER_PAUSE_S": "1",
    "DISPATCHER_BREAKER_PAUSE_MAX_S": "2",
    "DISPATCHER_RETRY_BASE_S": "2",
    "DISPATCHER_RETRY_LIMIT": "20",
}


def test_a_receiver_that_is_down_gets_probes_only_and_its_backlog_once_it_is_back(cluster: Cluster, receiver: Receiver):
    cluster.env |= BREAKER
    count = bounded(400, 5_000)
    cluster.webhook(receiver.script("/hook", Answer(status=500)))
    cluster.start_worker()
    cluster.emit(count)
    receiver.wait_for(10)
    eventually(lambda: len(receiver.requests) >= 13, 20, "three probes")

    times = [request.received_s for request in receiver.requests]
    gaps = [after - before for before, after in itertools.pairwise(times[9:])]
    assert min(gaps) > 0.7  # 1 s less the jitter: nothing between two probes
    receiver.script("/hook", Answer())
    cluster.wait_until_delivered(count, 30)

    tried_again = sum(attempts > 1 for attempts, _ in cluster.counts())
    assert tried_again <= len(gaps) + 12  # what waited has used up no try
    assert len(receiver.requests) == sum(attempts for attempts, _ in cluster.counts())


def test_another_webhook_of_the_same_account_does_not_notice(cluster: Cluster, receiver: Receiver):
    cluster.env |= BREAKER
    cluster.webhook(receiver.script("/dead", Answer(status=500)))
    cluster.webhook(receiver.url("/well"))
    cluster.start_worker()
    cluster.emit(300)

    well = "select count(*) from deliveries d join webhooks w on w.id = d.webhook_id"
    well += " where d.state = 'delivered' and w.webhook_url like '%%/well'"
    eventually(lambda: cluster.rows(well) == [(300,)], 20, "300 deliveries to the one that is well")
    assert len([request for request in receiver.requests if request.path == "/dead"]) < 30


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(hang_up="before_head", reset=True), "connection_failed"),
        (Answer(hang_up="in_body"), "connection_failed"),
        (Answer(body=b"x" * 400, drip_s=0.01), "timeout"),
        (Answer(delay_s=5.0), "timeout"),
        (Answer(status=302, headers=[("Location", "http://10.0.0.1/")]), "302"),
        (Answer(raw=b"\x00\x01 not HTTP\r\n\r\n"), "unknown_error"),
        (Answer(status=429, headers=[("Retry-After", "1")]), "429"),
    ],
)
def test_a_receiver_that_recovers_gets_each_delivery_once_more(
    cluster: Cluster, receiver: Receiver, answer: Answer, status: str
):
    cluster.webhook(receiver.script("/hook", answer, Answer()))
    worker = cluster.start_worker()
    cluster.emit()
    cluster.wait_until_delivered(1, 20)

    assert [found for found, _ in cluster.attempts()] == [status, "200"]
    assert list(posts_by_key(receiver).values()) == [2]
    assert not worker.ended


def test_a_flapping_receiver_gets_everything_in_the_end(cluster: Cluster, receiver: Receiver):
    cluster.env |= BREAKER | {"DISPATCHER_RETRY_BASE_S": "0.3", "DISPATCHER_RETRY_FACTOR": "1.2"}
    flapping = [Answer()] * 30 + [Answer(status=503)] * 15
    cluster.webhook(receiver.script("/hook", *flapping * 4, Answer()))
    cluster.start_worker()
    cluster.emit(200)

    cluster.wait_until_delivered(200, 60)
    assert len(posts_by_key(receiver)) == 200
