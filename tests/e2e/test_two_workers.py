"""Two of everything: two workers, each with its ticker, and no delivery is sent twice."""

import json
import signal
from collections import Counter

import pytest

from dispatcher.alerts.channels import create_channel
from tests.support.cluster import Cluster, posts_by_key
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually


def test_every_delivery_and_every_alert_arrives_exactly_once(cluster: Cluster, receiver: Receiver) -> None:
    cluster.env["DISPATCHER_ALERT_INTERVAL_S"] = "1"
    gone = cluster.webhook(receiver.script("/gone", Answer(status=410)), "invoice_sent")
    channel = {"name": "ops", "type": "slack", "target": receiver.url("/alerts")}
    create_channel(cluster.container.storage, cluster.account.id, channel)
    webhooks = [cluster.webhook(receiver.url(f"/{number}")) for number in range(3)]
    cluster.start_worker(ready=False)
    cluster.start_worker()

    with cluster.emitting(300, chunk=30):
        receiver.wait_for(900, 30)
    cluster.wait_until_delivered(900)
    cluster.emit(1, "invoice_sent")
    receiver.wait_for(902, 20)
    eventually(lambda: cluster.rows("select kind from dispatcher.alerts_sent") == [("disabled",)], 5, "a note of it")

    *others, alert = receiver.requests
    assert f"Webhook {gone} (127.0.0.1) was disabled" in json.loads(alert.body)["text"]
    assert len(others) == 901
    assert set(Counter(one.header("Idempotency-Key") for one in others).values()) == {1}
    assert Counter(cluster.attempts()) == {("200", None): 900, ("410", None): 1}
    assert cluster.rows(
        "select webhook_id, count(*) from dispatcher.deliveries where state = 'delivered' group by 1 order by 1"
    ) == [(webhook, 300) for webhook in webhooks]


def test_a_worker_that_is_told_to_stop_loses_nothing_and_repeats_nothing(cluster: Cluster, receiver: Receiver) -> None:
    for number in range(4):
        cluster.webhook(receiver.script(f"/{number}", Answer(delay_s=0.05)))
    first = cluster.start_worker()
    cluster.start_worker()

    with cluster.emitting(400, chunk=20):
        receiver.wait_for(300, 20)
        first.send(signal.SIGTERM)
        assert len(receiver.requests) < 1600
        exit_code = first.wait(15)
    cluster.wait_until_delivered(1600)

    assert exit_code == 0
    assert len(receiver.requests) == 1600
    assert set(posts_by_key(receiver).values()) == {1}
    assert cluster.attempts() == [("200", None)] * 1600


def test_the_prefork_pool_works_too(cluster: Cluster, receiver: Receiver) -> None:
    for number in range(3):
        cluster.webhook(receiver.url(f"/{number}"))
    cluster.start_worker(pool="prefork")

    with cluster.emitting(300, chunk=20):
        pass
    cluster.wait_until_delivered(900)

    assert len(posts_by_key(receiver)) == len(receiver.requests) == 900


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_that_is_told_to_stop_waits_for_an_answer(pool: str, cluster: Cluster, receiver: Receiver) -> None:
    cluster.webhook(receiver.script("/hook", Answer(delay_s=1.5)))
    worker = cluster.start_worker(pool=pool)
    cluster.emit()
    receiver.wait_for(1)

    worker.send(signal.SIGTERM)

    assert worker.wait(15) == 0
    assert cluster.attempts() == [("200", None)]
    assert cluster.states() == {"delivered": 1}
