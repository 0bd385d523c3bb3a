"""The sender of a drain: HTTP by one of the two senders, messages to brokers by threads of theirs (`brokers`).

Queues and buckets of clouds have HTTP APIs, so what goes there is HTTP too.

Nobody waits for a broker: a message whose time is over has timed out, whatever its thread is at.
"""

import threading
from collections.abc import Mapping

from dispatcher.clock import monotonic
from dispatcher.model.attempt import Result, Status
from dispatcher.model.destination import Destination
from dispatcher.sender.brokers import LATE, Brokers, ExtraMissing, Publication, import_extra
from dispatcher.sender.contract import Limits, Request, Sender
from dispatcher.sender.wire import Unsendable

_CLOUDS: Mapping[str, str] = {"sqs": "aws", "s3": "aws", "pubsub": "pubsub"}
"""Scheme → the module here that makes a request of HTTP of the message (`as_http`)."""


class MixedSender:
    """Keeps the contract `Sender`. While no message is under way, the HTTP sender's results are its own."""

    def __init__(self, http: Sender, brokers: Brokers, limits: Limits) -> None:
        self._http = http
        self._brokers = brokers
        self._limits = limits
        self._publications: set[Publication] = set()
        self._landed: list[Result] = []
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._is_closed = False

    @property
    def capacity(self) -> int:
        """Requests that can be in flight at once."""
        return self._http.capacity

    @property
    def in_flight(self) -> int:
        """Requests started whose result was not given back."""
        return self._http.in_flight + len(self._publications) + len(self._landed)

    def start(self, request: Request) -> None:
        """Begins `request`; returns at once."""
        if request.destination is None:
            self._http.start(request)
            return
        cloud = _CLOUDS.get(request.url.partition(":")[0].lower())
        if cloud is not None:
            self._start_as_http(cloud, request, request.destination)
            return
        publication = Publication(
            request, request.destination, monotonic(), self._limits.timeout_of(request), self._land
        )
        self._publications.add(publication)
        try:
            self._brokers.submit(publication)
        except RuntimeError:  # the system has no thread left
            self._publications.discard(publication)
            raise

    def results(self, wait_s: float) -> list[Result]:
        """What has finished; waits up to `wait_s` seconds for the first, not at all where nothing is in flight."""
        if not self._publications and not self._landed:
            return self._http.results(wait_s)
        self._time_out()
        if self._landed:
            return self._take() + (self._http.results(0.0) if self._http.in_flight else [])
        deadlines_s = [publication.deadline_s for publication in [*self._publications]]
        if not deadlines_s:  # the last one has landed this moment
            return self._take()
        wait_s = max(0.0, min(wait_s, min(deadlines_s) - monotonic()))
        results = []
        if self._http.in_flight:
            results = self._http.results(wait_s)
        else:
            self._news.wait(wait_s)
        self._time_out()
        return results + self._take()

    def wake(self) -> None:
        """Ends the wait of a `results` under way, or of the next; by any thread."""
        self._news.set()
        self._http.wake()

    def close(self) -> None:
        """Abandons what is in flight; connections to brokers are the process's."""
        with self._lock:  # no thread wakes the HTTP sender once it is closed: its descriptors may be another's
            self._is_closed = True
            abandoned, self._publications = self._publications, set()
        self._http.close()
        self._landed.clear()
        for publication in abandoned:
            publication.timeout_s = 0.0
        for publication in abandoned:
            self._brokers.abort(publication)

    def _start_as_http(self, module: str, request: Request, destination: Destination) -> None:
        try:
            request = import_extra(module, request.url).as_http(request, destination)
        except (Unsendable, ExtraMissing) as error:
            now_s = monotonic()
            self._landed.append(
                Result(
                    tag=request.tag, status=Status.UNKNOWN_ERROR, reason=str(error), started_s=now_s, finished_s=now_s
                )
            )
        else:
            self._http.start(request)

    def _land(self, publication: Publication, status: str, reason: str | None) -> None:
        """By a broker's thread, or this one."""
        with self._lock:
            if self._is_closed or publication not in self._publications:  # it has timed out
                return
            self._landed.append(publication.result(status, reason))
            self._publications.discard(publication)
            self.wake()

    def _time_out(self) -> None:
        now_s = monotonic()
        for publication in [publication for publication in [*self._publications] if publication.deadline_s <= now_s]:
            self._land(publication, Status.TIMEOUT, LATE)
            self._brokers.abort(publication)

    def _take(self) -> list[Result]:
        with self._lock:
            self._news.clear()
            landed, self._landed = self._landed, []
        return landed
