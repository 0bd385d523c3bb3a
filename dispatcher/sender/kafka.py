"""Messages to Kafka, each acknowledged by all replicas in sync; by kafka-python, with a thread of its own for each.

Brokers say themselves where other brokers are, so each address is judged where it is looked up, not only the URL's.
"""

import contextlib
import logging
import ssl
from collections.abc import Iterator, Sequence
from itertools import count
from socket import SHUT_RDWR
from socket import socket as Socket  # noqa: N812 - a method of kafka-python is called so, too
from typing import Any
from urllib.parse import urlsplit

from kafka import KafkaProducer
from kafka.errors import BrokerResponseError, KafkaError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket

from dispatcher.clock import monotonic
from dispatcher.model.attempt import Status
from dispatcher.sender.brokers import LATE, Answer, Network, Publication, permitted_addresses
from dispatcher.sender.response import Fault

_RECEIVE_MAX = 4 << 20
"""Bytes of one response; that about a topic with thousands of partitions is a few hundred kilobytes."""
_REQUEST_MAX = 1 << 26
"""Brokers have a limit of their own, and say so."""
_NO_HEADER = frozenset({"User-Agent"})
_NOT_PERMITTED = "the address of a broker is not permitted"
_NO_METADATA = "the topic does not exist, or no broker of it was reached in time"

# What becomes of each message is in its attempt; a customer's broker that is away would fill the worker's log.
logging.getLogger("kafka").setLevel(logging.CRITICAL)

_numbers = count(1)
_open: dict[str, "Kafka"] = {}
"""Those that connections are opened for, by the name under which kafka-python hands them on."""


def connect(publication: Publication, network: Network) -> "Kafka":
    """A producer that is not connected yet, to the brokers of the message."""
    return Kafka(publication, network)


class Kafka:
    """Keeps the contract `Broker`. It reconnects by itself, and sends nothing twice: retries are the dispatcher's."""

    def __init__(self, publication: Publication, network: Network) -> None:
        parts = urlsplit(publication.request.url)
        self._hosts = [host if ":" in host else f"{host}:{_port(parts.scheme)}" for host in parts.netloc.split(",")]
        self._topic = parts.path[1:]
        self._is_tls = parts.scheme.lower() == "kafkas"
        self._destination = publication.destination
        self._timeout_ms = int(publication.timeout_s * 1_000)
        self._network = network
        self._name = f"n{next(_numbers)}"
        self._client: Any = None
        self._producer: Any = None
        self._is_blocked = False
        self._sockets: list[Socket] = []

    def open(self) -> None:
        """Connects to one of the URL's brokers, and asks for its version."""
        self._check_hosts()
        _open[self._name] = self
        block_ms = min(int(self._network.connect_timeout_s * 1_000), self._timeout_ms)
        self._producer = KafkaProducer(
            bootstrap_servers=self._hosts, client_id="webhook-dispatcher", kafka_client=self._make_client,
            proxy_url=f"{_GuardedSocket.SCHEMES[0]}://{self._name}", acks="all", retries=0, enable_idempotence=False,
            allow_auto_create_topics=False, max_request_size=_REQUEST_MAX, receive_message_max_bytes=_RECEIVE_MAX,
            bootstrap_timeout_ms=block_ms, max_block_ms=block_ms, request_timeout_ms=self._timeout_ms,
            delivery_timeout_ms=self._timeout_ms, metrics_enabled=False, **self._security(),
        )  # fmt: skip

    def _check_hosts(self) -> None:
        """Raises the Fault of one where none may be connected to; others are left out when they are looked up."""
        faults = []
        for host in self._hosts:
            try:
                permitted_addresses(*_host_and_port(host), self._network)
                return
            except Fault as fault:
                faults.append(fault)
        raise faults[-1]

    is_usable = True

    def send(self, publications: Sequence[Publication], until_s: float) -> Iterator[Answer]:
        """Hands all to the producer, and then waits for what is not acknowledged yet."""
        begun: list[tuple[Publication, Any]] = []
        failed: Exception | None = None
        for publication in publications:
            try:
                if failed is None:
                    begun.append((publication, self._begin(publication)))
                    continue
            except Exception as error:  # it has no metadata, for one, and the next would wait as long for it
                failed = error
            yield publication, *self._answer(failed, _NO_METADATA)
        for publication, future in begun:
            try:
                future.get(timeout=max(until_s - monotonic(), 0.001))
            except Exception as error:
                yield publication, *self._answer(error, LATE)
            else:
                yield publication, Status.CONFIRMED, None

    def fault_of(self, error: Exception) -> tuple[str, str] | None:
        """A broker's error with its number, which says what it did not like."""
        if self._is_blocked and isinstance(error, KafkaError):
            return Status.BLOCKED_ADDRESS, _NOT_PERMITTED
        if isinstance(error, BrokerResponseError):
            return Status.REFUSED, f"{error.errno} {error.message}"
        if isinstance(error, KafkaError):
            return Status.CONNECTION_FAILED, "no broker could be connected to, or was signed in to, in time"
        return None

    def abort(self) -> None:
        """Its sockets are shut down: kafka-python waits for the end of a handshake of TLS as long as that takes."""
        for one in [*self._sockets]:
            with contextlib.suppress(OSError):
                Socket.shutdown(one, SHUT_RDWR)

    def close(self) -> None:
        """What it has is either done or over."""
        _open.pop(self._name, None)
        if self._producer is not None:
            self._producer.close(timeout=0)
        elif self._client is not None:
            self._client.close()

    def watch(self, connection: Socket) -> None:
        """It is one of those that `abort` ends."""
        self._sockets = [*(one for one in self._sockets if one.fileno() >= 0), connection]

    def addresses(self, host: str, port: int) -> list[str]:
        """Those of a broker that may be connected to."""
        try:
            return permitted_addresses(host, port, self._network)
        except Fault as fault:
            self._is_blocked = self._is_blocked or fault.status == Status.BLOCKED_ADDRESS
            return []

    def _begin(self, publication: Publication) -> Any:
        request = publication.request
        key = publication.destination.setting("key", "{resource}").encode()
        headers = [(name, value.encode()) for name, value in request.headers if name not in _NO_HEADER]
        return self._producer.send(self._topic, value=request.body, key=key or None, headers=headers)

    def _answer(self, error: Exception, late: str) -> tuple[str, str]:
        if isinstance(error, KafkaTimeoutError) and not self._is_blocked:
            return Status.TIMEOUT, late
        return self.fault_of(error) or (Status.UNKNOWN_ERROR, type(error).__name__)

    def _make_client(self, **config: Any) -> Any:
        self._client = KafkaNetClient(**config)
        return self._client

    def _security(self) -> dict[str, Any]:
        credentials, settings = self._destination.credentials, self._destination.settings
        security: dict[str, Any] = {}
        if self._is_tls:
            security["ssl_context"] = context = _WatchedContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(self._network.ca_file)
            context.owner = self
        protocol = "SSL" if self._is_tls else "PLAINTEXT"
        if not credentials:
            return {**security, "security_protocol": protocol}
        return {
            **security,
            "security_protocol": f"SASL_{protocol}",
            "sasl_mechanism": settings.get("sasl_mechanism", "PLAIN"),
            "sasl_plain_username": credentials["username"],
            "sasl_plain_password": credentials["password"],
        }


class _GuardedSocket(KafkaNetSocket):
    """How kafka-python connects for a `proxy_url` of this scheme: to no proxy, but to permitted addresses only."""

    SCHEMES = ("guarded",)

    def __init__(self, proxy_url: str) -> None:
        super().__init__(proxy_url)
        self._for = _open.get(urlsplit(proxy_url).netloc)

    def socket(self, *options: Any) -> Socket:
        connection: Socket = super().socket(*options)
        if self._for is not None:
            self._for.watch(connection)
        return connection

    async def sock_connect(self, net: Any, sock: Socket, *arguments: Any, **options: Any) -> Socket:
        """As the library's, which leaves one open that has not connected."""
        try:
            connected: Socket = await super().sock_connect(net, sock, *arguments, **options)
        except BaseException:
            sock.close()
            raise
        return connected

    def dns_lookup(self, host: str, port: int, raise_error: bool = False) -> list[Any]:
        """As the library's, of what is permitted."""
        permitted = self._for.addresses(host, port) if self._for is not None else []
        return [info for address in permitted for info in super(_GuardedSocket, self).dns_lookup(address, port)]


class _WatchedContext(ssl.SSLContext):
    """Of TLS: what it wraps is another socket than before."""

    owner: Kafka

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        wrapped = super().wrap_socket(*arguments, **options)
        self.owner.watch(wrapped)
        return wrapped


def _port(scheme: str) -> int:
    return 9093 if scheme.lower() == "kafkas" else 9092


def _host_and_port(host: str) -> tuple[str, int]:
    name, _, port = host.rpartition(":")
    return name, int(port)
