"""A delivery that fails, in a real Flower: a task under its Idempotency-Key, asked for by Flower's API."""

from tests.support.cluster import Cluster
from tests.support.flower import Flower
from tests.support.ports import free_port
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually


def test_a_delivery_is_seen_to_be_retried_and_then_to_fail(cluster: Cluster, receiver: Receiver) -> None:
    webhook_id = cluster.webhook(receiver.script("/hook", Answer(status=503)))
    flower = Flower(free_port(60))
    cluster.start("dispatcher", "flower", **flower.env)
    # Two seconds in RETRY, so that it is seen there.
    cluster.start_worker(DISPATCHER_RETRY_LIMIT="1", DISPATCHER_RETRY_BASE_S="2", DISPATCHER_RETRY_JITTER="0")
    eventually(lambda: flower.sees("e2e1"), 60, "Flower seeing the worker")

    cluster.emit()

    (first,) = receiver.wait_for(1)
    key = first.header("Idempotency-Key")
    assert key is not None
    task = eventually(
        lambda: found if (found := flower.task(key)).get("state") == "RETRY" else {}, 10, "the task in RETRY"
    )
    assert (task["uuid"], task["name"]) == (key, "delivery:invoice_paid")
    assert task["exception"] == "503, attempt 1; next attempt in 2 s"
    assert task["args"] == f"(webhook {webhook_id})"

    task = eventually(lambda: found if (found := flower.task(key)).get("state") == "FAILURE" else {}, 10, "its FAILURE")
    assert (task["uuid"], task["name"]) == (key, "delivery:invoice_paid")
    assert task["exception"] == "503, attempt 2; no attempts left"
    assert task["worker"].startswith("e2e1@")
    assert cluster.states() == {"failed": 1}
    assert len(receiver.requests) == 2
    found = flower.tasks(f"search={key}")
    assert list(found) == [key]
    assert flower.tasks("taskname=delivery:invoice_paid&state=FAILURE").keys() == {key}
    for path in (f"/api/task/info/{key}", f"/api/tasks?search={key}", f"/task/{key}"):
        assert (flower.status(path, password=""), flower.status(path)) == (401, 200)
