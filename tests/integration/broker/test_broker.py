"""What is put on the broker: names and ids, in the queues that workers listen to."""

import base64
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from dispatcher.broker.names import DELIVERIES, DELIVERIES_SLOW, EVENTS
from dispatcher.broker.queue import Queue
from dispatcher.errors import QueueUnavailable


@pytest.fixture
def broker(redis_url: str) -> Iterator[Queue]:
    queue = Queue(redis_url)
    yield queue
    queue.close()


def message(redis_client: Any, name: str) -> tuple[str, Any]:
    envelope = json.loads(redis_client.lpop(name))
    return envelope["headers"]["task"], json.loads(base64.b64decode(envelope["body"]))[0]


def test_a_fan_out_carries_nothing(broker: Queue, redis_client: Any) -> None:
    broker.fan_out()

    assert broker.lengths() == {EVENTS: 1, DELIVERIES: 0, DELIVERIES_SLOW: 0}
    assert message(redis_client, EVENTS) == ("tasks.fan_out", [])


@pytest.mark.parametrize(("slow", "name"), [(False, DELIVERIES), (True, DELIVERIES_SLOW)])
def test_a_deliver_carries_ids_to_the_queue_of_their_health(
    broker: Queue, redis_client: Any, slow: bool, name: str
) -> None:
    broker.deliver([3, 1, 2], slow=slow)

    assert message(redis_client, name) == ("tasks.deliver", [[3, 1, 2]])


def test_a_broker_that_is_down_is_our_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    queue = Queue(f"redis://:hunter2@127.0.0.1:{port}/0")

    for step in (queue.fan_out, queue.lengths):
        with pytest.raises(QueueUnavailable) as caught:
            step()
        assert "hunter2" not in str(caught.value)
    queue.close()
