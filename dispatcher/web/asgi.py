"""What gunicorn loads: `dispatcher.web.asgi:load()`. The settings come from the environment.

An event loop takes the requests, and answers emits itself (`emit_endpoint.py`). Everything else is Flask's, in threads.
"""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from dispatcher import log
from dispatcher.access.rate_limit import DEFAULT
from dispatcher.api.auth import ADMITTED, bearer, needs_token, quota_headers, takes_forms
from dispatcher.api.door import Door, is_sign_in
from dispatcher.api.errors import error_answer
from dispatcher.api.health import quick_answer
from dispatcher.api.parts import BODY_LIMIT, Answer, json_answer
from dispatcher.container import Container, current_container
from dispatcher.web.app import create_app
from dispatcher.web.bodies import (
    FORM_LIMIT,
    READ_S,
    SILENCE_S,
    Body,
    BodyTooLarge,
    BodyTooSlow,
    ClientGone,
    LargeBodies,
    Receive,
    Unread,
)
from dispatcher.web.callers import Callers
from dispatcher.web.connections import ANSWER_S, TURN, Owed, Turn
from dispatcher.web.emit_endpoint import EmitEndpoint, slug_of_emit

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_TOO_SLOW = json_answer(
    408,
    {
        "error": "request_timeout",
        "error_description": f"The body came too slowly: no part may take {SILENCE_S:g} s, nor all of it {READ_S:g}",
    },
)


class Asgi:
    """The application, over the WSGI application `app`."""

    def __init__(self, app: "WSGIApplication", container: Container) -> None:
        self._app = app
        self._container = container
        self._callers = Callers(container)
        self._threads = ThreadPoolExecutor(container.settings.web_threads, thread_name_prefix="request")
        self._door = Door(self._call, container.settings.trusted_proxies)
        self._large = LargeBodies(container.settings.web_threads)
        self._emits = EmitEndpoint(container, self._callers, self._large, self._threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request; a client that goes away gets none."""
        if scope["type"] != "http":
            raise ValueError(f"{scope['type']} is not spoken here")
        environ = dict(_environ(scope))
        turn: Turn = scope.get(TURN) or Turn.alone()
        body = Body(environ, receive, turn)
        try:
            status, headers, text = await self._answer(environ, body)
        except ClientGone:
            return
        except BodyTooSlow:
            status, headers, text = _TOO_SLOW
        turn.theirs(Owed.TAKING, ANSWER_S)
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]  # in the usual spelling
        if not body.is_whole:
            raw.append((b"Connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": text})
        if not body.is_whole:
            await body.throw_away()

    async def _answer(self, environ: dict[str, Any], body: Body) -> Answer:
        """In this order: who calls and whether they may, how much they send, and only then the body itself."""
        slug = slug_of_emit(environ)
        if slug is not None:
            return await self._emits.answer(environ, body, slug)
        if body.is_whole:
            return quick_answer(environ) or await self._flask(environ, BytesIO())
        token = bearer(environ.get("HTTP_AUTHORIZATION", "")) if needs_token(environ["PATH_INFO"]) else None
        if token is None:
            return await self._without_token(environ, body)
        try:
            environ[ADMITTED] = admitted = await self._callers.admit(token, DEFAULT)
        except Exception as error:  # nobody shall look it up again, and wait again
            return self._failed(environ, error)
        if admitted is None or admitted.allowance.exceeded:
            return await self._flask(environ, Unread(BODY_LIMIT))
        async with nullcontext() if body.is_small else self._large.place(admitted.caller.account.id):
            return await self._read(environ, body, BODY_LIMIT, Owed.KNOWN_BODY)

    async def _without_token(self, environ: dict[str, Any], body: Body) -> Answer:
        if takes_forms(environ["PATH_INFO"]):
            return await self._read(environ, body, FORM_LIMIT, Owed.BODY)
        return await self._flask(environ, Unread(BODY_LIMIT))

    async def _read(self, environ: dict[str, Any], body: Body, limit: int, owed: Owed) -> Answer:
        try:
            data = await body.read(limit, owed)
        except BodyTooLarge:
            return await self._flask(environ, Unread(limit))
        return await self._flask(environ, BytesIO(data))

    def _failed(self, environ: dict[str, Any], error: Exception) -> Answer:
        answer = error_answer(error, environ["REQUEST_METHOD"], environ["PATH_INFO"])
        answer.headers.extend(quota_headers(self._container.access.limiter.unused[DEFAULT]).items())
        return answer

    async def _flask(self, environ: dict[str, Any], body: IO[bytes] | Unread) -> Answer:
        environ["wsgi.input"] = body
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


def load() -> Asgi:
    """For gunicorn, once in each of its processes."""
    container = current_container()
    log.set_up(container.settings.log_level, container.settings.log_format)
    made = Asgi(create_app(container), container)
    gc.freeze()  # what is loaded by now stays: the collector need not walk it again and again
    gc.set_threshold(50_000, 20, 20)  # a request's JSON is thousands of objects and no cycle; it walked them six times
    return made
