"""A small receiver of ours: answers 200 `ok` and notes when each request arrived. `python -m bench.answering PORT`.

What is sent to /hang gets no answer. A request is noted by the mark in its body, `"bench 17"`, or else by its
Idempotency-Key.

Knows just enough HTTP/1.1 for a POST with Content-Length over kept connections.
"""

import asyncio
import json
import re
import sys
import time
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_KEY = re.compile(rb"\r\nidempotency-key: *([^\r]+)", re.IGNORECASE)
_MARK = re.compile(rb'"(bench \d+)"')
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"

_arrived: list[tuple[float, bytes]] = []


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._data = b""

    def data_received(self, data: bytes) -> None:
        now_s = time.monotonic()
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end]
            length = _LENGTH.search(head)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._data) < size:
                return
            body, self._data = self._data[end:size], self._data[size:]
            if not head.startswith(b"POST /hang"):
                self._transport.write(_answer(head, body, now_s))


def _answer(head: bytes, body: bytes, now_s: float) -> bytes:
    if head.startswith(b"GET /arrivals"):
        text = json.dumps({key.decode(): at_s for at_s, key in reversed(_arrived)}).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)
    key = _MARK.search(body) or _KEY.search(head)
    if key:
        _arrived.append((now_s, key[1]))
    return _OK


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
