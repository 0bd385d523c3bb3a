"""The sender on requests and threads: slower by far than libcurl, but pure Python, for machines without pycurl.

Each request runs in one thread of a crew, over connections that all threads share; `results` ends what has passed its
deadline. The Session of requests is left out: redirects, cookies, proxies, .netrc and variables of the environment are
its doing, and a delivery wants none of them.
"""

import http.client
import logging
import queue
import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import certifi
import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from dispatcher.clock import monotonic
from dispatcher.model.attempt import Result, Status
from dispatcher.model.credentials import ClientCertificate
from dispatcher.sender.contract import CERTIFICATE_REFUSED, Limits, Request
from dispatcher.sender.guard import AddressGuard
from dispatcher.sender.lookups import resolve
from dispatcher.sender.pinned import LATE, Call, Dialer, PinnedAdapter
from dispatcher.sender.response import Fault
from dispatcher.sender.threads import DaemonPool
from dispatcher.sender.wire import TEXT_LIMIT, Resolver, Unsendable, check_headers, written_headers

_THREADS = 32
_ADAPTERS_MAX = 256


class RequestsSender:
    """Keeps the contract `Sender`. HTTP/1.1 only.

    `ca_file` holds the certificates that are trusted; `resolver` takes the place of the system's lookup.
    """

    def __init__(self, limits: Limits, *, ca_file: str | None = None, resolver: Resolver | None = None) -> None:
        # It would warn of a receiver's bad header with the whole URL, which may hold a token.
        logging.getLogger("urllib3.connection").setLevel(logging.ERROR)
        self._limits = limits
        guard = AddressGuard(limits.allowed_networks, limits.refused_networks)
        self._dialer = Dialer(guard, resolver or resolve, ca_file or certifi.where(), limits.egress)
        self._adapters: dict[ClientCertificate | None, PinnedAdapter] = {}
        self._threads = DaemonPool("sender", _THREADS)
        self._calls: dict[Call, None] = {}
        self._done: queue.SimpleQueue[tuple[Call, Result] | None] = queue.SimpleQueue()
        """None: somebody wants `results` to return."""

    @property
    def capacity(self) -> int:
        """Requests that can be in flight at once."""
        return _THREADS

    @property
    def in_flight(self) -> int:
        """Requests started whose result was not given back."""
        return len(self._calls)

    def start(self, request: Request) -> None:
        """Begins `request`, as soon as a thread is free."""
        now_s = monotonic()
        call = Call(
            request=request,
            dialer=self._dialer,
            started_s=now_s,
            deadline_s=now_s + self._limits.timeout_of(request),
            receive_limit=self._limits.receive_limit,
        )
        self._calls[call] = None
        self._threads.submit(lambda: self._done.put((call, self._attempt(call))))

    def results(self, wait_s: float) -> list[Result]:
        """What has finished; waits up to `wait_s` seconds for the first, not at all if nothing is in flight."""
        until_s = monotonic() + wait_s
        results: list[Result] = []
        is_woken = False
        while self._calls and not results and not is_woken:
            results, is_woken = self._collect(min(until_s, self._abort_late()))
            if monotonic() >= until_s:
                break
        return results

    def wake(self) -> None:
        """Ends the wait of a `results` under way, or of the next; by any thread."""
        if self._done.empty():  # whatever is there ends a wait, too
            self._done.put(None)

    def close(self) -> None:
        """Abandons what is in flight and closes all connections; waits at most a second for the threads."""
        self._threads.shutdown()
        self._dialer.close()
        for call in self._calls:
            call.abort()  # and with them the threads end
        self._calls.clear()
        self._threads.join(1.0)
        self._close_adapters()

    def _abort_late(self) -> float:
        """When the next deadline comes, by the monotonic clock, after an end to the calls whose own has passed."""
        now_s = monotonic()
        for call in self._calls:
            if call.deadline_s <= now_s and not call.aborted:
                call.abort()
        return min((call.deadline_s for call in self._calls if call.deadline_s > now_s), default=float("inf"))

    def _collect(self, until_s: float) -> tuple[list[Result], bool]:
        """What has finished until then, and whether somebody called `wake`."""
        results: list[Result] = []
        with suppress(queue.Empty):
            while (finished := self._done.get(timeout=0 if results else max(until_s - monotonic(), 0))) is not None:
                call, result = finished
                del self._calls[call]
                results.append(result)
            return results, True
        return results, False

    def _attempt(self, call: Call) -> Result:
        try:
            return self._exchange(call)
        except Exception as error:
            # The contract promises a result for each request; what we do not know is `unknown_error`.
            status, reason = _fault(error, call)
            return _result(call, status, reason=reason)
        finally:
            call.detach()

    def _exchange(self, call: Call) -> Result:
        remaining_s = call.deadline_s - monotonic()
        if remaining_s <= 0:
            raise Fault(Status.TIMEOUT, "no thread was free in time; not sent")
        call.connect_by_s = monotonic() + min(self._limits.connect_timeout_s, remaining_s)
        adapter = self._adapter(call.request.certificate)
        adapter.use(call)
        with adapter.send(_prepare(call), stream=True, timeout=(remaining_s, remaining_s)) as response:
            body = _read(response.raw, self._limits.body_limit_of(call.request))
            call.detach()
        if call.aborted:
            raise Fault(Status.TIMEOUT, LATE)
        content_type, retry_after = _text(response, "Content-Type"), _text(response, "Retry-After")
        keeps_headers = call.request.keeps_headers or not 200 <= response.status_code <= 299
        return _result(
            call,
            str(response.status_code),
            content_type=content_type,
            retry_after=retry_after,
            headers=written_headers(response.raw.headers.iteritems()) if keeps_headers else None,
            body=body,
        )

    def _adapter(self, certificate: ClientCertificate | None) -> PinnedAdapter:
        """Each has connections of its own: none is used with another certificate than it was opened with."""
        if len(self._adapters) > _ADAPTERS_MAX:
            self._close_adapters()
        if (adapter := self._adapters.get(certificate)) is None:
            adapter = PinnedAdapter(pool_connections=256, pool_maxsize=_THREADS)
            adapter = self._adapters.setdefault(certificate, adapter)
        return adapter

    def _close_adapters(self) -> None:
        """Closes the connections that no call uses."""
        for certificate in list(self._adapters):
            if (adapter := self._adapters.pop(certificate, None)) is not None:
                adapter.close()


def _result(call: Call, status: str, **parts: Any) -> Result:
    return Result(tag=call.request.tag, status=status, started_s=call.started_s, finished_s=monotonic(), **parts)


def _prepare(call: Call) -> requests.PreparedRequest:
    """What the adapter sends; not by `prepare` of requests, which adds headers and rewrites the URL."""
    headers, body = call.request.headers, call.request.body
    check_headers(headers)
    prepared = requests.PreparedRequest()
    prepared.method, prepared.url, prepared.body = call.request.method, call.target.url, body
    prepared.headers = CaseInsensitiveDict([*headers, ("Content-Length", str(len(body)))])
    return prepared


def _read(raw: urllib3.BaseHTTPResponse, limit: int) -> bytes:
    """The body, cut at `limit`. Read to its end the connection is kept, otherwise the caller closes it."""
    body = bytearray()
    while len(body) <= limit:
        data = raw.read1(min(65_536, limit + 1 - len(body)), decode_content=False)
        if not data:
            return bytes(body)
        body += data
    return bytes(body[:limit])


def _text(response: requests.Response, name: str) -> str | None:
    values = response.raw.headers.getlist(name)
    return values[-1].strip()[:TEXT_LIMIT] if values else None


def _fault(error: Exception, call: Call) -> tuple[Status, str]:
    """What went wrong. requests and urllib3 wrap errors several deep, so the whole chain is read."""
    if isinstance(error, Fault):
        return error.status, error.reason
    if isinstance(error, Unsendable):
        return Status.UNKNOWN_ERROR, str(error)
    chain = list(_chain(error))
    if call.aborted or _any(chain, TimeoutError, urllib3.exceptions.TimeoutError):
        return Status.TIMEOUT, LATE
    if call.request.certificate is not None and any(_refuses_certificate(one) for one in chain):
        return Status.SSL_ERROR, CERTIFICATE_REFUSED
    if _any(chain, ssl.SSLCertVerificationError):
        return Status.SSL_ERROR, "the receiver's certificate is not valid"
    if _any(chain, ssl.SSLError, urllib3.exceptions.SSLError):
        return Status.SSL_ERROR, "the TLS handshake failed"
    if _any(chain, http.client.RemoteDisconnected):
        return Status.CONNECTION_FAILED, "the receiver closed the connection without a response"
    if _any(chain, http.client.IncompleteRead, ConnectionError):
        return Status.CONNECTION_FAILED, "the connection broke before the response ended"
    if _any(chain, http.client.HTTPException):
        return Status.UNKNOWN_ERROR, "the response is not HTTP"
    if _any(chain, OSError, urllib3.exceptions.ProtocolError):
        return Status.CONNECTION_FAILED, "the connection broke before the response ended"
    return Status.UNKNOWN_ERROR, type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        yield from (part for part in error.args if isinstance(part, BaseException))
        error = error.__cause__ or error.__context__


def _refuses_certificate(error: BaseException) -> bool:
    """Whether it is an alert of the receiver that says so (RFC 8446, 6.2)."""
    alert = str(getattr(error, "reason", None))
    return isinstance(error, ssl.SSLError) and "ALERT" in alert and ("CERTIFICATE" in alert or "UNKNOWN_CA" in alert)


def _any(chain: Sequence[BaseException], *kinds: type[BaseException]) -> bool:
    # The exceptions of requests are OSErrors, all of them, so they say nothing.
    return any(isinstance(error, kinds) for error in chain if not isinstance(error, requests.RequestException))
