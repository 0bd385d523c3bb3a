"""What gunicorn loads: `dispatcher.api.asgi:load()`. The settings come from the environment.

An event loop takes the requests, and answers emits itself (`quick_emit.py`): a thread for each would cost more than all
else about them. Everything else is Flask's, in threads.
"""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from dispatcher import log
from dispatcher.api.app import create_app
from dispatcher.api.door import Door, is_sign_in
from dispatcher.api.parts import BODY_LIMIT, text_of
from dispatcher.api.quick_emit import Answer, QuickEmit
from dispatcher.services import Services, services

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SMALL_BODY = 64 * 1024
"""Bytes. Of larger ones, only as many are in memory at a time as there are threads."""
READ_MOST = 4 * BODY_LIMIT
"""Bytes that are read of a body, most of them to be thrown away: who still sends would not see the answer."""
READ_S = 60.0
"""A body is there after so long, or the request is given up."""

_TOO_SLOW = Answer(
    408,
    [("Content-Type", "application/json")],
    text_of({"error": "request_timeout", "error_description": f"The body was not there within {READ_S:g} seconds"}),
)


class Asgi:
    """The application, over the WSGI application `app`."""

    def __init__(self, app: "WSGIApplication", own: Services) -> None:
        self._app = app
        self._quick = QuickEmit(own)
        self._threads = ThreadPoolExecutor(own.settings.web_threads, thread_name_prefix="request")
        self._door = Door(self._call, own.settings.trusted_proxies)
        self._large = asyncio.Semaphore(own.settings.web_threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request; a client that goes away gets none."""
        if scope["type"] != "http":
            raise ValueError(f"{scope['type']} is not spoken here")
        environ = dict(_environ(scope))
        if _is_small(environ):
            await self._serve(environ, receive, send)
        else:
            async with self._large:
                await self._serve(environ, receive, send)

    async def _serve(self, environ: dict[str, Any], receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(READ_S):
                body = await _body(receive)
        except TimeoutError:
            status, headers, text = _TOO_SLOW
        else:
            if body is None:
                return
            status, headers, text = await self._quick.answer(environ, body) or await self._flask(environ, body)
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]  # in the usual spelling
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": text})

    async def _flask(self, environ: dict[str, Any], body: bytes) -> Answer:
        environ["wsgi.input"] = BytesIO(body)
        if is_sign_in(environ):
            return await self._door.answer(environ)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, environ)

    def _call(self, environ: dict[str, Any]) -> Answer:
        """In a thread: what the WSGI application answers, whole. It streams nothing."""
        started: list[tuple[int, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _error: object = None
        ) -> Callable[[bytes], None]:
            started[:] = [(int(status[:3]), headers)]
            return lambda _: None

        parts = self._app(environ, start_response)
        try:
            text = b"".join(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()
        return Answer(*started[0], text)


def _is_small(environ: Mapping[str, Any]) -> bool:
    """Whether the body is small, or there is none."""
    length = environ.get("CONTENT_LENGTH", "0")
    if "HTTP_TRANSFER_ENCODING" in environ or not length.isdecimal():
        return False
    return len(length) <= len(str(SMALL_BODY)) and int(length) <= SMALL_BODY


def _environ(scope: Scope) -> Iterator[tuple[str, Any]]:
    """PEP 3333, but for the body."""
    yield "REQUEST_METHOD", scope["method"]
    yield "SCRIPT_NAME", ""
    yield "PATH_INFO", unquote_to_bytes(scope["raw_path"]).decode("latin-1")
    yield "QUERY_STRING", scope["query_string"].decode("latin-1")
    yield "SERVER_PROTOCOL", f"HTTP/{scope['http_version']}"
    host, port = scope.get("server") or ("localhost", 80)
    yield "SERVER_NAME", host
    yield "SERVER_PORT", str(port)
    yield "REMOTE_ADDR", (scope.get("client") or ("",))[0]
    yield "wsgi.version", (1, 0)
    yield "wsgi.url_scheme", scope["scheme"]
    yield "wsgi.errors", sys.stderr
    yield "wsgi.multithread", True
    yield "wsgi.multiprocess", True
    yield "wsgi.run_once", False
    yield "wsgi.input_terminated", True
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        text = value.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    yield from headers.items()


async def _body(receive: Receive) -> bytes | None:
    """The body, of one that is too large a little more than is allowed; None where the client went away."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        return bytes(message.get("body", b""))
    parts: list[bytes] = []
    size = 0
    while message["type"] == "http.request":
        if size <= BODY_LIMIT:
            parts.append(message.get("body", b""))
        size += len(message.get("body", b""))
        if not message.get("more_body", False) or size > READ_MOST:
            return b"".join(parts)
        message = await receive()
    return None


def load() -> Asgi:
    """For gunicorn, once in each of its processes."""
    own = services()
    log.set_up(own.settings.log_level, own.settings.log_format)
    made = Asgi(create_app(own), own)
    gc.freeze()  # what is loaded by now stays: the collector need not walk it again and again
    gc.set_threshold(50_000, 20, 20)  # a request's JSON is thousands of objects and no cycle; it walked them six times
    return made
