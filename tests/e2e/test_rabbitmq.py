"""RabbitMQ as broker: quorum queues carry nudges; a broker that dies or hangs loses nothing. The clock is Redis."""

import json
import urllib.request
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest
import standardwebhooks
from amqp import Connection

from dispatcher.errors import QueueUnavailable
from dispatcher.model.destination import Destination
from dispatcher.sender.brokers import Brokers
from dispatcher.sender.contract import Limits, Request
from dispatcher.sender.curl import CurlSender
from dispatcher.sender.mixed import MixedSender
from tests.support.cluster import SLUG, Cluster, posts_by_key
from tests.support.flower import Flower
from tests.support.places import a_folder
from tests.support.ports import free_port, page
from tests.support.posting import collect
from tests.support.rabbitmq import RabbitMQ
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually, wait_until


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[RabbitMQ]:
    with a_folder() as folder:
        server = RabbitMQ(folder / "rabbitmq")
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture
def cluster_options(rabbitmq: RabbitMQ) -> dict[str, str]:
    return {"broker_url": rabbitmq.url}


def test_queues_are_quorum_queues_and_everybody_counts_what_waits(
    rabbitmq: RabbitMQ, cluster: Cluster, receiver: Receiver
) -> None:
    webhooks = [cluster.webhook(receiver.url(f"/{number}")) for number in range(3)]
    queue = cluster.container.queue
    assert queue.lengths() == {"events": 0, "deliveries": 0, "deliveries.slow": 0}  # nobody has declared them

    queue.fan_out()
    queue.deliver([1, 2], slow=True)

    waiting = {"events": 1, "deliveries": 0, "deliveries.slow": 1}
    eventually(lambda: queue.lengths() == waiting, 10, "the messages being counted")
    flower, web_port = Flower(free_port()), free_port(1)
    cluster.start("dispatcher", "flower", FLOWER_BROKER_API=rabbitmq.api, **flower.env)
    cluster.start("dispatcher", "serve", PORT=str(web_port), DISPATCHER_WEB_WORKERS="1")
    metrics = f"http://127.0.0.1:{web_port}/metrics"
    eventually(lambda: 'dispatcher_queue_messages{queue="deliveries.slow"} 1.0' in page(metrics), 60, "/metrics")
    cluster.start_worker(ready=False)
    cluster.start_worker()
    cluster.emit(100)
    cluster.wait_until_delivered(300)

    assert {one["name"]: one["type"] for one in api(rabbitmq, "queues/%2F") if one["name"] in waiting} == (
        dict.fromkeys(waiting, "quorum")
    )
    assert set(posts_by_key(receiver).values()) == {1}
    assert cluster.rows("select distinct webhook_id, count(*) from dispatcher.deliveries group by 1 order by 1") == [
        (webhook, 100) for webhook in webhooks
    ]
    wait_until(queue.lengths, lambda lengths: not any(lengths.values()), 10)
    eventually(lambda: all(flower.sees(f"e2e{number}") for number in (1, 2)), 60, "Flower")
    shown = flower.page("/broker")
    assert all(name in shown for name in waiting)
    assert "guest:guest" not in shown
    queues_get_events_as_receivers_do(rabbitmq, cluster, delivered=300)


def queues_get_events_as_receivers_do(rabbitmq: RabbitMQ, cluster: Cluster, *, delivered: int) -> None:
    """With the same broker as a destination: confirmed, signed; and what no queue takes is retried."""
    url, credentials = f"amqp://127.0.0.1:{rabbitmq.amqp}", {"username": "guest", "password": "guest"}
    with Connection(f"127.0.0.1:{rabbitmq.amqp}") as connection:
        channel = connection.channel()
        channel.queue_declare("shop.invoice_paid", auto_delete=False)
        cluster.rows("update dispatcher.webhooks set active = false returning id")
        there = cluster.webhook(url, destination={"routing_key": "shop.{event}"}, credentials=credentials)

        cluster.emit(50)
        cluster.wait_until_delivered(delivered + 50, 20)
        tried = cluster.container.pinger.ping(SLUG, there, {"event_name": "invoice_paid"})
        assert (tried.response_status, tried.reason) == ("confirmed", None)
        secret = cluster.rows("select signing_secret_encrypted from dispatcher.webhooks where id = %(id)s", id=there)[
            0
        ][0]
        signing = cluster.container.storage.secrets.signing_keys(secret).secret
        keys = set()
        while message := channel.basic_get("shop.invoice_paid", no_ack=True):
            standardwebhooks.Webhook(signing).verify(message.body, message.headers)
            assert message.properties["type"] == "invoice_paid"
            assert message.properties["delivery_mode"] == 2
            keys.add(message.properties["message_id"])
        assert len(keys) == 51
        assert tried.idempotency_key in keys
    nowhere = cluster.webhook(url, destination={"routing_key": "nowhere"}, credentials=credentials)
    cluster.emit()
    attempts = (
        "select distinct webhook_id, status, reason from dispatcher.attempts a join dispatcher.deliveries d"
        " on d.id = a.delivery_id where webhook_id in (%(there)s, %(nowhere)s) order by 1"
    )
    eventually(lambda: len(cluster.rows(attempts, there=there, nowhere=nowhere)) == 2, 10, "a message that is returned")
    assert cluster.rows(attempts, there=there, nowhere=nowhere) == [
        (there, "confirmed", None),
        (nowhere, "refused", "312 NO_ROUTE"),
    ]


def test_a_message_that_cannot_be_routed_costs_those_sent_with_it_nothing(rabbitmq: RabbitMQ) -> None:
    limits = Limits(allowed_networks=(ip_network("127.0.0.0/8"),))
    brokers = Brokers(limits)
    sender = MixedSender(CurlSender(limits), brokers, limits)
    url, credentials = f"amqp://127.0.0.1:{rabbitmq.amqp}", {"username": "guest", "password": "guest"}
    with Connection(f"127.0.0.1:{rabbitmq.amqp}") as connection:
        connection.channel().queue_declare("there")
        # The first goes alone while the connection is opened; the same message may be twice among the others.
        for tag, key in enumerate(("there", "there", "x" * 256, "é" * 200, "nowhere", "nowhere", "there")):
            values = {"event": "order.shipped", "id": key, "resource": key, "webhook": "1", "date": ""}
            where = Destination(
                webhook_id=1, settings={"routing_key": "{resource}"}, credentials=credentials, values=values
            )
            sender.start(Request(tag=tag, url=url, headers=[], body=b"{}", destination=where))
        results = collect(sender, 7)
    sender.close()
    brokers.close()

    assert [one.status for one in results] == [
        "confirmed", "confirmed", "unknown_error", "unknown_error", "refused", "refused", "confirmed",
    ]  # fmt: skip


def test_a_broker_killed_under_load_loses_nothing(rabbitmq: RabbitMQ, cluster: Cluster, receiver: Receiver) -> None:
    cluster.webhook(receiver.script("/hook", Answer(delay_s=0.01)))
    workers = [cluster.start_worker(ready=False), cluster.start_worker()]

    with cluster.emitting(2_000, chunk=10, pause_s=0.1) as emitting:
        receiver.wait_for(100, 20)
        rabbitmq.kill()
        rabbitmq.start()
        emitting.enough.set()
    total = len(emitting.accepted)
    cluster.wait_until_delivered(total, 30)

    assert emitting.refused == []
    assert emitting.longest_s < 1
    assert len(posts_by_key(receiver)) == len(receiver.requests) == total
    assert not any(worker.ended for worker in workers)


def test_a_broker_that_hangs_holds_up_no_emit_and_loses_nothing(
    rabbitmq: RabbitMQ, cluster: Cluster, receiver: Receiver
) -> None:
    cluster.webhook(receiver.url("/hook"))
    workers = [cluster.start_worker(ready=False), cluster.start_worker()]
    cluster.emit()
    cluster.wait_until_delivered(1)

    rabbitmq.pause()
    try:
        with cluster.emitting(100, chunk=10) as emitting:
            pass
        with pytest.raises(QueueUnavailable):
            cluster.container.queue.deliver([1], slow=False)  # it would wait for its confirmation for ever
        eventually(lambda: any("tick.failed" in worker.output for worker in workers), 20, "a worker noticing")
    finally:
        rabbitmq.resume()
    cluster.wait_until_delivered(101, 30)

    assert emitting.refused == []
    assert emitting.longest_s < 1
    assert set(posts_by_key(receiver).values()) == {1}


def api(rabbitmq: RabbitMQ, path: str) -> Any:
    """What RabbitMQ's management says."""
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, rabbitmq.api.replace("guest:guest@", ""), "guest", "guest")
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
    with opener.open(rabbitmq.api.replace("guest:guest@", "") + path, timeout=5) as answer:
        return json.loads(answer.read())
