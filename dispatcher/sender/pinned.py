"""What requests lacks: connections only to permitted addresses, and a deadline that holds whatever the receiver does.

A `Call` is one POST. It opens the connection itself (name look-up in a thread that can be abandoned, each address
asked of the guard, connect to that very address), and it can be ended from outside: `kill` shuts down the socket under
a blocked read, because a timeout of requests bounds single reads only. `PinnedAdapter` makes urllib3 use the call of
its thread. Not for the order of requests or for threads: those are `portable`'s.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.retry import Retry

from dispatcher.clock import monotonic
from dispatcher.model.attempt import NO_ADDRESS, Status
from dispatcher.sender.guard import AddressGuard
from dispatcher.sender.response import Fault, FinalResponse

_ADDRESSES_TRIED = 4

LookUp = Callable[[str], "Future[Sequence[str]]"]
"""A host name → its addresses, some time. It may never come; whoever asked waits only as long as they like."""


@dataclass(kw_only=True, slots=True, eq=False)
class Call:
    """One POST: what it asks for, where it may connect, until when it may last, and how much it may receive.

    `path` is path and query as they go on the wire; `deadline_s` and `connect_by_s` are of the monotonic clock,
    `receive_limit` is in bytes.
    """

    guard: AddressGuard
    look_up: LookUp
    deadline_s: float
    connect_by_s: float
    receive_limit: int
    path: str = "/"
    killed: bool = False
    _line: socket.socket | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, host: str, port: int, options: Sequence[tuple[int, int, int | bytes]]) -> socket.socket:
        """A socket connected to the first permitted address of `host` that answers. Raises Fault."""
        blocked = False
        for address in self._addresses(host):
            if not self.guard.permits_text(address):
                blocked = True
                continue
            opened = self._connect(address, port, options)
            if opened is not None:
                return opened
        if blocked:
            raise Fault(Status.BLOCKED_ADDRESS, "the address is not permitted")
        raise Fault(Status.CONNECTION_FAILED, "the connection was refused or not possible")

    def hold(self, line: socket.socket) -> None:
        """From here on `kill` ends `line`. A duplicate is kept: TLS takes the original over, urllib3 may close it."""
        with self._lock:
            if self.killed:
                raise Fault(Status.TIMEOUT, "no complete answer in time")
            if self._line is not None:
                self._line.close()
            self._line = socket.fromfd(line.fileno(), line.family, line.type)

    def kill(self) -> None:
        """Ends the call's connection, from any thread; whoever reads from it sees its end at once."""
        with self._lock:
            self.killed = True
            if self._line is not None:
                try:
                    self._line.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # the receiver was faster

    def end(self) -> None:
        """Lets go of the connection, which may serve another call now."""
        with self._lock:
            if self._line is not None:
                self._line.close()
                self._line = None

    def _addresses(self, host: str) -> Sequence[str]:
        try:
            found = self.look_up(host).result(timeout=self._left())
        except TimeoutError:
            raise Fault(Status.TIMEOUT, "the name look-up took too long") from None
        except (OSError, UnicodeError):
            raise Fault(Status.CONNECTION_FAILED, NO_ADDRESS) from None
        return found[:_ADDRESSES_TRIED]

    def _connect(
        self, address: str, port: int, options: Sequence[tuple[int, int, int | bytes]]
    ) -> socket.socket | None:
        line = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            for option in options:
                line.setsockopt(*option)
            line.settimeout(self._left())
            self.hold(line)  # before it connects: a kill must reach it then as well
            line.connect((address, port))
        except TimeoutError:
            line.close()
            raise Fault(Status.TIMEOUT, "connecting took too long") from None
        except OSError:
            line.close()
            return None
        except Fault:
            line.close()
            raise
        return line

    def _left(self) -> float:
        return max(self.connect_by_s - monotonic(), 0.001)  # 0 would mean: do not block


class _Current(threading.local):
    """The call of this thread. urllib3 makes the connections, and offers no way to hand something through to them."""

    call: Call


_current = _Current()


class _PinnedConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _current.call.open(self._dns_host.strip("[]"), self.port, self.socket_options or ())

    def request(self, method: str, url: str, *args: Any, **options: Any) -> None:
        """Registers a connection that is used again with its new call; asks for the call's path, letter for letter."""
        if self.sock is not None:
            _current.call.hold(self.sock)
        self.response_class = partial(FinalResponse, _current.call.receive_limit)  # type: ignore[assignment]  # called only
        super().request(method, _current.call.path, *args, **options)


class _PinnedTlsConnection(_PinnedConnection, HTTPSConnection):
    def connect(self) -> None:
        """Connects; a connection that breaks during the handshake is a fault of TLS, as it is for libcurl."""
        try:
            super().connect()
        except ConnectionError as error:
            raise ssl.SSLError("the TLS handshake broke") from error


class _PinnedPool(HTTPConnectionPool):
    ConnectionCls = _PinnedConnection


class _PinnedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _PinnedTlsConnection


class PinnedAdapter(HTTPAdapter):
    """Sends as the thread's `Call` says. Without retries, proxies, or anything from the environment."""

    def __init__(self, *, ca_file: str, connections: int) -> None:
        # Read once: urllib3 would read the file again for every connection, some 20 ms of CPU each.
        self._tls = ssl.create_default_context(cafile=ca_file)
        super().__init__(pool_connections=256, pool_maxsize=connections, max_retries=Retry(0, read=False))

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Makes urllib3's pools out of pinned connections."""
        super().init_poolmanager(*args, ssl_context=self._tls, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _PinnedPool, "https": _PinnedTlsPool}

    def cert_verify(self, *_: object, **__: object) -> None:
        """Leaves the pool as it is: the context verifies already."""

    def proxy_manager_for(self, *_: object, **__: object) -> Any:
        """Never."""
        raise Fault(Status.UNKNOWN_ERROR, "proxies are not used")

    def use(self, call: Call) -> None:
        """What this thread sends from now on belongs to `call`."""
        _current.call = call
