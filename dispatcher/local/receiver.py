"""A small receiver of webhooks, for `listen` and the demo: its responses are the caller's choice.

Not for load: one thread a connection. The scripted server of the tests is another, `tests/support/receiver.py`.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from dispatcher.signatures import is_signed


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """A POST as it came. `headers` has lower-case names."""

    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def key(self) -> str:
        """The Idempotency-Key: the same for every attempt."""
        return self.headers.get("idempotency-key", "")

    def is_signed(self, keys: Sequence[bytes]) -> bool:
        """Whether one of the keys made its signature."""
        id_, timestamp, signature = (
            self.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
        )
        return is_signed(keys, id_, timestamp, signature, self.body)

    def json(self) -> dict[str, Any]:
        """The payload; {} where it is no JSON object."""
        try:
            payload = json.loads(self.body)
        except ValueError:
            return {}
        return payload if isinstance(payload, dict) else {}


Answer = Callable[[Arrival], int]
"""Decides the status code of an arrival; called by many threads."""


class Receiver:
    """An HTTP server on loopback while the `with` block lasts."""

    def __init__(self, answer: Answer, port: int = 0, host: str = "127.0.0.1") -> None:
        self._server = _Server((host, port), _handler(answer))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="receiver", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def _handler(answer: Answer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            arrival = Arrival(
                path=self.path,
                headers={name.lower(): value for name, value in self.headers.items()},
                body=self.rfile.read(length),
            )
            status = answer(arrival)
            body = json.dumps({"received": status < 300}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Nothing: whoever asked for arrivals prints them."""

    return Handler
