"""Messages to brokers that hang, lie, or are not to be reached: whom that delays, and what it costs. RabbitMQ itself is
started by the end-to-end tests."""

import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from dispatcher.model.attempt import Result
from dispatcher.model.destination import Destination
from dispatcher.sender.brokers import Brokers
from dispatcher.sender.contract import Limits, Request
from dispatcher.sender.curl import CurlSender
from dispatcher.sender.egress import Egress
from dispatcher.sender.mixed import MixedSender
from dispatcher.settings import read_proxy
from tests.support.cases import each
from tests.support.posting import LOOPBACK, collect
from tests.support.receiver import Authority, Receiver
from tests.support.waiting import eventually

LIMITS = Limits(timeout_s=1.0, connect_timeout_s=1.0, allowed_networks=tuple(map(ip_network, LOOPBACK)))


class Hanging:
    """A server that takes connections and says `greeting`, then nothing more; it counts them, and which are gone."""

    def __init__(self, greeting: bytes = b"") -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._greeting = greeting
        self.port = self._listener.getsockname()[1]
        self.taken = self.gone = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def url(self, scheme: str = "amqp") -> str:
        return f"{scheme}://127.0.0.1:{self.port}/{'' if scheme == 'amqp' else 'orders'}"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.taken += 1
            threading.Thread(target=self._hang, args=(connection,), daemon=True).start()

    def _hang(self, connection: socket.socket) -> None:
        with connection:
            try:
                if self._greeting:
                    connection.recv(8)
                    connection.sendall(self._greeting)
                while connection.recv(4_096):
                    pass
            except OSError:
                pass
        self.gone += 1


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    server = Hanging()
    yield server
    server.close()


@pytest.fixture
def brokers() -> Iterator[Brokers]:
    brokers = Brokers(LIMITS)
    yield brokers
    brokers.close()


@pytest.fixture
def sender(brokers: Brokers) -> Iterator[MixedSender]:
    sender = MixedSender(CurlSender(LIMITS), brokers, LIMITS)
    yield sender
    sender.close()


def a_message(tag: int, url: str, *, webhook: int = 1) -> Request:
    values = {"event": "order.shipped", "id": str(tag), "resource": "", "webhook": str(webhook), "date": "2026-11-29"}
    destination = Destination(
        webhook_id=webhook, settings={}, credentials={"username": "x", "password": "s3cret"}, values=values
    )
    return Request(tag=tag, url=url, headers=[], body=b"{}", destination=destination)


def test_brokers_that_hang_delay_neither_http_nor_another_destination(receiver: Receiver) -> None:
    limits = replace(LIMITS, timeout_s=3.0, connect_timeout_s=3.0)
    brokers = Brokers(limits)
    sender, others = (MixedSender(CurlSender(limits), brokers, limits) for _ in range(2))
    servers = {scheme: Hanging() for scheme in ("amqp", "kafka", "kafkas")}
    began_s = time.monotonic()
    for number, (scheme, server) in enumerate(servers.items()):
        for tag in range(50):
            sender.start(a_message(50 * number + tag, server.url(scheme), webhook=number))
    sender.start(Request(tag=200, url=receiver.url("/hook"), headers=[], body=b"{}"))
    sender.start(a_message(201, "amqp://127.0.0.1:1/", webhook=8))
    others.start(a_message(202, "amqp://127.0.0.1:1/", webhook=9))

    assert [one.status for one in collect(sender, 2)] == ["200", "connection_failed"]
    assert [one.status for one in collect(others, 1)] == ["connection_failed"]
    assert sender.in_flight == 150
    hung = [one.status for one in collect(sender, 150)]
    assert 2.9 < time.monotonic() - began_s < 15  # one after the other would take 150 times as long
    assert set(hung[:50]) == {"timeout"}
    assert set(hung[50:]) <= {"timeout", "connection_failed"}
    assert sender.in_flight == 0
    for scheme, server in servers.items():
        eventually(lambda server=server: server.gone >= 1, 10, f"the connection over {scheme} being given up")
        server.close()
    for one in (sender, others, brokers):
        one.close()


def test_a_wake_ends_the_wait_for_a_broker(sender: MixedSender, hanging: Hanging) -> None:
    sender.start(a_message(1, hanging.url()))
    threading.Timer(0.05, sender.wake).start()

    assert sender.results(10.0) == []  # and not the timeout that is to come
    assert collect(sender, 1)[0].status == "timeout"


def test_what_has_timed_out_holds_no_route_however_long_its_lookup_took(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = replace(LIMITS, timeout_s=30.0, connect_timeout_s=30.0)
    brokers = Brokers(limits)
    sender = MixedSender(CurlSender(limits), brokers, limits)
    lookup, known = socket.getaddrinfo, threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **given: known.wait(5) and lookup(*args, **given))
    sender.start(replace(a_message(1, hanging.url()), timeout_s=0.05))
    assert collect(sender, 1)[0].status == "timeout"

    known.set()
    sender.start(a_message(2, "amqp://127.0.0.1:1/"))
    assert collect(sender, 1, 5)[0].status == "connection_failed"
    other = Hanging()
    sender.start(a_message(3, other.url()))
    eventually(lambda: other.taken == 1, 10, "a connection")
    sender.close()
    eventually(lambda: other.gone == 1, 10, "the connection of a sender that was closed being given up")
    other.close()
    brokers.close()


def outcome_at(sender: MixedSender, url: str) -> Result:
    sender.start(a_message(1, url))
    (result,) = collect(sender, 1)
    assert "127.0.0.1" not in (result.reason or "")
    return result


def test_networks_that_are_not_public_are_refused_unless_allowed(hanging: Hanging) -> None:
    limits = Limits(timeout_s=1.0)
    sender = MixedSender(CurlSender(limits), Brokers(limits), limits)

    for host in ("127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "2130706433"):
        assert outcome_at(sender, f"amqp://{host}:{hanging.port}/").status == "blocked_address"
    assert hanging.gone == 0
    sender.close()


def test_brokers_are_not_reached_where_requests_must_leave_by_a_proxy(hanging: Hanging) -> None:
    limits = replace(LIMITS, egress=Egress(proxy=read_proxy("http://127.0.0.1:1")))
    sender = MixedSender(CurlSender(limits), Brokers(limits), limits)

    assert outcome_at(sender, hanging.url()).status == "blocked_address"
    assert hanging.gone == 0
    sender.close()


def test_a_broker_is_trusted_by_its_certificate_and_name(
    authority: Authority, ca_file: str, receiver: Receiver
) -> None:
    servers = {"wrong_name": authority.tls("wrong_name"), "expired": authority.tls("expired"), "good": authority.tls()}
    said = {}
    for name, context in [*servers.items(), ("untrusted", servers["good"])]:
        brokers = Brokers(LIMITS, ca_file=None if name == "untrusted" else ca_file)
        sender = MixedSender(CurlSender(LIMITS), brokers, LIMITS)
        with Receiver(tls=context) as server:
            result = outcome_at(sender, server.url().replace("https:", "amqps:").replace("127.0.0.1", "localhost"))
        said[name] = (str(result.status), result.reason)
        sender.close()
        brokers.close()

    assert said.pop("good")[0] != "ssl_error"  # it speaks HTTP, but to us
    assert set(said.values()) == {("ssl_error", "the broker's certificate is not valid")}


@each(
    ("greeting", "status"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "unknown_error"),
        (b"AMQP\x00\x01\x00\x00", "unknown_error"),
        (b"\x01\x00\x00\x7f\xff\xff\xff", "unknown_error"),  # a frame of 2 GiB
        (b"\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x32\xce", "unknown_error"),  # a farewell before a greeting
        (b"\x08\x00\x00\x00\x00\x00\x00\xce" * 12_000, "unknown_error"),  # heartbeats, and no end of them
    ],
)
def test_what_speaks_no_amqp_costs_nothing_but_the_attempt(sender: MixedSender, greeting: bytes, status: str) -> None:
    server = Hanging(greeting)

    assert outcome_at(sender, server.url()).status == status
    server.close()


def test_an_address_without_a_route_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    server, lookup = Hanging(b"HTTP/1.1 400 Bad Request\r\n\r\n"), socket.getaddrinfo
    limits = replace(LIMITS, allowed_networks=(*LIMITS.allowed_networks, ip_network("255.255.255.255/32")))
    sender = MixedSender(CurlSender(limits), Brokers(limits), limits)

    def of_two(host: str, *args: Any, **given: Any) -> Any:
        hosts = ("255.255.255.255", "127.0.0.1") if host == "two.example" else (host,)
        return [info for one in hosts for info in lookup(one, *args, **given)]

    monkeypatch.setattr(socket, "getaddrinfo", of_two)
    assert outcome_at(sender, f"amqp://two.example:{server.port}/").status == "unknown_error"  # it speaks no AMQP
    sender.close()
    server.close()


def test_where_all_routes_are_taken_a_message_waits_for_one_to_end(hanging: Hanging) -> None:
    brokers = Brokers(LIMITS, routes_max=1)
    sender = MixedSender(CurlSender(LIMITS), brokers, LIMITS)

    assert outcome_at(sender, "amqp://127.0.0.1:1/").status == "connection_failed"
    sender.start(a_message(2, "amqp://127.0.0.1:1/", webhook=2))  # the first one's route is idle, and ends
    assert collect(sender, 1)[0].status == "connection_failed"
    sender.start(a_message(3, hanging.url(), webhook=3))
    sender.start(a_message(4, "amqp://127.0.0.1:1/", webhook=4))
    assert [one.status for one in collect(sender, 2)] == ["timeout", "timeout"]
    brokers.close()
    sender.close()


def test_without_a_thread_a_message_is_not_under_way_and_the_next_is_sent(
    sender: MixedSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError):
            sender.start(a_message(1, "amqp://127.0.0.1:1/"))
    assert sender.in_flight == 0
    assert outcome_at(sender, "amqp://127.0.0.1:1/").status == "connection_failed"


def test_the_library_of_a_destination_may_be_missing(sender: MixedSender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dispatcher.sender.rabbitmq", None)

    result = outcome_at(sender, "amqp://127.0.0.1:1/")

    assert result.status == "unknown_error"
    assert "needs webhook-dispatcher[" in (result.reason or "")
