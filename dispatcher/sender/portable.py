"""The sender on requests and threads: slower by far than libcurl, but pure Python, for machines without pycurl.

Each request runs in one thread of a crew, over connections that all threads share. A watchdog ends what passes its
deadline. requests' own Session is left out: redirects, cookies, proxies, .netrc and variables of the environment are
its doing, and a delivery wants none of them.
"""

import http.client
import logging
import queue
import socket
import ssl
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import certifi
import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from dispatcher.clock import monotonic
from dispatcher.model.attempt import Result, Status
from dispatcher.sender.contract import Limits, Request
from dispatcher.sender.guard import AddressGuard
from dispatcher.sender.pinned import Call, PinnedAdapter
from dispatcher.sender.response import Fault
from dispatcher.sender.threads import Crew, Watchdog
from dispatcher.sender.wire import TEXT_LIMIT, Resolver, Unsendable, check_headers, target

_THREADS = 32
_LOOK_UPS = 16


class RequestsSender:
    """Keeps the contract `Sender`. HTTP/1.1 only.

    `ca_file` holds the certificates that are trusted; `resolver` takes the place of the system's look-up.
    """

    def __init__(self, limits: Limits, *, ca_file: str | None = None, resolver: Resolver | None = None) -> None:
        # It would warn of a receiver's bad header with the whole URL, which may hold a token.
        logging.getLogger("urllib3.connection").setLevel(logging.ERROR)
        self._limits = limits
        self._guard = AddressGuard(limits.allowed_networks, limits.refused_networks)
        self._resolver = resolver or _resolve
        self._adapter = PinnedAdapter(ca_file=ca_file or certifi.where(), connections=_THREADS)
        self._crew = Crew("sender", _THREADS)
        self._look_ups = Crew("look-up", _LOOK_UPS)
        self._watchdog = Watchdog()
        self._done: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._in_flight = 0

    @property
    def capacity(self) -> int:
        """Requests that can be in flight at once."""
        return _THREADS

    @property
    def in_flight(self) -> int:
        """Requests started whose result was not given back."""
        return self._in_flight

    def start(self, request: Request) -> None:
        """Begins `request`, as soon as a thread is free."""
        self._in_flight += 1
        started_s = monotonic()
        self._crew.take(lambda: self._done.put(self._attempt(request, started_s)))

    def results(self, wait_s: float) -> list[Result]:
        """What has finished; waits up to `wait_s` seconds for the first, not at all if nothing is in flight."""
        results: list[Result] = []
        try:
            if self._in_flight:
                results.append(self._done.get(timeout=max(wait_s, 0)))
            while len(results) < self._in_flight:
                results.append(self._done.get_nowait())
        except queue.Empty:
            pass
        self._in_flight -= len(results)
        return results

    def close(self) -> None:
        """Abandons what is in flight and closes all connections; waits at most a second for the threads."""
        self._in_flight = 0
        self._crew.dismiss()
        self._look_ups.dismiss()
        self._watchdog.close()  # ends every call, and with them the threads
        self._crew.join(1.0)
        self._adapter.close()

    def _attempt(self, request: Request, started_s: float) -> Result:
        deadline_s = started_s + self._limits.timeout_s
        call = Call(
            guard=self._guard,
            look_up=self._look_up,
            deadline_s=deadline_s,
            receive_limit=self._limits.receive_limit,
            connect_by_s=min(monotonic() + self._limits.connect_timeout_s, deadline_s),
        )
        try:
            return self._exchange(request, call, started_s)
        except Exception as error:
            # The contract promises a result for each request; what we do not know is `unknown_error`.
            status, reason = _fault(error, call)
            return Result(tag=request.tag, status=status, reason=reason, started_s=started_s, finished_s=monotonic())

    def _exchange(self, request: Request, call: Call, started_s: float) -> Result:
        prepared = _prepare(request, call)
        if not self._watchdog.guard(call):
            raise Fault(Status.TIMEOUT, "no thread was free in time; not sent")
        self._adapter.use(call)
        left = max(call.deadline_s - monotonic(), 0.001)
        try:
            with self._adapter.send(prepared, stream=True, timeout=(left, left)) as answer:
                body = _read(answer.raw, self._limits.body_limit)
        finally:
            call.end()
            self._watchdog.forget(call)
        if call.killed:
            raise Fault(Status.TIMEOUT, "no complete answer in time")
        return Result(
            tag=request.tag,
            status=str(answer.status_code),
            content_type=_text(answer, "Content-Type"),
            retry_after=_text(answer, "Retry-After"),
            body=body,
            started_s=started_s,
            finished_s=monotonic(),
        )

    def _look_up(self, host: str) -> "Future[Sequence[str]]":
        future: Future[Sequence[str]] = Future()

        def work() -> None:
            try:
                future.set_result(self._resolver(host))
            except (OSError, UnicodeError) as error:
                future.set_exception(error)

        self._look_ups.take(work)
        return future


def _resolve(host: str) -> Sequence[str]:
    """The addresses that the system knows for `host`; it also reads numbers such as 2130706433 and 0x7f.1."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(where[0]) for *_, where in found]


def _prepare(request: Request, call: Call) -> requests.PreparedRequest:
    """What the adapter sends; not by requests' own `prepare`, which adds headers and rewrites the URL."""
    prepared = requests.PreparedRequest()
    prepared.method = "POST"
    goal = target(request.url)
    prepared.url, call.path = goal.url, goal.path
    check_headers(request.headers)
    prepared.headers = CaseInsensitiveDict(request.headers)
    prepared.headers["Content-Length"] = str(len(request.body))
    prepared.body = request.body
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


def _text(answer: requests.Response, name: str) -> str | None:
    values = answer.raw.headers.getlist(name)
    return values[-1].strip()[:TEXT_LIMIT] if values else None


def _fault(error: Exception, call: Call) -> tuple[Status, str]:
    """What went wrong. requests and urllib3 wrap errors several deep, so the whole chain is looked at."""
    if isinstance(error, Fault):
        return error.status, error.reason
    if isinstance(error, Unsendable):
        return Status.UNKNOWN_ERROR, str(error)
    chain = list(_chain(error))
    if call.killed or _any(chain, TimeoutError, urllib3.exceptions.TimeoutError):
        return Status.TIMEOUT, "no complete answer in time"
    if _any(chain, ssl.SSLCertVerificationError):
        return Status.SSL_ERROR, "the receiver's certificate is not valid"
    if _any(chain, ssl.SSLError, urllib3.exceptions.SSLError):
        return Status.SSL_ERROR, "the TLS handshake failed"
    if _any(chain, http.client.RemoteDisconnected):
        return Status.CONNECTION_FAILED, "the receiver hung up without an answer"
    if _any(chain, http.client.IncompleteRead, ConnectionError):
        return Status.CONNECTION_FAILED, "the connection broke before the answer ended"
    if _any(chain, http.client.HTTPException):
        return Status.UNKNOWN_ERROR, "the answer is not HTTP"
    if _any(chain, OSError, urllib3.exceptions.ProtocolError):
        return Status.CONNECTION_FAILED, "the connection broke before the answer ended"
    return Status.UNKNOWN_ERROR, type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        yield from (part for part in error.args if isinstance(part, BaseException))
        error = error.__cause__ or error.__context__


def _any(chain: Sequence[BaseException], *kinds: type[BaseException]) -> bool:
    # requests' own exceptions are OSErrors, all of them, so they say nothing.
    return any(isinstance(error, kinds) for error in chain if not isinstance(error, requests.RequestException))
