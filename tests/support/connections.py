"""A `dispatcher serve` to be attacked: bytes go in as they are, and answers come out one by one.

web.line()                   a connection, closed with the block
line.send(b"...")            anything
line.answer()                the next answer, whole; None where the connection has ended
web.emit()                   what an honest client does meanwhile: the status, and the seconds it took
"""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from tests.support.api import Api, Server
from tests.support.cluster import SLUG

EVENT = {"name": "inbox_file_removed_all", "body": {"inbox_files": {"count": 1}}}
_LENGTH = re.compile(rb"\r\nContent-Length: ([0-9]+)\r\n", re.IGNORECASE)


class Answer(NamedTuple):
    """An answer as it came."""

    status: int
    head: str
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the server said that it closes the connection."""
        return "\r\nconnection: close\r\n" in self.head.lower()


class Line:
    """One connection. Nothing on it waits for longer than 20 s."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._come = b""

    def send(self, data: bytes) -> None:
        """Says so; a server that has closed does not hear it."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def answer(self) -> Answer | None:
        """The next answer; None where there is no more."""
        while b"\r\n\r\n" not in self._come:
            if not self._receive():
                return None
        head, _, self._come = self._come.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n")
        while len(self._come) < int(length[1] if length else 0):
            assert self._receive(), f"the answer ends in the middle: {head!r}"
        size = int(length[1] if length else 0)
        body, self._come = self._come[:size], self._come[size:]
        return Answer(int(head.split()[1]), f"{head.decode('latin-1')}\r\n", body)

    def rest(self) -> bytes:
        """Says that no more comes, and waits for the server to end; what it still said."""
        with suppress(OSError):  # the server was first
            self.socket.shutdown(socket.SHUT_WR)
        while self._receive():
            pass
        return self._come

    def ended(self, within_s: float) -> bool:
        """Whether the server ends the connection by then."""
        self.socket.settimeout(within_s)
        try:
            while self._receive():
                pass
        except TimeoutError:
            return False
        return True

    def _receive(self) -> bool:
        try:
            data = self.socket.recv(65_536)
        except ConnectionResetError:
            return False
        self._come += data
        return bool(data)


@dataclass(frozen=True, kw_only=True, slots=True)
class Web:
    """A server, and an honest client of it."""

    server: Server
    api: Api

    @contextmanager
    def line(self) -> Iterator[Line]:
        """A connection for the time of the block."""
        line = Line(self.server.port)
        try:
            yield line
        finally:
            line.socket.close()

    def head(self, method: str, path: str, *headers: str, token: str | None = None) -> bytes:
        """A request's head; `token` is sent with it."""
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "User-Agent: attack", *headers]
        if token is not None:
            lines += [f"Authorization: Bearer {token}", "Content-Type: application/json"]
        return "\r\n".join([*lines, "", ""]).encode()

    def emit(self, count: int = 1) -> tuple[int, float]:
        """Status and seconds of an honest emit of so many events, on a connection of its own."""
        body = json.dumps([EVENT] * count).encode()
        began_s = time.monotonic()
        with self.line() as line:
            line.send(self.head("POST", EMITS, f"Content-Length: {len(body)}", token=self.api.token) + body)
            answer = line.answer()
        return answer.status if answer is not None else 0, time.monotonic() - began_s


EMITS = f"/api/v3/accounts/{SLUG}/events.json"
