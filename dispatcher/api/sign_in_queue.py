"""Sign-ins run in a short queue and threads of their own, so that a flood of them takes no threads of other requests.

Each costs a tenth of a second of all cores. Where the queue is full, a sign-in is refused on the event loop, and so is
one from an address that has its share of the queue, or has failed too often. An address that comes back before its
Retry-After waits for its refusal: thousands of refusals a second cost no less than sign-ins.
"""

import asyncio
import logging
import math
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Response, request

from dispatcher import clock, log
from dispatcher.access.sign_in import Outcome
from dispatcher.api.addresses import client_address, is_trusted, throttle_key
from dispatcher.api.http import Answer, address, container
from dispatcher.settings import Network

logger = logging.getLogger(__name__)

TRUSTED_PROXIES = "DISPATCHER_TRUSTED_PROXIES"
QUEUE_SIZE, QUEUE_SHARE = 8, 4
"""Sign-ins that a process has in its queue, of all addresses and of one."""
DELAY_S = 1.0
"""The delay of a refusal for an address that comes back too early."""
BLOCKED_S = "dispatcher.blocked_s"
"""The key of a WSGI environment under which the application puts how many seconds the sign-in's address is blocked."""
ADDRESSES_MAX = 10_000
"""Addresses that are remembered."""
_PATHS = frozenset({"/console/sign-in", "/api/v3/oauth"})
_NAME_LIMIT, _PASSWORD_LIMIT = 320, 1_024
_TEXT = (
    b"<!doctype html><html lang=en><meta charset=utf-8><title>Too many sign-ins</title>"
    b"<p>Too many sign-ins at the moment, or too many attempts by you. Go back, and try again in a moment.</p>"
)


def is_sign_in(environ: dict[str, Any]) -> bool:
    """Whether the request carries a password."""
    return environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] in _PATHS


class SignInQueue:
    """The queue of a process in front of `call`, which answers a request in a thread."""

    def __init__(
        self,
        call: Callable[[dict[str, Any]], Answer],
        trusted: Sequence[Network],
        monotonic: Callable[[], float] = clock.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._call = call
        self._trusted = trusted
        self._monotonic = monotonic
        self._sleep = sleep
        self._threads = ThreadPoolExecutor(QUEUE_SIZE, thread_name_prefix="sign-in")
        self._warned = False
        self._lock = threading.Lock()
        self._queued: Counter[str] = Counter()
        self._blocked_until: dict[str, float] = {}
        """Address that has failed too often → until when; the oldest first."""
        self._retry_after: dict[str, float] = {}
        """Address that was refused → when it may come back; the oldest first."""

    async def answer(self, environ: dict[str, Any]) -> Answer:
        """The application's response, or 429."""
        key = throttle_key(client_address(environ, self._trusted))
        self._warn(environ)
        if wait_s := self._acquire(key):
            if not self._refuse(key, wait_s):
                await self._sleep(DELAY_S)
            return _too_many_sign_ins(wait_s)
        answer = self._threads.submit(self._call, environ)
        answer.add_done_callback(lambda _: self._release(key, environ.get(BLOCKED_S, 0)))  # the client may be gone
        return await asyncio.wrap_future(answer)

    def _warn(self, environ: Mapping[str, Any]) -> None:
        """Once, of a proxy that is not trusted: everybody behind it has its address, and shares its limits."""
        if not self._warned and "HTTP_X_FORWARDED_FOR" in environ and not is_trusted(environ, self._trusted):
            self._warned = True
            logger.warning(log.line("web.proxy_not_trusted", peer=environ["REMOTE_ADDR"], setting=TRUSTED_PROXIES))

    def _acquire(self, key: str) -> int:
        """0 where it is in the queue now, else the seconds to wait."""
        with self._lock:
            blocked_s = self._blocked_until.get(key, 0.0) - self._monotonic()
            if blocked_s > 0:
                return math.ceil(blocked_s)
            if self._queued.total() >= QUEUE_SIZE or self._queued[key] >= QUEUE_SHARE:
                return 1
            self._queued[key] += 1
            return 0

    def _release(self, key: str, blocked_s: float) -> None:
        with self._lock:
            self._queued -= Counter((key,))  # drops an address that has none left
            if blocked_s:
                _remember(self._blocked_until, key, self._monotonic() + blocked_s)

    def _refuse(self, key: str, wait_s: int) -> bool:
        """False where it was refused before, and has not waited."""
        with self._lock:
            now_s = self._monotonic()
            if self._retry_after.get(key, 0.0) > now_s:
                return False
            _remember(self._retry_after, key, now_s + wait_s)
            return True


def _remember(until: dict[str, float], key: str, until_s: float) -> None:
    """At the end; the oldest of too many are dropped."""
    until.pop(key, None)
    until[key] = until_s
    if len(until) > ADDRESSES_MAX:
        del until[next(iter(until))]


def sign_in_as(name: str, password: str, *, slug: str = "", owner: bool = False) -> Outcome:
    """The outcome of `access.sign_in`, for a request that came through the queue."""
    name, slug = name.strip(), slug.strip()
    if len(name + slug) > _NAME_LIMIT or not (name + slug).isprintable() or len(password) > _PASSWORD_LIMIT:
        return Outcome()
    outcome = container().access.sign_in(name, password, address=throttle_key(address()), slug=slug, owner=owner)
    if outcome.whole_address:
        request.environ[BLOCKED_S] = outcome.wait_s
    return outcome


def refusal(outcome: Outcome, form: Callable[[str, int], Response]) -> Response:
    """`form(problem, status)`, which says why nobody signed in."""
    if not outcome.wait_s:
        return form("Incorrect e-mail or password.", 403)
    response = form(f"Too many attempts. Try again in {outcome.wait_s} seconds.", 429)
    response.headers["Retry-After"] = str(outcome.wait_s)
    return response


def _too_many_sign_ins(wait_s: int) -> Answer:
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(_TEXT)),
        "Retry-After": str(wait_s),
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    return Answer(429, list(headers.items()), _TEXT)
