"""Messages to RabbitMQ, each confirmed by it (publisher confirms); by py-amqp, on which Celery's own connections are.

A message that no queue takes is returned by the broker, and so refused: it would be lost otherwise.
"""

import contextlib
import errno
import select
import socket
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from struct import unpack
from typing import Any
from urllib.parse import unquote, urlsplit

from amqp import Connection
from amqp.basic_message import Message
from amqp.exceptions import AMQPError
from amqp.transport import SSLTransport, TCPTransport

from dispatcher.clock import monotonic
from dispatcher.model.attempt import Status
from dispatcher.sender.brokers import Answer, Network, Publication, permitted_addresses
from dispatcher.sender.response import Fault

_FRAME_MIN, _FRAME_MAX = 4_096, 131_072
_RECEIVE_MAX = 1 << 20
"""Bytes beyond twice what was sent that a broker may send for one batch: it returns what it cannot route."""
_FRAME_COST = 100
"""Bytes that a frame counts as beside its payload: to read one costs, too, and heartbeats are nothing else."""
_SHORT_MAX = 255
"""Bytes of AMQP's short strings."""
_PERSISTENT = 2
_REASON_LIMIT = 200
_NOT_THERE = frozenset({errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH})
"""With these another address of the host may respond: one of IPv4, say, where there is no IPv6."""
NO_AMQP = "the broker speaks no AMQP"


def connect(publication: Publication, network: Network) -> "RabbitMQ":
    """A connection that is not opened yet, to the broker of the publication."""
    return RabbitMQ(publication, network)


class RabbitMQ:
    """Keeps the contract `Broker`."""

    def __init__(self, publication: Publication, network: Network) -> None:
        parts = urlsplit(publication.request.url)
        self._host = parts.hostname or ""
        self._port = parts.port or (5671 if parts.scheme == "amqps" else 5672)
        self._is_tls = parts.scheme == "amqps"
        self._virtual_host = unquote(parts.path[1:]) or "/"
        self._credentials = publication.destination.credentials
        self._network = network
        self._aborted = threading.Event()
        self._connection = _Connection()
        self._channel: Any = None
        self._published = 0
        self._unconfirmed: dict[int, Publication] = {}
        self._returned: dict[str, str] = {}
        self._answers: list[Answer] = []

    def open(self) -> None:
        """Connects to the first permitted address that responds, and signs in."""
        addresses = permitted_addresses(self._host, self._port, self._network)
        for address in addresses:
            try:
                self._open(address)
                return
            except OSError as error:
                if error.errno not in _NOT_THERE or address == addresses[-1]:
                    raise

    @property
    def is_usable(self) -> bool:
        """Nothing comes of itself from a broker but the end of a connection."""
        connection = self._connection
        if not connection.connected or connection.transport.sock is None:
            return False
        poll = select.poll()
        poll.register(connection.transport.sock, select.POLLIN)
        return not poll.poll(0)

    def send(self, publications: Sequence[Publication], until_s: float) -> Iterator[Answer]:
        """Publishes all, and then waits for what is not confirmed yet."""
        connection = self._connection
        connection.budget = _RECEIVE_MAX + 2 * sum(len(publication.request.body) for publication in publications)
        self._returned.clear()
        for publication in publications:
            routing_key = publication.destination.setting("routing_key", "{event}")
            if len(routing_key.encode()) > _SHORT_MAX:
                yield publication, Status.UNKNOWN_ERROR, "the routing key is longer than 255 bytes"
            else:
                self._publish(publication, routing_key, until_s)
        while self._unconfirmed:
            yield from self._taken()
            connection.drain_events(timeout=max(until_s - monotonic(), 0.001))
        yield from self._taken()

    def fault_of(self, error: Exception) -> tuple[str, str] | None:
        """A reply code of AMQP with its text, which says what the broker did not like."""
        code = getattr(error, "reply_code", None)
        if isinstance(error, AMQPError) and code:
            return Status.REFUSED, _text(code, error.reply_text)
        if isinstance(error, OSError):
            return None
        if isinstance(error, AMQPError):
            return Status.CONNECTION_FAILED, "the broker closed the connection"
        return Status.UNKNOWN_ERROR, NO_AMQP  # whatever reading it has come to

    def abort(self) -> None:
        """Its socket is shut down, which ends a wait for it."""
        self._aborted.set()
        transport = self._connection.current
        if transport is not None and transport.sock is not None:
            with contextlib.suppress(OSError):  # the broker was faster
                socket.socket.shutdown(transport.sock, socket.SHUT_RDWR)  # that of SSLSocket would go on without TLS

    def close(self) -> None:
        """Without AMQP's farewell, or that of TLS, which wait for the broker; it takes the connection's end as well."""
        self.abort()
        with contextlib.suppress(OSError):
            self._connection.collect()

    def _open(self, address: str) -> None:
        place = f"[{address}]:{self._port}" if ":" in address else f"{address}:{self._port}"
        context = {"cafile": self._network.ca_file, "check_hostname": True}
        tls = {"context": context, "server_hostname": self._host.rstrip(".")} if self._is_tls else False
        timeout_s = self._network.connect_timeout_s
        self._connection = connection = _Connection(
            host=place, userid=self._credentials["username"], password=self._credentials["password"],
            login_method="PLAIN", virtual_host=self._virtual_host, ssl=tls, connect_timeout=timeout_s,
            read_timeout=timeout_s, write_timeout=timeout_s, frame_max=_FRAME_MAX,
            client_properties={"product": "webhook-dispatcher", "capabilities": {"publisher_confirms": True}},
        )  # fmt: skip
        connection.aborted = self._aborted
        connection.connect()
        if connection.frame_max < _FRAME_MIN:  # each message would be cut into any number of pieces
            raise Fault(Status.UNKNOWN_ERROR, NO_AMQP)
        self._channel = channel = connection.channel()
        channel.confirm_select()
        channel.events["basic_ack"].add(partial(self._settle, Status.CONFIRMED, None))
        channel.events["basic_nack"].add(partial(self._settle, Status.REFUSED, "the broker could not take the message"))
        channel.events["basic_return"].add(self._note_return)

    def _publish(self, publication: Publication, routing_key: str, until_s: float) -> None:
        request, destination = publication.request, publication.destination
        headers = {name: value for name, value in request.headers if name not in _PROPERTIES}
        message = Message(
            request.body, application_headers=headers, delivery_mode=_PERSISTENT,
            content_type=dict(request.headers).get("Content-Type", "application/json"),
            message_id=destination.values["id"], type=destination.values["event"][:_SHORT_MAX],
        )  # fmt: skip
        self._published += 1
        self._unconfirmed[self._published] = publication
        self._channel.basic_publish(
            message, exchange=destination.settings.get("exchange", ""),
            routing_key=routing_key, mandatory=True, timeout=max(until_s - monotonic(), 0.001),
        )  # fmt: skip

    def _settle(self, status: str, reason: str | None, tag: int, multiple: bool) -> None:
        settled = [one for one in self._unconfirmed if one <= tag] if multiple else [tag]
        for one in settled:
            publication = self._unconfirmed.pop(one, None)
            if publication is None:
                continue
            returned = self._returned.get(publication.destination.values["id"])
            self._answers.append(
                (publication, status, reason) if returned is None else (publication, Status.REFUSED, returned)
            )

    def _note_return(self, error: Any, _exchange: str, _routing_key: str, message: Any) -> None:
        """Comes before the confirmation."""
        self._returned[message.properties.get("message_id", "")] = _text(error.reply_code, error.reply_text)

    def _taken(self) -> list[Answer]:
        answers, self._answers = self._answers, []
        return answers


_PROPERTIES = frozenset({"Content-Type", "User-Agent"})
"""Headers that are properties of AMQP, or mean nothing there."""


def _text(code: object, text: object) -> str:
    plain = "".join(character if " " <= character <= "~" else "?" for character in str(text))
    return f"{code} {plain}"[:_REASON_LIMIT]


class _Connection(Connection):
    """One whose broker can send only so much: py-amqp itself takes whatever comes into memory."""

    budget = _RECEIVE_MAX
    current: Any = None
    aborted: threading.Event

    def Transport(  # noqa: N802 - py-amqp's name
        self, host: str, connect_timeout: float, ssl: Any, read_timeout: float, write_timeout: float, **options: Any
    ) -> Any:
        """What py-amqp asks for one."""
        kind, options = (_TlsTransport, {**options, "ssl": ssl}) if ssl else (_TcpTransport, options)
        self.current = kind(
            host, connect_timeout=connect_timeout, read_timeout=read_timeout, write_timeout=write_timeout, **options
        )
        self.current.owner = self
        return self.current

    def unpack(self, form: str, data: bytes) -> tuple[Any, ...]:
        """Reads the head of a frame, where its size is within what may come."""
        head = unpack(form, data)
        self.budget -= _FRAME_COST + head[-1]
        if head[-1] > _FRAME_MAX or self.budget < 0:
            raise Fault(Status.UNKNOWN_ERROR, "the broker sends too much")
        return head


class _Bounded:
    owner: _Connection

    def connect(self) -> None:
        """As the library's; `abort` cannot end it before there is a socket."""
        super().connect()  # type: ignore[misc]
        if self.owner.aborted.is_set():
            raise TimeoutError

    def read_frame(self, unpack: Any = None) -> Any:
        return super().read_frame(self.owner.unpack)  # type: ignore[misc]


class _TcpTransport(_Bounded, TCPTransport):
    pass


class _TlsTransport(_Bounded, SSLTransport):
    pass
