"""Two of everything: two workers, each with its ticker, and no delivery is sent twice."""

import json
import re
import signal
from collections import Counter

from dispatcher.alerts.channels import create_channel
from tests.support.cluster import Cluster, posts_by_key
from tests.support.ports import free_port, page
from tests.support.processes import Program
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually, wait_until


def test_every_delivery_and_every_alert_arrives_exactly_once(cluster: Cluster, receiver: Receiver) -> None:
    cluster.env["DISPATCHER_ALERT_INTERVAL_S"] = "1"
    gone = cluster.webhook(receiver.script("/gone", Answer(status=410)), "invoice_sent")
    channel = {"name": "ops", "type": "slack", "target": receiver.url("/alerts")}
    create_channel(cluster.container.storage, cluster.account.id, channel)
    webhooks = [cluster.webhook(receiver.url(f"/{number}")) for number in range(3)]
    cluster.start_worker(ready=False)
    cluster.start_worker()

    with cluster.emitting(120, chunk=12):
        receiver.wait_for(360, 30)
    cluster.wait_until_delivered(360)
    cluster.emit(1, "invoice_sent")
    receiver.wait_for(362, 20)
    eventually(lambda: cluster.rows("select kind from dispatcher.alerts_sent") == [("disabled",)], 20, "a note of it")

    *others, alert = receiver.requests
    assert f"Webhook {gone} (127.0.0.1) was disabled" in json.loads(alert.body)["text"]
    assert len(others) == 361
    assert set(Counter(one.header("Idempotency-Key") for one in others).values()) == {1}
    assert Counter(cluster.attempts()) == {("200", None): 360, ("410", None): 1}
    assert cluster.rows(
        "select webhook_id, count(*) from dispatcher.deliveries where state = 'delivered' group by 1 order by 1"
    ) == [(webhook, 120) for webhook in webhooks]


def test_a_worker_that_is_told_to_stop_loses_nothing_and_repeats_nothing(cluster: Cluster, receiver: Receiver) -> None:
    for number in range(4):
        cluster.webhook(receiver.script(f"/{number}", Answer(delay_s=0.05)))
    first = cluster.start_worker()
    cluster.start_worker()

    with cluster.emitting(20_000, chunk=10, pause_s=0.1) as emitting:
        receiver.wait_for(100, 20)
        first.send(signal.SIGTERM)
        exit_code = first.wait(15)
        emitting.enough.set()
    total = 4 * len(emitting.accepted)
    cluster.wait_until_delivered(total)

    assert exit_code == 0
    assert len(receiver.requests) == total
    assert set(posts_by_key(receiver).values()) == {1}
    assert cluster.attempts() == [("200", None)] * total


def test_a_worker_that_is_told_to_stop_waits_for_an_answer(cluster: Cluster, receiver: Receiver) -> None:
    worker = cluster.start_worker()

    stops_after_a_slow_answer(worker, cluster, receiver)

    assert cluster.attempts() == [("200", None)]
    assert cluster.states() == {"delivered": 1}


def test_the_prefork_pool_works_too_and_each_of_its_processes_tells_of_itself(
    cluster: Cluster, receiver: Receiver
) -> None:
    for number in range(3):
        cluster.webhook(receiver.url(f"/{number}"))
    port = free_port()
    worker = cluster.start_worker(pool="prefork", DISPATCHER_METRICS_PORT=str(port))

    with cluster.emitting(120, chunk=20):
        pass
    cluster.wait_until_delivered(360)

    assert len(posts_by_key(receiver)) == len(receiver.requests) == 360
    pages = [f"http://127.0.0.1:{number}/metrics" for number in range(port, port + 8)]
    told = r"dispatcher_worker_info\{.*"
    wait_until(lambda: {line for each in pages for line in re.findall(told, page(each))}, lambda one: len(one) == 4, 20)
    stops_after_a_slow_answer(worker, cluster, receiver)
    assert cluster.attempts() == [("200", None)] * 361
    assert cluster.states() == {"delivered": 361}


def stops_after_a_slow_answer(worker: Program, cluster: Cluster, receiver: Receiver) -> None:
    cluster.webhook(receiver.script("/slow", Answer(delay_s=1.5)), "invoice_sent")
    before = len(receiver.requests)
    cluster.emit(1, "invoice_sent")
    receiver.wait_for(before + 1)

    worker.send(signal.SIGTERM)

    assert worker.wait(15) == 0
