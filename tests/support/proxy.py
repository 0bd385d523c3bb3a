"""An HTTP proxy that knows CONNECT and nothing else; a test says how it treats those who ask."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class ConnectProxy:
    """Listens on loopback. `asked` are the first lines and authorizations that came, in turn.

    `answer` is sent in the place of a connection, where it is set; with `route` it connects there, whatever is asked.
    """

    def __init__(self, *, answer: bytes | None = None, route: tuple[str, int] | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._answer, self._route = answer, route
        self.asked: list[tuple[str, str | None]] = []
        self.clients: list[str] = []
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for one in [self._listener, *self._open]:
            _shut(one)

    def _accept(self) -> None:
        while True:
            try:
                line, (client, _) = self._listener.accept()
            except OSError:
                return
            self.clients.append(client)
            self._open.add(line)
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        try:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                received = line.recv(1)
                if not received:
                    return
                head += received
            first, *others = head.decode().splitlines()
            fields = dict(other.split(": ", 1) for other in others if other)
            self.asked.append((first, fields.get("Proxy-Authorization")))
            if self._answer is not None:
                line.sendall(self._answer)
                return
            host, _, port = first.split()[1].rpartition(":")
            with socket.create_connection(self._route or (host.strip("[]"), int(port))) as out:
                self._open.add(out)
                line.sendall(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 tests\r\n\r\n")
                back = threading.Thread(target=_pump, args=(out, line), daemon=True)
                back.start()
                _pump(line, out)
                back.join()
        except OSError:
            pass  # the client left, or there is nobody to connect to
        finally:
            _shut(line)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
