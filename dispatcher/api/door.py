"""Where sign-ins wait: a short line of their own, in threads of their own: no flood of them takes those of others.

Each costs a tenth of a second of all cores. Who comes when the line is full is sent away at once, on the event loop,
and so is an address that has its part of the line, or is known to have tried too often: others find room beside it. Who
comes again before the time it was told waits for its answer: thousands of refusals a second cost no less than sign-ins.
"""

import asyncio
import logging
import math
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import request

from dispatcher import clock, log
from dispatcher.access.sign_in import Outcome
from dispatcher.api.addresses import client_address, is_trusted, throttle_key
from dispatcher.api.http import Answer, address, container
from dispatcher.settings import Network

logger = logging.getLogger(__name__)

TRUSTED_PROXIES = "DISPATCHER_TRUSTED_PROXIES"
LINE, LINE_OF_ONE = 8, 4
"""Sign-ins that a process has in its line, and those of one address."""
BRAKE_S = 1.0
"""So long waits for its refusal who comes too early."""
SHUT = "dispatcher.shut"
"""Under this name a sign-in's WSGI environment is told how many seconds its address need not come again."""
KEPT_MOST = 10_000
"""Addresses that are remembered."""
_PATHS = frozenset({"/console/sign-in", "/api/v3/oauth"})
_NAME_LIMIT, _PASSWORD_LIMIT = 320, 1_024
_TEXT = (
    b"<!doctype html><html lang=en><meta charset=utf-8><title>Too many sign-ins</title>"
    b"<p>Too many people sign in at this moment, or you have tried too often. Go back, wait a moment, try again.</p>"
)


def is_sign_in(environ: dict[str, Any]) -> bool:
    """Whether a password comes with it."""
    return environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] in _PATHS


class Door:
    """The line of a process, before `call`, which answers a request in a thread."""

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
        self._threads = ThreadPoolExecutor(LINE, thread_name_prefix="sign-in")
        self._warned = False
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self._shut_until: dict[str, float] = {}
        """Address that has tried too often → until when; the oldest first."""
        self._told_until: dict[str, float] = {}
        """Address that was sent away → when it may come again; the oldest first."""

    async def answer(self, environ: dict[str, Any]) -> Answer:
        """The application's answer, or 429."""
        whence = throttle_key(client_address(environ, self._trusted))
        self._warn(environ)
        if wait_s := self._enter(whence):
            if not self._tell(whence, wait_s):
                await self._sleep(BRAKE_S)
            return _sent_away(wait_s)
        answered = self._threads.submit(self._call, environ)
        answered.add_done_callback(lambda _: self._leave(whence, environ.get(SHUT, 0)))  # the client may go before that
        return await asyncio.wrap_future(answered)

    def _warn(self, environ: Mapping[str, Any]) -> None:
        """Once, of what a proxy says and nobody believes: all people behind it have its address, and its limits."""
        if not self._warned and "HTTP_X_FORWARDED_FOR" in environ and not is_trusted(environ, self._trusted):
            self._warned = True
            logger.warning(log.line("web.proxy_not_trusted", peer=environ["REMOTE_ADDR"], setting=TRUSTED_PROXIES))

    def _enter(self, whence: str) -> int:
        """0 for who is in the line now; else the seconds to wait."""
        with self._lock:
            shut_s = self._shut_until.get(whence, 0.0) - self._monotonic()
            if shut_s > 0:
                return math.ceil(shut_s)
            if self._inside.total() >= LINE or self._inside[whence] >= LINE_OF_ONE:
                return 1
            self._inside[whence] += 1
            return 0

    def _leave(self, whence: str, shut_s: float) -> None:
        with self._lock:
            self._inside -= Counter((whence,))  # and one that has none left is forgotten
            if shut_s:
                _keep(self._shut_until, whence, self._monotonic() + shut_s)

    def _tell(self, whence: str, wait_s: int) -> bool:
        """False where it was told before, and has not waited."""
        with self._lock:
            now_s = self._monotonic()
            if self._told_until.get(whence, 0.0) > now_s:
                return False
            _keep(self._told_until, whence, now_s + wait_s)
            return True


def _keep(until: dict[str, float], whence: str, until_s: float) -> None:
    """At the end; the oldest of too many are forgotten."""
    until.pop(whence, None)
    until[whence] = until_s
    if len(until) > KEPT_MOST:
        del until[next(iter(until))]


def sign_in_as(name: str, password: str, *, slug: str = "", owner: bool = False) -> Outcome:
    """Who that is, as `flow.sign_in` tells; for a request that came through the door."""
    name, slug = name.strip(), slug.strip()
    if len(name + slug) > _NAME_LIMIT or not (name + slug).isprintable() or len(password) > _PASSWORD_LIMIT:
        return Outcome()
    outcome = container().access.sign_in(name, password, address=throttle_key(address()), slug=slug, owner=owner)
    if outcome.whole_address:
        request.environ[SHUT] = outcome.wait_s
    return outcome


def refusal(outcome: Outcome) -> str:
    """Why nobody signed in."""
    if outcome.wait_s:
        return f"Too many attempts. Try again in {outcome.wait_s} seconds."
    return "Incorrect e-mail or password."


def _sent_away(wait_s: int) -> Answer:
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(_TEXT)),
        "Retry-After": str(wait_s),
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    return Answer(429, list(headers.items()), _TEXT)
