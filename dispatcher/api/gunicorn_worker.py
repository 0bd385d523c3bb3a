"""gunicorn's worker for ASGI, with three habits of ours."""

import socket
from typing import Any

from gunicorn.asgi import protocol
from gunicorn.workers import gasgi

from dispatcher.api.errors import UNPROCESSABLE

IDLE_EVERY_S = 0.2
"""While the worker ends, connections on which nothing is asked are closed this often."""

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


class Worker(gasgi.ASGIWorker):
    """At TERM it does not wait for kept connections on which nothing is asked: gunicorn's own does, for 30 s.

    And of connections that come at once it takes one in turn with the other processes. asyncio takes as many as there
    are, up to `backlog`, so that one process would serve a client with many kept connections, and another idle.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connections: set[Connection] = set()

    def run(self) -> None:
        """From start to end."""
        create_server = self.loop.create_server

        async def create_sharing(*args: Any, sock: socket.socket, **options: Any) -> Any:
            server = await create_server(*args, sock=sock, backlog=1, **options)
            sock.listen(self.cfg.backlog)  # how many may wait; asyncio's `backlog` means both
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
