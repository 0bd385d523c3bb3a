"""Whoever may write to Redis: what is put into the clock and into messages neither stops deliveries nor stays."""

import base64
import json
import math
import uuid

import redis

from dispatcher.broker.names import DELIVER, DELIVERIES
from dispatcher.schedule.schedule import DUE, HELD, HOLDERS, OWNERS, PAUSED, RECONCILE
from tests.faults.conftest import bounded
from tests.support.cluster import Cluster
from tests.support.receiver import Receiver
from tests.support.waiting import eventually


def message(*arguments: object, task: str = DELIVER) -> str:
    """A message as Celery's protocol 2 has it."""
    body = json.dumps([arguments, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    number = str(uuid.uuid4())
    return json.dumps(
        {
            "body": base64.b64encode(body.encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"lang": "py", "task": task, "id": number, "root_id": number, "argsrepr": "", "kwargsrepr": ""},
            "properties": {
                "correlation_id": number,
                "delivery_mode": 2,
                "delivery_info": {"exchange": DELIVERIES, "routing_key": DELIVERIES},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": number,
            },
        }
    )


def test_what_is_no_webhook_in_a_message_or_in_the_clock_stops_nobody(cluster: Cluster, receiver: Receiver) -> None:
    cluster.webhook(receiver.url("/hook"))
    worker = cluster.start_worker()
    with redis.Redis.from_url(cluster.valkey.url) as client:
        client.zadd(DUE, {"word": 0, b"\xff\xfe": 0, str(2**40): 0, "-1": 0, "7.5": 0})
        client.set("dispatcher:health:1", "garbage")
        client.hset("dispatcher:bucket:1", "no", "text")
        client.zadd(OWNERS, {"word": 0, str(2**70): 1})
        client.set(RECONCILE, "rubbish")
        client.lpush(
            DELIVERIES,
            message([999_999, -1, 2**40, "x", None, {}, True]),
            message(list(range(10**6, 10**6 + bounded(20_000, 1_000_000)))),
        )
        eventually(lambda: worker.output.count("deliver.ids_refused") == 2, 20, "both messages being taken")

        cluster.emit(5)
        cluster.wait_until_delivered(5, 20)
        eventually(lambda: set(client.zrange(DUE, 0, -1)) <= {b"1"}, 20, "the clock without rubbish")
        eventually(lambda: client.zcard(HELD) == 0, 20, "no hold being left")

    assert not worker.ended
    assert "raised unexpected" not in worker.output
    assert "Traceback" not in worker.output


def test_what_is_held_or_paused_for_ever_is_free_after_repair(cluster: Cluster, receiver: Receiver) -> None:
    held, paused = (cluster.webhook(receiver.url(f"/{number}")) for number in range(2))
    worker = cluster.start_worker()
    with redis.Redis.from_url(cluster.valkey.url) as client:
        client.zadd(HELD, {str(held): math.inf})
        client.hset(HOLDERS, str(held), "1/nobody")
        client.zadd(PAUSED, {str(paused): math.inf})
    cluster.emit()
    eventually(lambda: cluster.states() == {"pending": 2}, 20, "the event being fanned out")

    repair = cluster.start("dispatcher", "repair")

    assert repair.wait(30) == 0, repair.output
    cluster.wait_until_delivered(2, 20)
    assert not worker.ended
