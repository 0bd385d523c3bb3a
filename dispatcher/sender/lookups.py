"""Names of receivers behind a proxy, looked up and checked here: the proxy is asked for an address, not for a name.

Without it a proxy that permits private addresses would make the guard worthless. Where the proxy is to look names up
(`Egress.resolves` is false), only addresses that stand in URLs are checked here. Used around either sender, and only
where there is a proxy: without one, senders look names up themselves.
"""

import queue
import socket
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from threading import Lock

from dispatcher.clock import monotonic
from dispatcher.model.attempt import NO_ADDRESS, NOT_PERMITTED, Result, Status
from dispatcher.sender.contract import Limits, Request, Sender
from dispatcher.sender.guard import AddressGuard
from dispatcher.sender.threads import DaemonPool
from dispatcher.sender.wire import Resolver, Unsendable, parse_target

_THREADS = 16
_KEPT_S = 30.0
"""How long the result of a lookup is used."""
_KEPT_MAX = 10_000
LOOKUP_LATE = "the name lookup took too long"

Addresses = Sequence[str] | None
"""Addresses of a name; None: it has none."""


class LookupSender:
    """Keeps the contract `Sender`. `resolver` takes the place of the system's lookup."""

    def __init__(self, sender: Sender, limits: Limits, *, resolver: Resolver | None = None) -> None:
        self._sender = sender
        self._limits = limits
        self._guard = AddressGuard(limits.allowed_networks, limits.refused_networks)
        self._resolver = resolver or (resolve if limits.egress.resolves else _addresses_in_urls)
        self._threads = DaemonPool("lookup", _THREADS)
        self._kept: dict[str, tuple[Addresses, float]] = {}
        self._waiting: dict[str, list[tuple[Request, float]]] = {}
        """Name → requests that wait for its addresses, and since when; the longest first."""
        self._resolutions: queue.SimpleQueue[tuple[str, Addresses] | None] = queue.SimpleQueue()
        """None: somebody wants `results` to return."""
        self._ready: list[Result] = []
        self._lock = Lock()
        self._is_closed = False

    @property
    def capacity(self) -> int:
        """Requests that can be in flight at once."""
        return self._sender.capacity

    @property
    def in_flight(self) -> int:
        """Requests started whose result was not given back."""
        return self._sender.in_flight + len(self._ready) + sum(map(len, self._waiting.values()))

    def start(self, request: Request) -> None:
        """Begins `request`, or has it wait for its receiver's addresses."""
        try:
            host = parse_target(request.url).host
        except Unsendable:
            self._sender.start(request)  # which says why
            return
        addresses, until_s = self._kept.get(host, (None, 0.0))
        if monotonic() < until_s:
            self._send(request, addresses, monotonic())
        elif host in self._waiting:
            self._waiting[host].append((request, monotonic()))
        else:
            self._waiting[host] = [(request, monotonic())]
            self._threads.submit(lambda: self._resolve_host(host))

    def results(self, wait_s: float) -> list[Result]:
        """What has finished; waits up to `wait_s` seconds for the first, not at all if nothing is in flight."""
        until_s = monotonic() + wait_s
        while True:
            is_woken = self._take_addresses(0.0)
            self._time_out()
            left_s = 0.0 if self._ready or is_woken else max(until_s - monotonic(), 0.0)
            if self._waiting and not self._sender.in_flight:
                is_woken = self._take_addresses(min(left_s, self._limits.connect_timeout_s / 10)) or is_woken
            else:
                self._ready += self._sender.results(left_s)
                is_woken = is_woken or not self._waiting
            if self._ready or is_woken or not self.in_flight or monotonic() >= until_s:
                results, self._ready = self._ready, []
                return results

    def wake(self) -> None:
        """Ends the wait of a `results` under way, or of the next; by any thread."""
        self._resolutions.put(None)
        self._sender.wake()

    def close(self) -> None:
        """Abandons what is in flight and closes all connections."""
        with self._lock:
            self._is_closed = True
        self._threads.shutdown()
        self._waiting.clear()
        self._ready.clear()
        self._sender.close()

    def _resolve_host(self, host: str) -> None:
        """In a thread, because a lookup has no timeout."""
        try:
            addresses: Addresses = self._resolver(host)
        except (OSError, UnicodeError):
            addresses = None
        self._resolutions.put((host, addresses))
        with self._lock:  # a sender that is closed is not woken: its descriptors may be another's by now
            if not self._is_closed:
                self._sender.wake()

    def _take_addresses(self, wait_s: float) -> bool:
        """Lets go of what waited for the lookups that have ended; whether somebody called `wake`."""
        is_woken = False
        try:
            while True:
                resolution = self._resolutions.get(timeout=wait_s) if wait_s else self._resolutions.get_nowait()
                wait_s = 0.0
                if resolution is None:
                    is_woken = True
                    continue
                host, addresses = resolution
                if addresses is not None:
                    if len(self._kept) >= _KEPT_MAX:
                        self._kept.clear()
                    self._kept[host] = addresses, monotonic() + _KEPT_S
                for request, started_s in self._waiting.pop(host, ()):
                    self._send(request, addresses, started_s)
        except queue.Empty:
            return is_woken

    def _send(self, request: Request, addresses: Addresses, started_s: float) -> None:
        """To the first permitted address; those of IPv4 first, which every proxy reaches."""
        if addresses is None or (self._limits.egress.resolves and not addresses):
            self._end(request, Status.CONNECTION_FAILED, NO_ADDRESS, started_s)
            return
        permitted = [address for address in addresses if self._guard.permits_text(address)]
        if addresses and not permitted:
            self._end(request, Status.BLOCKED_ADDRESS, NOT_PERMITTED, started_s)
            return
        left_s = self._limits.timeout_of(request) - (monotonic() - started_s)
        timeout_s = max(ceil(left_s * 10) / 10, 0.1)  # in steps: senders keep those of one timeout together
        address = min(permitted, key=lambda one: ":" in one, default=None)
        try:
            self._sender.start(replace(request, address=address, timeout_s=timeout_s))
        except Exception as error:  # no descriptor is free, for one; the others go on
            reason = f"the request cannot be sent: {type(error).__name__}"
            self._end(request, Status.UNKNOWN_ERROR, reason, started_s)

    def _time_out(self) -> None:
        late_s = monotonic() - min(self._limits.connect_timeout_s, self._limits.timeout_s)
        for host in list(self._waiting):
            while self._waiting[host] and self._waiting[host][0][1] < late_s:
                request, started_s = self._waiting[host].pop(0)
                self._end(request, Status.TIMEOUT, LOOKUP_LATE, started_s)
            if not self._waiting[host]:
                del self._waiting[host]

    def _end(self, request: Request, status: Status, reason: str, started_s: float) -> None:
        now_s = monotonic()
        self._ready.append(Result(tag=request.tag, status=status, reason=reason, started_s=started_s, finished_s=now_s))


def resolve(host: str) -> Sequence[str]:
    """The addresses that the system knows for `host`; it also reads numbers such as 2130706433 and 0x7f.1."""
    infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in infos]


def _addresses_in_urls(host: str) -> Sequence[str]:
    """The address that `host` is; none where it is a name."""
    try:
        infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return []
    return [str(sockaddr[0]) for *_, sockaddr in infos]
