"""Messages to Kafka, as a broker takes them. Brokers that hang are in `test_brokers`."""

from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from dispatcher.model.attempt import Result
from dispatcher.model.destination import Destination
from dispatcher.sender.brokers import Brokers
from dispatcher.sender.contract import Limits, Request
from dispatcher.sender.curl import CurlSender
from dispatcher.sender.mixed import MixedSender
from tests.support.kafka import kafka, make_topic, messages
from tests.support.posting import LOOPBACK, collect

LIMITS = Limits(timeout_s=10.0, connect_timeout_s=1.0, allowed_networks=tuple(map(ip_network, LOOPBACK)))


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with kafka() as broker:
        yield broker


@pytest.fixture
def sender() -> Iterator[MixedSender]:
    brokers = Brokers(LIMITS)
    sender = MixedSender(CurlSender(LIMITS), brokers, LIMITS)
    yield sender
    sender.close()
    brokers.close()


def sent(
    sender: MixedSender, url: str, *, count: int = 1, resource: str = "", credentials: dict[str, str] | None = None
) -> list[Result]:
    for tag in range(count):
        values = {"event": "order.shipped", "id": f"key-{tag}", "resource": resource, "webhook": "5", "date": ""}
        where = Destination(webhook_id=5, settings={}, credentials=credentials or {}, values=values)
        headers = [("Content-Type", "application/json"), ("User-Agent", "x"), ("webhook-id", f"key-{tag}")]
        sender.start(Request(tag=tag, url=url, headers=headers, body=b'{"number":%d}' % tag, destination=where))
    return collect(sender, count)


def test_messages_are_in_the_topic_in_their_order_with_headers_and_a_key(sender: MixedSender, broker: str) -> None:
    make_topic(broker, "orders")

    results = sent(sender, f"kafka://10.0.0.1:9092,127.0.0.1:1,{broker}/orders", count=200, resource="order:93")

    assert {(one.status, one.reason) for one in results} == {("confirmed", None)}
    stored = messages(broker, "orders", 200)
    assert [message.value for message in stored] == [b'{"number":%d}' % number for number in range(200)]
    assert {message.key for message in stored} == {b"order:93"}
    assert [*map(tuple, stored[7].headers)] == [("Content-Type", b"application/json"), ("webhook-id", b"key-7")]


def test_what_no_broker_takes_says_why(sender: MixedSender, broker: str) -> None:
    (away,) = sent(sender, "kafka://127.0.0.1:1/orders")
    (inside,) = sent(sender, "kafka://10.0.0.1:9092/orders")

    assert (away.status, away.reason) == (
        "connection_failed",
        "no broker could be connected to, or was signed in to, in time",
    )
    assert inside.status == "blocked_address"


def test_a_broker_that_names_an_address_inside_is_not_followed_there(sender: MixedSender) -> None:
    with kafka(advertised="10.1.2.3:9092") as broker:
        (result,) = sent(sender, f"kafka://{broker}/orders")

    assert (result.status, result.reason) == ("blocked_address", "the address of a broker is not permitted")
