"""uvicorn as it is: one process or several, each with a socket of its own, among which the kernel shares newcomers.

Where they shared a socket, whoever woke first took all the connections of a client's pool, and the others stood idle.
"""

import contextlib
import gc
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable

import uvicorn

from dispatcher import log
from dispatcher.current import current_container
from dispatcher.processes import child
from dispatcher.settings import Settings
from dispatcher.web.app import create_app
from dispatcher.web.asgi import Asgi
from dispatcher.web.connections import Connection

FILES_BESIDES = 100
"""Open files of a process besides its connections: libraries, Postgres, Redis, requests of `ping`."""
GRACE_S = 30
"""How long a process that stops goes on with the requests it has."""
RESTART_S = 0.5
"""The pause before a process that ended is started again."""
_BACKLOG = 2_048


def run(settings: Settings, announce: Callable[[], None]) -> None:
    """Serves until TERM or INT, which raise SystemExit; `announce` is called once connections are taken."""
    sockets = _sockets(settings.host, settings.port, settings.web_workers or max(1, _cores() // 2))
    files = _raise_file_limit()
    server = _server(settings, min(settings.web_connections, max(1, files - FILES_BESIDES)))
    announce()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)  # which uvicorn calls at its own end
    if len(sockets) == 1:
        server.run(sockets)
    else:
        _Processes(server, sockets).run()


def _server(settings: Settings, connections: int) -> uvicorn.Server:
    container = current_container()
    log.set_up(settings.log_level, settings.log_format)
    app = Asgi(create_app(container), container, connections)
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        proxy_headers=False,  # whom to believe is for the application to say
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="error",  # it warns of each request that is none
        timeout_keep_alive=75,  # longer than the proxies before it keep an idle connection, which they would use again
        timeout_graceful_shutdown=GRACE_S,
        backlog=_BACKLOG,
    )
    config.load()
    gc.freeze()  # what is loaded by now stays: the collector need not walk it again and again
    gc.set_threshold(50_000, 20, 20)  # a request's JSON is thousands of objects and no cycle; it walked them six times
    return uvicorn.Server(config)


class _Processes:
    """One for each of the sockets, which outlive them: who waits there for one that ended is served by the next."""

    def __init__(self, server: uvicorn.Server, sockets: list[socket.socket]) -> None:
        self._server = server
        self._sockets = sockets
        self._running: dict[int, socket.socket] = {}
        self._is_ending = False

    def run(self) -> None:
        """Until TERM or INT; then until the last has ended."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._end())
        for each in self._sockets:
            self._start(each)
        while self._running:
            pid, _ = os.wait()
            listening = self._running.pop(pid)
            if not self._is_ending:
                time.sleep(RESTART_S)
                self._start(listening)

    def _start(self, listening: socket.socket) -> None:
        die_with_parent = child.die_with_parent(signal.SIGTERM)
        pid = os.fork()
        if pid == 0:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, _leave)
            die_with_parent()
            for other in self._sockets:
                if other is not listening:
                    other.close()
            self._server.run([listening])
            raise SystemExit(0)
        self._running[pid] = listening
        if self._is_ending:
            self._end()

    def _end(self) -> None:
        self._is_ending = True
        for pid in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def _cores() -> int:
    """Those that this process may use: the workers, Postgres and Redis want some, too."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _leave(*_: object) -> None:
    raise SystemExit(0)


def _sockets(host: str, port: int, count: int) -> list[socket.socket]:
    """As many as processes; raises OSError where the port is taken, also by sockets that would share it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    alone = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    if count == 1:
        return [alone]
    alone.close()
    return [socket.create_server((host, port), family=family, backlog=_BACKLOG, reuse_port=True) for _ in range(count)]


def _raise_file_limit() -> int:
    """As many open files as the machine lets us: each connection is one, and the usual 1,024 is from another time."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 1_048_576 if hard == resource.RLIM_INFINITY else hard
    with contextlib.suppress(ValueError, OSError):  # macOS has a limit of its own below "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
