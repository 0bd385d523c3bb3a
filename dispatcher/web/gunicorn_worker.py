"""gunicorn's worker for ASGI, with a way of ours to take connections, and to let go of them."""

import asyncio
import os
import resource
import socket
import time
from collections.abc import Sized
from typing import Any

from gunicorn.asgi import protocol
from gunicorn.workers import gasgi

from dispatcher.api.parts import text_of
from dispatcher.web.connections import HEAD_S, KEPT_S, TURN, Connections, Owed, Turn

IDLE_EVERY_S = 0.2
"""While the worker ends, connections on which nothing is asked are closed this often."""
SWEEP_EVERY_S = 1.0
"""So much later than it might a late connection is ended."""
CANCEL_S = 1.0
"""What is still being answered when it ends has so long to be given up."""
FILES_BESIDES = 100
"""That a process has open besides its connections: libraries, Postgres, Redis, what is being sent by `ping`."""
TURN_S, TURN_MOST_S = 10e-6, 500e-6
"""For each connection that it has, a process lets the others go first for so long; meanwhile it polls."""


def _written(status: str, code: str, description: str, header: str = "") -> bytes:
    """An answer, whole, after which the connection is closed."""
    text = text_of({"error": code, "error_description": description})
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n{header}"
    return head.encode() + b"Connection: close\r\n\r\n" + text


_BUSY = _written(
    "503 Service Unavailable",
    "temporarily_unavailable",
    "This connection cannot be served now; try again later",
    "Retry-After: 1\r\n",
)
_LATE = _written(
    "408 Request Timeout", "request_timeout", f"The request's head was not whole within {HEAD_S:g} seconds"
)
_NO_UPGRADE = _written("400 Bad Request", "invalid_request", "There are no WebSockets here")


class Connection(protocol.ASGIProtocol):
    """A connection whose turns are minded (`connections.py`); the application finds its Turn in the scope."""

    def __init__(self, worker: "Worker") -> None:
        super().__init__(worker)
        self.app = self._answer  # which gunicorn calls once a request's head is whole
        self._turn: Turn | None = None

    def connection_made(self, transport: Any) -> None:
        """Begins, or is refused."""
        self._turn = self.worker.connections.join(self)
        if self._turn is not None:
            super().connection_made(transport)
        else:
            self.transport = transport
            self._end(_BUSY)

    def data_received(self, data: bytes) -> None:
        """The client says something: where nothing was asked, a head begins."""
        if self._turn is not None and self._turn.owed is Owed.NOTHING:
            self._turn.theirs(Owed.HEAD, HEAD_S)
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends."""
        if self._turn is not None:
            self.worker.connections.part(self._turn)
            super().connection_lost(exc)

    def give_way(self) -> None:
        """Closes it for a newcomer's sake."""
        self._end(b"" if self._is_unasked() else _BUSY)

    def time_out(self) -> None:
        """Closes it, where a head did not come; where an answer is not taken, nothing more can be said."""
        self._end(_LATE if self._turn is not None and self._turn.owed is Owed.HEAD else b"")

    def _is_unasked(self) -> bool:
        return self._turn is not None and self._turn.owed is Owed.NOTHING

    def _end(self, last_words: bytes) -> None:
        """Closes it at once: what the client has not taken by then it will not take."""
        if last_words and not self.transport.is_closing() and not self.transport.get_write_buffer_size():
            self.transport.write(last_words)
        if self.transport.is_closing() or self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":  # a WebSocket: there is none here
            self._end(_NO_UPGRADE)
            return
        assert self._turn is not None  # noqa: S101 - else nothing of it is read
        self._turn.ours()
        scope[TURN] = self._turn
        try:
            await self.worker.asgi(scope, receive, send)
        finally:
            self._turn.theirs(Owed.NOTHING, KEPT_S)


class Listener(socket.socket):
    """The socket `listening`, of which all processes take connections: the fewer they have, the sooner.

    asyncio's own way is to take all there are. A client's pool of kept connections, opened within a millisecond, would
    be one process's for good, and the others idle.
    """

    def __init__(self, listening: socket.socket, connections: Sized) -> None:
        super().__init__(listening.family, listening.type, listening.proto, os.dup(listening.fileno()))
        self._connections = connections
        self._next_s = 0.0

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection; raises BlockingIOError while it is another's turn."""
        if time.monotonic() < self._next_s:
            raise BlockingIOError
        taken = super().accept()
        self._next_s = time.monotonic() + min(TURN_S * len(self._connections), TURN_MOST_S)
        return taken


class Worker(gasgi.ASGIWorker):
    """Shares connections out among the processes (`Listener`), and keeps neither too many nor too slow ones.

    At TERM it does not wait for kept connections on which nothing is asked: gunicorn's own does, for 30 s.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)  # `dispatcher serve` has raised it as far as it may
        self.connections = Connections(min(self.cfg.worker_connections, max(1, files - FILES_BESIDES)))
        self._patience_s = float(self.cfg.graceful_timeout)

    def run(self) -> None:
        """From start to end."""
        try:
            self.loop.run_until_complete(self._run())
        finally:
            self.loop.close()

    def handle_quit_signal(self) -> None:
        """QUIT or INT: what is being answered is not waited for."""
        super().handle_quit_signal()
        self._patience_s = 0.0

    def handle_exit_signal(self) -> None:
        """TERM."""
        super().handle_exit_signal()
        self._close_idle()

    async def _run(self) -> None:
        servers = [await self._listen(each.sock) for each in self.sockets]
        while self.alive and self.ppid == os.getppid():
            self.notify()
            self.connections.sweep()
            await asyncio.sleep(SWEEP_EVERY_S)
        for server in servers:
            server.close()
        began_s = time.monotonic()
        while self.nr_conns > 0 and time.monotonic() - began_s < self._patience_s:
            self._close_idle()
            self.connections.sweep()
            await asyncio.sleep(IDLE_EVERY_S)
        if unfinished := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in unfinished:
                task.cancel()
            await asyncio.wait(unfinished, timeout=CANCEL_S)

    async def _listen(self, listening: socket.socket) -> asyncio.Server:
        listener = Listener(listening, self.connections)
        # A backlog of 1: that it takes at a time. And so many may wait, as gunicorn's settings have it.
        server: asyncio.Server = await self.loop.create_server(lambda: Connection(self), sock=listener, backlog=1)
        listener.listen(self.cfg.backlog)
        return server

    def _close_idle(self) -> None:
        for turn in self.connections.unasked():
            turn.give_way()
