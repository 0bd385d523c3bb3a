"""What requests lacks: connections only to permitted addresses, and an end to a POST whatever its receiver does.

`PinnedAdapter` is the adapter of requests with connections that `Dialer` opens: it looks the name up, asks the guard of
each address and connects to that very address. A `Call` is one POST; `abort` ends it under a blocked read, because a
timeout of requests bounds single reads only. Not for the order of requests: that is `portable`'s.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from dispatcher.clock import monotonic
from dispatcher.model.attempt import NO_ADDRESS, NOT_PERMITTED, Status
from dispatcher.model.credentials import ClientCertificate
from dispatcher.sender.certificates import load_client_certificate
from dispatcher.sender.contract import Request
from dispatcher.sender.egress import DIRECT, PROXY_SLOW, Egress, connect_head, proxy_fault
from dispatcher.sender.guard import AddressGuard
from dispatcher.sender.response import Fault, FinalResponse
from dispatcher.sender.threads import DaemonPool
from dispatcher.sender.wire import STATUS_LINE, HttpTarget, Resolver, parse_target
from dispatcher.settings import Proxy

_ADDRESSES_TRIED = 4
_LOOKUPS = 16
_HEAD_LIMIT = 16_384
"""Bytes of a proxy's response to CONNECT."""
LATE = "no complete response in time"


@dataclass(kw_only=True, slots=True, eq=False)
class Call:
    """One POST. The times are of the monotonic clock, `receive_limit` is in bytes."""

    request: Request
    dialer: "Dialer"
    started_s: float
    deadline_s: float
    receive_limit: int
    connect_by_s: float = 0.0
    aborted: bool = False
    _socket: socket.socket | None = None

    @property
    def target(self) -> HttpTarget:
        """Where it goes; raises Unsendable."""
        return parse_target(self.request.url)

    def attach(self, connection: socket.socket) -> None:
        """From here on `abort` ends `connection`; raises Fault where it came before."""
        self._socket = connection
        if self.aborted:
            raise Fault(Status.TIMEOUT, LATE)

    def abort(self) -> None:
        """Ends the connection, from any thread; whoever reads from it sees its end at once."""
        self.aborted = True
        if self._socket is not None:
            with contextlib.suppress(OSError):  # the receiver was faster
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # that of SSLSocket would go on without TLS

    def detach(self) -> None:
        """Lets go of the connection, which may serve another call now."""
        self._socket = None


class Dialer:
    """Opens connections to permitted addresses; with TLS, whose handshake is left to the caller."""

    def __init__(self, guard: AddressGuard, resolver: Resolver, ca_file: str, egress: Egress = DIRECT) -> None:
        self._guard = guard
        self._resolver = resolver
        self._lookups = DaemonPool("lookup", _LOOKUPS)
        self._ca_file = ca_file
        self._egress = egress
        # Read once: urllib3 would read the file again for every connection, some 20 ms of CPU each.
        self._tls = lru_cache(maxsize=1_000)(self._context)

    def dial(self, call: Call) -> socket.socket:
        """A socket connected to the first permitted address that responds, or by the proxy. Raises Fault."""
        if self._egress.proxy is not None:
            connection = self._dial_by(self._egress.proxy, call)
            return self._with_tls(connection, call) if call.target.is_tls else connection
        is_blocked = False
        for address in self._addresses(call):
            if not self._guard.permits_text(address):
                is_blocked = True
                continue
            try:
                connection = self._connect(address, call.target.port, call)
            except TimeoutError:
                raise Fault(Status.TIMEOUT, "connecting took too long") from None
            except OSError:
                continue
            return self._with_tls(connection, call) if call.target.is_tls else connection
        if is_blocked:
            raise Fault(Status.BLOCKED_ADDRESS, NOT_PERMITTED)
        raise Fault(Status.CONNECTION_FAILED, "the connection was refused or not possible")

    def _connect(self, host: str, port: int, call: Call) -> socket.socket:
        """Raises OSError, also where there is no address to open a connection of this family from."""
        source = None
        if self._egress.addresses and self._egress.proxy is None:
            address = self._egress.source(is_v6=":" in host)
            if address is None:
                raise OSError
            source = (address, 0)
        elif self._egress.addresses:
            source = (self._egress.addresses[0], 0)
        connection = socket.create_connection((host, port), _remaining_s(call), source)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _dial_by(self, proxy: Proxy, call: Call) -> socket.socket:
        """A socket that `proxy` has connected to the receiver."""
        try:
            connection = self._connect(proxy.host, proxy.port, call)
        except OSError:
            raise Fault(*proxy_fault(0)) from None
        try:
            call.attach(connection)
            code = _answer(
                connection, connect_head(proxy, call.request.address or call.target.host, call.target.port), call
            )
            if not 200 <= code <= 299:
                raise Fault(*proxy_fault(code))
        except OSError as error:
            connection.close()
            is_late = call.aborted or isinstance(error, TimeoutError)
            raise Fault(*((Status.TIMEOUT, PROXY_SLOW) if is_late else proxy_fault(0))) from None
        except Fault:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Drops the lookups that wait."""
        self._lookups.shutdown()

    def _addresses(self, call: Call) -> Sequence[str]:
        """By a thread that can be abandoned: a lookup has no timeout."""
        addresses: Future[Sequence[str]] = Future()

        def lookup() -> None:
            try:
                addresses.set_result(self._resolver(call.target.host))
            except (OSError, UnicodeError) as error:
                addresses.set_exception(error)

        self._lookups.submit(lookup)
        try:
            return addresses.result(timeout=_remaining_s(call))[:_ADDRESSES_TRIED]
        except TimeoutError:
            raise Fault(Status.TIMEOUT, "the name lookup took too long") from None
        except (OSError, UnicodeError):
            raise Fault(Status.CONNECTION_FAILED, NO_ADDRESS) from None

    def _with_tls(self, connection: socket.socket, call: Call) -> socket.socket:
        name, context = call.target.host.rstrip(".").partition("%")[0], self._tls(call.request.certificate)
        return context.wrap_socket(connection, server_hostname=name, do_handshake_on_connect=False)

    def _context(self, certificate: ClientCertificate | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ca_file)
        context.set_alpn_protocols(["http/1.1"])
        if certificate is not None:
            load_client_certificate(context, certificate.certificate, certificate.private_key)
        return context


def _answer(connection: socket.socket, head: bytes, call: Call) -> int:
    """The code of a proxy's response to `head`. Raises OSError."""
    connection.sendall(head)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        connection.settimeout(_remaining_s(call))
        received = connection.recv(1)  # no more: what follows is the receiver's
        if not received or len(answer) > _HEAD_LIMIT:
            raise ConnectionResetError
        answer += received
    status = STATUS_LINE.match(answer)
    return int(status[1]) if status else 0


def _remaining_s(call: Call) -> float:
    return max(call.connect_by_s - monotonic(), 0.001)  # 0 would mean: do not block


class _Current(threading.local):
    """What this thread sends. urllib3 makes the connections, and offers no way to hand something through to them."""

    call: Call


_current = _Current()


class _PinnedConnection(HTTPConnection):
    def connect(self) -> None:
        """Connects as the call says. urllib3 closes what fails, as it does its plain connections."""
        call = _current.call
        self.sock = connection = call.dialer.dial(call)
        call.attach(connection)
        if isinstance(connection, ssl.SSLSocket):
            try:
                connection.do_handshake()
            except ConnectionError as error:  # a fault of TLS, as it is for libcurl
                raise ssl.SSLError("the TLS handshake broke") from error
            self.is_verified = True

    def request(self, method: str, url: str, *args: Any, **options: Any) -> None:
        """Registers a connection that is used again with its new call; asks for the call's path, letter for letter."""
        call = _current.call
        if self.sock is not None:
            call.attach(self.sock)
        self.response_class = partial(FinalResponse, call.receive_limit)  # type: ignore[assignment]  # called only
        super().request(method, call.target.path, *args, **options)


class _PinnedTlsConnection(_PinnedConnection, HTTPSConnection):
    pass


class _PinnedPool(HTTPConnectionPool):
    ConnectionCls = _PinnedConnection


class _PinnedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _PinnedTlsConnection


class PinnedAdapter(HTTPAdapter):
    """Sends what `use` said, over connections that all threads share."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Makes urllib3's pools out of pinned connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _PinnedPool, "https": _PinnedTlsPool}

    def use(self, call: Call) -> None:
        """What this thread sends from now on belongs to `call`."""
        _current.call = call
