"""The application that the server runs (`server.py`).

An event loop takes the requests, and answers emits itself (`emit_endpoint.py`). Everything else is Flask's, in threads.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from dispatcher.access.rate_limit import DEFAULT
from dispatcher.api.addresses import is_trusted
from dispatcher.api.auth import ADMITTED, bearer, needs_token, quota_headers, takes_forms
from dispatcher.api.errors import error_answer
from dispatcher.api.health import quick_answer
from dispatcher.api.http import Answer, json_answer
from dispatcher.api.sign_in_queue import SignInQueue, is_sign_in
from dispatcher.api.v1.polls import EMPTY
from dispatcher.api.v1.problems import is_v1
from dispatcher.container import Container
from dispatcher.model.event import BODY_LIMIT
from dispatcher.storage.pipeline import polls
from dispatcher.web.bodies import (
    FORM_LIMIT,
    LINGER_S,
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
from dispatcher.web.connections import CONNECTIONS, TURN, Connections, Owed, Turn
from dispatcher.web.emit_endpoint import EmitEndpoint, slug_of_emit
from dispatcher.web.long_polls import LongPolls

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
_TWO_HOSTS = json_answer(400, {"error": "invalid_request", "error_description": 'There is more than one header "Host"'})


class Asgi:
    """The application, over the WSGI application `app`."""

    def __init__(self, app: "WSGIApplication", container: Container, connections: int) -> None:
        """`connections`: the most there may be."""
        self._app = app
        self._container = container
        self._most = connections
        self._trusted = container.settings.trusted_proxies
        self._callers = Callers(container)
        self._threads = ThreadPoolExecutor(container.settings.web_threads, thread_name_prefix="request")
        self._sign_ins = SignInQueue(self._call, self._trusted)
        self._large = LargeBodies(container.settings.web_threads)
        self._polls = LongPolls(
            lambda readers: container.storage.read(polls.ready, readers), self._threads, max(1, connections // 4)
        )
        self._emits = EmitEndpoint(container, self._callers, self._large, self._threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request; a client that goes away gets none."""
        if scope["type"] == "lifespan":
            await self._live(scope["state"], receive, send)
            return
        turn: Turn = scope["state"][TURN]
        turn.take_over()
        try:
            await self._serve(self._environ(scope), receive, send, turn)
        except ClientGone:
            pass
        finally:
            turn.finish()

    async def _live(self, state: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        state[CONNECTIONS] = connections = Connections(self._most)
        self._container.event_types.start()
        sweeping = asyncio.create_task(connections.keep_sweeping())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        sweeping.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, environ: dict[str, Any], receive: Receive, send: Send, turn: Turn) -> None:
        body = Body(environ, receive, turn)
        try:
            status, headers, text = await self._answer(environ, body)
        except BodyTooSlow:
            status, headers, text = _TOO_SLOW
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        if not body.is_whole:
            raw.append((b"Connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": text, "more_body": not body.is_whole})
        if not body.is_whole:
            turn.await_client(Owed.TAKING, LINGER_S)
            await body.discard()
            await send({"type": "http.response.body"})

    async def _answer(self, environ: dict[str, Any], body: Body) -> Answer:
        """In this order: who calls and whether they may, how much they send, and only then the body itself."""
        if "," in environ.get("HTTP_HOST", ""):
            return _TWO_HOSTS
        slug = slug_of_emit(environ)
        if slug is not None:
            return await self._emits.answer(environ, body, slug)
        if body.is_whole:
            return quick_answer(environ) or await self._without_body(environ)
        token = bearer(environ.get("HTTP_AUTHORIZATION", "")) if needs_token(environ["PATH_INFO"]) else None
        if token is None:
            return await self._without_token(environ, body)
        try:
            environ[ADMITTED] = admitted = await self._callers.admit(token, DEFAULT)
        except Exception as error:  # nobody shall ask again, and wait again
            return self._failed(environ, error)
        if admitted is None or admitted.exceeded:
            return await self._flask(environ, Unread(BODY_LIMIT))
        async with nullcontext() if body.is_small else self._large.place(admitted.share_of):
            return await self._read(environ, body, BODY_LIMIT, Owed.KNOWN_BODY)

    async def _without_token(self, environ: dict[str, Any], body: Body) -> Answer:
        if takes_forms(environ["PATH_INFO"]):
            return await self._read(environ, body, FORM_LIMIT, Owed.BODY)
        return await self._flask(environ, Unread(BODY_LIMIT))

    async def _without_body(self, environ: dict[str, Any]) -> Answer:
        """A poll without deliveries may wait, and is then repeated: whether it still may is asked again."""
        repeated = environ.copy()
        answer = await self._flask(environ, BytesIO())
        if EMPTY in environ and await self._polls.wait(environ[EMPTY]):
            return await self._flask(repeated, BytesIO())
        return answer

    async def _read(self, environ: dict[str, Any], body: Body, limit: int, owed: Owed) -> Answer:
        try:
            data = await body.read(limit, owed)
        except BodyTooLarge:
            return await self._flask(environ, Unread(limit))
        return await self._flask(environ, BytesIO(data))

    def _failed(self, environ: dict[str, Any], error: Exception) -> Answer:
        answer = error_answer(error, environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if not is_v1(environ["PATH_INFO"]):
            answer.headers.extend(quota_headers(self._container.access.limiter.unused[DEFAULT]).items())
        return answer

    async def _flask(self, environ: dict[str, Any], body: IO[bytes] | Unread) -> Answer:
        environ["wsgi.input"] = body
        if is_sign_in(environ):
            return await self._sign_ins.answer(environ)
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

    def _environ(self, scope: Scope) -> dict[str, Any]:
        """PEP 3333, but for the body. Names with `_` are dropped: here they would be those with `-`."""
        host, port = scope["server"]
        environ = {
            "REQUEST_METHOD": scope["method"],
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
            "QUERY_STRING": scope["query_string"].decode("latin-1"),
            "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "REMOTE_ADDR": (scope["client"] or ("",))[0],
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }
        for name, value in scope["headers"]:
            if b"_" not in name:
                key = name.decode("latin-1").upper().replace("-", "_")
                key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
                text = value.decode("latin-1")
                environ[key] = f"{environ[key]},{text}" if key in environ else text
        if environ.get("HTTP_X_FORWARDED_PROTO") == "https" and is_trusted(environ, self._trusted):
            environ["wsgi.url_scheme"] = "https"
        return environ
