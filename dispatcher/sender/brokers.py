"""Messages to brokers: each webhook's by one connection, in a thread of its own.

    submit     the publication joins its webhook's route, which is created where there is none
    route      a thread: takes what waits, has its broker send it, and says of each publication what came of it
    idle       a route without publications for IDLE_S closes its connection and ends

A broker that hangs holds up its own webhook alone. Where ROUTES_MAX of them are at work, publications wait for one to
end, and their time runs. Not for deadlines: the caller stops waiting for its publication, and has it aborted.
"""

import importlib
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, cast

import certifi

from dispatcher.clock import monotonic
from dispatcher.errors import DispatcherError
from dispatcher.model.attempt import NO_ADDRESS, Result, Status
from dispatcher.model.destination import Destination
from dispatcher.schemas.api.destinations import kind_of
from dispatcher.sender.contract import Limits, Request
from dispatcher.sender.egress import DIRECT, Egress
from dispatcher.sender.guard import AddressGuard
from dispatcher.sender.response import Fault

ROUTES_MAX = 512
"""Connections, and threads, of a process."""
IDLE_S = 20.0
LATE = "no confirmation in time"
_BATCH = 100
"""Messages sent before their confirmations are waited for."""

_MODULES = {"amqp": "rabbitmq", "amqps": "rabbitmq", "kafka": "kafka", "kafkas": "kafka"}
"""Scheme → the module here that has `connect`."""


@dataclass(eq=False, slots=True)
class Publication:
    """A message under way. `land` is called once, or more often where it has timed out already."""

    request: Request
    destination: Destination
    started_s: float
    timeout_s: float
    land: Callable[["Publication", str, str | None], None]

    @property
    def deadline_s(self) -> float:
        """When it has timed out, by the monotonic clock."""
        return self.started_s + self.timeout_s

    def result(self, status: str, reason: str | None) -> Result:
        """The result that it has come to now."""
        return Result(
            tag=self.request.tag, status=status, reason=reason, started_s=self.started_s, finished_s=monotonic()
        )

    def shares_connection(self, other: "Publication") -> bool:
        """Whether one connection is for both."""
        return self.request.url == other.request.url and self.destination.has_same_settings(other.destination)


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """How brokers are connected to: only permitted addresses, and TLS by trusted certificates."""

    guard: AddressGuard
    egress: Egress
    ca_file: str
    connect_timeout_s: float


Answer = tuple[Publication, str, str | None]
"""A publication with its status, and for people what the broker said."""


class Broker(Protocol):
    """A connection to a broker, used by one thread, but for `abort`. Raises what its library raises."""

    def open(self) -> None:
        """Connects and signs in."""
        ...

    @property
    def is_usable(self) -> bool:
        """Whether the other side has kept it open meanwhile."""
        ...

    def send(self, publications: Sequence[Publication], until_s: float) -> Iterator[Answer]:
        """Each publication's answer as it comes. Until then, by the monotonic clock; raises TimeoutError."""
        ...

    def fault_of(self, error: Exception) -> tuple[str, str] | None:
        """The status and the reason of an error of its library; None: it is none."""
        ...

    def abort(self) -> None:
        """Ends whatever `open` or `send` is at; by another thread."""
        ...

    def close(self) -> None:
        """Waits for nobody."""
        ...


class Brokers:
    """The routes of one process. Safe to use from many threads; threads begin with the first publication."""

    def __init__(self, limits: Limits, *, ca_file: str | None = None, routes_max: int = ROUTES_MAX) -> None:
        self._routes_max = routes_max
        self.network = Network(
            guard=AddressGuard(limits.allowed_networks, limits.refused_networks),
            egress=limits.egress,
            ca_file=ca_file or certifi.where(),
            connect_timeout_s=min(limits.connect_timeout_s, limits.timeout_s),
        )
        self.lock = threading.Lock()
        self._routes: dict[int, _Route] = {}
        self._waiting: deque[Publication] = deque()
        self._is_closed = False

    @property
    def is_crowded(self) -> bool:
        """Whether publications wait for a route to end. With the lock."""
        return bool(self._waiting) or self._is_closed

    def submit(self, publication: Publication) -> None:
        """Has the message sent; `publication.land` gets its result. Raises RuntimeError without a thread."""
        with self.lock:
            self._submit(publication)

    def abort(self, publication: Publication) -> None:
        """The publication has timed out: where its route is at it, that ends."""
        with self.lock:
            if route := self._routes.get(publication.destination.webhook_id):
                route.abort(publication)

    def close(self) -> None:
        """Routes end once they have nothing to do."""
        with self.lock:
            self._is_closed = True
            for route in self._routes.values():
                route.wake()

    def ended(self, route: "_Route") -> None:
        """Makes room for publications that wait. With the lock."""
        if self._routes.get(route.webhook_id) is route:
            del self._routes[route.webhook_id]
        waiting, self._waiting = self._waiting, deque()
        for publication in waiting:
            self._submit(publication)

    def _submit(self, publication: Publication) -> None:
        route = self._routes.get(publication.destination.webhook_id)
        if route is None:
            if len(self._routes) >= self._routes_max:
                while self._waiting and self._waiting[0].deadline_s <= monotonic():
                    self._waiting.popleft()
                self._waiting.append(publication)
                if len(self._waiting) == 1:  # a route that has nothing to do later ends by itself
                    for idle in self._routes.values():
                        idle.wake()
                return
            route = _Route(self, publication.destination.webhook_id)
            threading.Thread(target=route.run, name="broker", daemon=True).start()  # a lookup may hang for ever
            self._routes[route.webhook_id] = route
        route.put(publication)


class _Route:
    """One webhook's connection, and the publications that wait for it."""

    def __init__(self, brokers: Brokers, webhook_id: int) -> None:
        self.webhook_id = webhook_id
        self._brokers = brokers
        self._publications: deque[Publication] = deque()
        self._work = threading.Condition(brokers.lock)
        self._sending: Sequence[Publication] = ()
        self._broker: Broker | None = None
        self._sent_like: Publication | None = None
        self._is_aborted = False

    def put(self, publication: Publication) -> None:
        """With the lock."""
        self._publications.append(publication)
        self._work.notify()

    def wake(self) -> None:
        """It ends where it has nothing to do. With the lock."""
        self._work.notify()

    def abort(self, publication: Publication) -> None:
        """Ends what it is at, where the publication was the last of that to time out. With the lock."""
        now_s = monotonic()
        if publication in self._sending and all(one.deadline_s <= now_s for one in self._sending):
            self._is_aborted = True
            if self._broker is not None:
                self._broker.abort()

    def run(self) -> None:
        """Until there has been nothing to do for IDLE_S."""
        try:
            while publications := self._next():
                self._send(publications)
        finally:
            self._drop()

    def _next(self) -> list[Publication]:
        """Calls for one connection whose time is not over; none: this route has ended."""
        with self._work:
            self._sending, self._is_aborted = (), False
            while True:
                while self._publications and self._publications[0].deadline_s <= monotonic():
                    self._publications.popleft()
                if self._publications:
                    break
                if self._brokers.is_crowded or not self._work.wait(IDLE_S):
                    if self._publications:
                        continue
                    self._brokers.ended(self)
                    return []
            publications = [self._publications.popleft()]
            first = publications[0]
            while self._publications and len(publications) < _BATCH and self._publications[0].shares_connection(first):
                publications.append(self._publications.popleft())
            self._sending = publications
            return publications

    def _send(self, publications: list[Publication]) -> None:
        left = dict.fromkeys(publications)
        try:
            for publication, status, reason in self._open(publications[0]).send(
                publications, max(publication.deadline_s for publication in publications)
            ):
                if publication in left:
                    del left[publication]
                    publication.land(publication, status, reason)
            if left:
                raise TimeoutError
        except Exception as error:
            # The contract promises a result for each request; what we do not know is `unknown_error`.
            status, reason = _fault(TimeoutError() if self._is_aborted else error, self._broker)
            self._drop()
            for publication in left:
                publication.land(publication, status, reason)

    def _open(self, publication: Publication) -> Broker:
        if self._broker is not None and not (
            self._sent_like is not None and publication.shares_connection(self._sent_like) and self._broker.is_usable
        ):
            self._drop()
        if self._broker is None:
            self._broker = _connect(publication, self._brokers.network)
            self._check_abort()  # one that came before there was a broker
            self._broker.open()
            self._sent_like = publication
            self._check_abort()  # a lookup has taken long, say: what has timed out is not sent after all
        return self._broker

    def _check_abort(self) -> None:
        if self._is_aborted:
            raise TimeoutError

    def _drop(self) -> None:
        broker, self._broker = self._broker, None
        if broker is not None:
            with suppress(Exception):  # a library that cannot close must not take the thread with it
                broker.close()


class ExtraMissing(DispatcherError):
    """The library of this kind of destination is not installed."""


def import_extra(module: str, url: str) -> Any:
    """A module of this package, which needs what an extra brings; raises ExtraMissing."""
    try:
        return importlib.import_module(f"dispatcher.sender.{module}")
    except ImportError as error:
        kind = kind_of(url)
        raise ExtraMissing(f"needs webhook-dispatcher[{kind.extra if kind else module}] in the worker") from error


def _connect(publication: Publication, network: Network) -> Broker:
    url = publication.request.url
    return cast(Broker, import_extra(_MODULES[url.partition(":")[0].lower()], url).connect(publication, network))


def _fault(error: Exception, broker: Broker | None) -> tuple[str, str]:
    if isinstance(error, Fault):
        return error.status, error.reason
    if isinstance(error, ExtraMissing):
        return Status.UNKNOWN_ERROR, str(error)
    known = broker.fault_of(error) if broker is not None else None
    if known is not None:
        return known
    if isinstance(error, TimeoutError):
        return Status.TIMEOUT, LATE
    if isinstance(error, ssl.SSLCertVerificationError):
        return Status.SSL_ERROR, "the broker's certificate is not valid"
    if isinstance(error, ssl.SSLError):
        return Status.SSL_ERROR, "the TLS handshake failed"
    if isinstance(error, OSError):
        return Status.CONNECTION_FAILED, "the connection was refused, not possible, or broke"
    return Status.UNKNOWN_ERROR, type(error).__name__


def permitted_addresses(host: str, port: int, network: Network) -> list[str]:
    """The addresses of `host` that may be connected to, at least one; raises Fault."""
    if network.egress != DIRECT:  # only HTTP goes by a proxy, or from an address of the operator's choice
        raise Fault(Status.BLOCKED_ADDRESS, "brokers are not reached by the egress proxy or address")
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Fault(Status.CONNECTION_FAILED, NO_ADDRESS) from None
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in infos))
    permitted = [address for address in addresses if network.guard.permits_text(address)]
    if not permitted:
        raise Fault(Status.BLOCKED_ADDRESS, "the address is not permitted")
    return permitted[:4]
