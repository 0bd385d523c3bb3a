"""gunicorn's worker for ASGI, with three habits of ours."""

import os
import socket
import time
from collections.abc import Sized
from typing import Any

from gunicorn.asgi import protocol
from gunicorn.workers import gasgi

from dispatcher.api.errors import UNPROCESSABLE

IDLE_EVERY_S = 0.2
"""While the worker ends, connections on which nothing is asked are closed this often."""
TURN_S, TURN_MOST_S = 10e-6, 500e-6
"""For each connection that it has, a process lets the others go first for so long; meanwhile it polls."""

# ASGI has no reason phrases. gunicorn writes the one that RFC 9110 replaced; API v3 names the new one.
protocol._REASON_PHRASES[422] = UNPROCESSABLE.partition(" ")[2]


class Connection(protocol.ASGIProtocol):
    """A connection that its worker knows of."""

    def connection_made(self, transport: Any) -> None:
        """Begins."""
        super().connection_made(transport)
        self.worker.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends."""
        self.worker.connections.discard(self)
        super().connection_lost(exc)

    def close_if_idle(self) -> None:
        """Closes it, where the client has asked nothing that is not answered."""
        if self._awaiting_request and not self._finishing_calls:
            self.transport.close()


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
    """At TERM it does not wait for kept connections on which nothing is asked: gunicorn's own does, for 30 s.

    And connections are shared out among the processes (`Listener`).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connections: set[Connection] = set()

    def run(self) -> None:
        """From start to end."""
        create_server = self.loop.create_server

        async def create_sharing(*args: Any, sock: socket.socket, **options: Any) -> Any:
            listener = Listener(sock, self.connections)
            server = await create_server(*args, sock=listener, backlog=1, **options)  # 1: that it takes at a time
            listener.listen(self.cfg.backlog)  # and so many may wait
            return server

        self.loop.create_server = create_sharing
        super().run()

    def handle_exit_signal(self) -> None:
        """TERM."""
        super().handle_exit_signal()
        self._close_idle()

    def _close_idle(self) -> None:
        for connection in list(self.connections):
            connection.close_if_idle()
        self.loop.call_later(IDLE_EVERY_S, self._close_idle)


gasgi.ASGIProtocol = Connection  # what the worker makes connections of
