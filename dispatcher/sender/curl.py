"""The sender on libcurl's multi interface: hundreds of requests in flight in one thread, some 0.03 ms of CPU each.

    start      a free handle gets URL, headers and body, and joins the multi handle
    results    waits on the sockets that libcurl names (poll), lets libcurl act on them, collects what has finished
    close      everything is dropped

Sockets are watched here and not by `CurlMulti.select`, because that is select(2): it knows no descriptor above 1023.
The total timeout is kept here too. libcurl's would also count time in which nobody called `results` (a drain that
waits for a Redis that hangs), and give up requests whose responses lie unread in the socket.
Not for what one request is and what becomes of it: that is `exchange`.
"""

import os
import select
import threading
import weakref
from contextlib import suppress

import certifi
import pycurl

from dispatcher.clock import monotonic
from dispatcher.model.attempt import Result, Status
from dispatcher.sender.contract import Limits, Request
from dispatcher.sender.exchange import Exchange
from dispatcher.sender.guard import AddressGuard
from dispatcher.sender.turn import turn
from dispatcher.sender.wire import Resolver, Unsendable

_CAPACITY = 512
"""Requests in flight, and connections kept: two threads of this fit under the usual limit of open files."""

_SCAN_S = 0.25
"""How often old transfers are sought, to be listened to: one may never end."""

_OVERHEAD_MAX = 8 << 20
"""Bytes of TLS beyond twice those of all responses that an old transfer may cost."""

_STALL_S = 0.25
"""A pause between two calls that is longer is a stall of this process, and no receiver's timeout."""

_EVENTS = {
    pycurl.POLL_NONE: 0,
    pycurl.POLL_IN: select.POLLIN,
    pycurl.POLL_OUT: select.POLLOUT,
    pycurl.POLL_INOUT: select.POLLIN | select.POLLOUT,
}


class CurlSender:
    """Keeps the contract `Sender`. HTTP/2 where a receiver offers it over TLS, otherwise HTTP/1.1.

    `ca_file` holds the certificates that are trusted; `resolver` takes the place of the system's lookup.
    """

    def __init__(self, limits: Limits, *, ca_file: str | None = None, resolver: Resolver | None = None) -> None:
        self._limits = limits
        self._ca_file = ca_file or certifi.where()
        self._resolver = resolver
        self._guard = AddressGuard(limits.allowed_networks, limits.refused_networks)
        self._sockets = _Sockets()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, _CAPACITY)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._sockets.watch)
        self._free: list[Exchange] = []
        self._running: dict[pycurl.Curl, Exchange] = {}  # the oldest first
        self._hurried: dict[float, dict[pycurl.Curl, Exchange]] = {}  # of these, by timeout, what has one of its own
        self._ready: list[Result] = []
        self._oversized: list[pycurl.Curl] = []
        self._scanned_s = monotonic()
        self._polled_s = monotonic()
        self._stalled_s = 0.0

    @property
    def capacity(self) -> int:
        """Requests that can be in flight at once."""
        return _CAPACITY

    @property
    def in_flight(self) -> int:
        """Requests started whose result was not given back."""
        return len(self._running) + len(self._ready)

    def start(self, request: Request) -> None:
        """Begins `request`; its bytes leave with the next call of `results`. What cannot be sent is a result."""
        exchange = self._free.pop() if self._free else self._make_exchange()
        if not self._running:
            self._polled_s = monotonic()  # until now there was nothing to poll
        exchange.stalled_before_s = self._stalled_s
        try:
            exchange.prepare(request, self._resolver)
            self._multi.add_handle(exchange.curl)
        except Unsendable as error:
            self._ready.append(exchange.result(Status.UNKNOWN_ERROR, str(error)))
            self._free.append(exchange)
        except (pycurl.error, UnicodeError):
            self._ready.append(exchange.result(Status.UNKNOWN_ERROR, "libcurl refuses the request"))
            exchange.close()
        else:
            self._running[exchange.curl] = exchange
            if exchange.timeout_s != self._limits.timeout_s:
                self._hurried.setdefault(exchange.timeout_s, {})[exchange.curl] = exchange

    def results(self, wait_s: float) -> list[Result]:
        """What has finished; waits up to `wait_s` seconds for the first, not at all if nothing is in flight."""
        now_s = monotonic()
        until = now_s + wait_s
        if now_s - self._polled_s > _STALL_S:
            self._stalled_s += now_s - self._polled_s
        while True:
            self._step(0 if self._ready or not self._running else until - now_s)
            self._collect()
            self._abort_oversized()
            self._time_out_late()
            now_s = self._polled_s = monotonic()
            if now_s > self._scanned_s + _SCAN_S:
                self._check_old_transfers(now_s)
            if self._ready or not self._running or now_s >= until or self._sockets.take_wake():
                results, self._ready = self._ready, []
                return results

    def wake(self) -> None:
        """Ends the wait of a `results` under way, or of the next; by any thread."""
        self._sockets.wake()

    def close(self) -> None:
        """Abandons what is in flight and closes all connections; waits at most a second."""
        self._sockets.close()
        for exchange in self._running.values():
            self._multi.remove_handle(exchange.curl)
        for exchange in [*self._running.values(), *self._free]:
            exchange.close()
        self._running.clear()
        self._hurried.clear()
        self._free.clear()
        self._ready.clear()
        # libcurl waits here for name lookups under way, and pycurl cannot tell it not to. They end by themselves.
        closing = threading.Thread(target=self._multi.close, name="curl-close", daemon=True)
        closing.start()
        closing.join(1.0)

    def _step(self, wait_s: float) -> None:
        """Lets libcurl act on its timers and on its sockets, after waiting for one of the two or `wait_s`."""
        timer_ms = self._multi.timeout()
        if timer_ms == 0:
            with turn():
                self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            wait_s = 0.0  # something may have ended by this, so it is not the time to wait
        elif timer_ms > 0:
            wait_s = min(wait_s, timer_ms / 1000)
        if wait_s > 0:
            wait_s = min(wait_s, self._remaining_s(self._first_due()))
        ready_sockets = self._sockets.wait(max(wait_s, 0.0))
        with turn():
            for descriptor, ready in ready_sockets:
                self._multi.socket_action(descriptor, ready)

    def _collect(self) -> None:
        remaining = 1
        while remaining:
            remaining, succeeded, failed = self._multi.info_read()
            for curl in succeeded:
                self._finish(curl, None)
            for curl, code, _ in failed:
                self._finish(curl, code)

    def _first_due(self) -> Exchange | None:
        """Whose time ends first: the oldest of all, or of those with a shorter timeout."""
        oldest = next(iter(self._running.values()), None)
        if oldest is None or not self._hurried:
            return oldest
        return min((oldest, *(next(iter(some.values())) for some in self._hurried.values())), key=self._remaining_s)

    def _remaining_s(self, exchange: Exchange | None) -> float:
        if exchange is None:
            return self._limits.timeout_s
        return exchange.started_s + exchange.timeout_s + self._stalled_s - exchange.stalled_before_s - monotonic()

    def _time_out_late(self) -> None:
        while (first := self._first_due()) is not None and self._remaining_s(first) <= 0:
            self._finish(first.curl, pycurl.E_OPERATION_TIMEDOUT)

    def _make_exchange(self) -> Exchange:
        return Exchange(self._limits, self._guard.permits_text, self._ca_file, self._oversized)

    def _abort_oversized(self) -> None:
        for curl in self._oversized:
            if curl in self._running:  # it may be there more than once, or have ended by itself
                self._finish(curl, pycurl.E_FILESIZE_EXCEEDED)
        self._oversized.clear()

    def _check_old_transfers(self, now_s: float) -> None:
        """Listens to all that were there the last time; not to each from its start, which plain HTTP would pay for.

        Finds those that receive nothing but frames of HTTP/2 or records of TLS, which no response is made of. One
        request may read for all that share its connection, so what all have received is compared as well.
        """
        exchanges = [*self._running.values(), *self._free]
        received, records = sum(one.received for one in exchanges), sum(one.records for one in exchanges)
        for curl, exchange in self._running.items():
            if exchange.started_s >= self._scanned_s:
                continue
            exchange.set_verbose()
            if exchange.baseline is None:
                exchange.baseline = received, records, exchange.records
            received_before, records_before, its_records_before = exchange.baseline
            overhead = records - records_before - 2 * (received - received_before)
            if min(overhead, exchange.records - its_records_before) > _OVERHEAD_MAX:
                self._oversized.append(curl)
        self._scanned_s = now_s

    def _finish(self, curl: pycurl.Curl, code: int | None) -> None:
        exchange = self._running.pop(curl)
        if exchange.timeout_s != self._limits.timeout_s:
            same = self._hurried[exchange.timeout_s]
            del same[curl]
            if not same:
                del self._hurried[exchange.timeout_s]
        self._ready.append(exchange.outcome(code))
        exchange.reset()
        self._multi.remove_handle(curl)
        self._free.append(exchange)


class _Sockets:
    """The sockets that libcurl wants to hear of, by poll(2): no system call to watch one, none to stop.

    Not epoll: two calls a request to register and forget the socket cost more than poll's walk over some hundreds.
    """

    def __init__(self) -> None:
        self._poll = select.poll()
        self._ear, self._bell = os.pipe()
        os.set_blocking(self._bell, False)
        self.close = weakref.finalize(self, _close, self._ear, self._bell)
        self._poll.register(self._ear, select.POLLIN)
        self._is_woken = False

    def watch(self, what: int, descriptor: int, _multi: object, _data: object) -> None:
        """Takes what libcurl says of a socket (its M_SOCKETFUNCTION)."""
        events = _EVENTS.get(what)
        if events is not None:
            self._poll.register(descriptor, events)
        else:  # POLL_REMOVE
            with suppress(KeyError):  # never watched
                self._poll.unregister(descriptor)

    def wait(self, wait_s: float) -> list[tuple[int, int]]:
        """Descriptors that are ready, each with libcurl's mask of what for."""
        ready = []
        for descriptor, events in self._poll.poll(wait_s * 1000):
            if descriptor == self._ear:
                os.read(self._ear, 1_024)
                self._is_woken = True
            else:
                ready.append((descriptor, _mask(events)))
        return ready

    def wake(self) -> None:
        """Ends a `wait` under way, or the next one."""
        with suppress(BlockingIOError):  # it is full of them already
            os.write(self._bell, b"!")

    def take_wake(self) -> bool:
        """Whether it was woken since this was asked last."""
        woken, self._is_woken = self._is_woken, False
        return woken


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _mask(ready: int) -> int:
    return (
        (pycurl.CSELECT_IN if ready & select.POLLIN else 0)
        | (pycurl.CSELECT_OUT if ready & select.POLLOUT else 0)
        | (pycurl.CSELECT_ERR if ready & (select.POLLERR | select.POLLHUP | select.POLLNVAL) else 0)
    )
