"""The connections of one process: at most how many, and how long each may keep us waiting.

At any time it is either our turn on a connection (a request is complete, and is being answered) or the client's, which
owes a head, a body, or the reading of a response. What a client owes is due after a fixed time, so no silent client
holds a connection for longer. When all connections are in use, the one that has kept us waiting longest gives way to
the newcomer: first unknown clients that owe something, then idle connections, then known clients that send a body. Only
when it is our turn on all of them is the newcomer refused.
"""

import asyncio
import math
import time
from collections.abc import Callable
from enum import Enum, auto
from itertools import chain
from typing import Any, Protocol

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from dispatcher.api.http import json_text

CONNECTIONS, TURN = "connections", "turn"
"""In the server's state the process's Connections, in a request's the Turn of its connection."""
HEAD_S = 10.0
"""The time for a request's head, from the start of the connection or of the head."""
HEAD_LIMIT = 64 * 1024
"""Bytes of it."""
PIPELINED_MOST = 100
"""Requests that come in one piece: each costs memory before it is its turn."""
ANSWER_S = 30.0
"""The time in which a client must take a response."""
KEPT_S = 80.0
"""The longest life of an idle connection; the server closes it before (`server.py`)."""
SWEEP_EVERY_S = 1.0
"""How late an overdue connection may be ended."""


class Owed(Enum):
    """What it is the client's turn to do."""

    HEAD = auto()
    BODY = auto()
    """Of a request with which no token came."""
    TAKING = auto()
    """To read the response."""
    NOTHING = auto()
    """It may ask again, or not: the connection is kept."""
    KNOWN_BODY = auto()
    """Of a request with a token."""


_RANKS = {Owed.HEAD: 0, Owed.BODY: 0, Owed.TAKING: 0, Owed.NOTHING: 1, Owed.KNOWN_BODY: 2}
"""Who gives way first."""


def _written(status: str, code: str, description: str, header: str = "") -> bytes:
    """An answer, whole, after which the connection is closed."""
    text = json_text({"error": code, "error_description": description})
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
_LONG = _written(
    "431 Request Header Fields Too Large",
    "invalid_request",
    f"The request's head is larger than {HEAD_LIMIT // 1024} KiB",
)


class Line(Protocol):
    """The commands that a connection takes."""

    def give_way(self) -> None:
        """There are too many: close, with a word to whoever waits for one."""

    def time_out(self) -> None:
        """What was owed did not come."""


class Turn:
    """Whose turn it is on one connection."""

    def __init__(self, connections: "Connections", line: Line) -> None:
        self._connections = connections
        self.line = line
        self.owed: Owed | None = None
        """None: it is our turn."""
        self.until_s = math.inf
        """By the monotonic clock of `connections`."""
        self._is_asked = False
        self._is_blocked = False

    def await_client(self, owed: Owed, within_s: float) -> None:
        """The client owes something. Nobody sets a timer for it: nearly all would be in vain."""
        self._connections.leave(self)
        self.owed, self.until_s = owed, self._connections.monotonic() + within_s
        self._connections.wait(self)

    def take_over(self) -> None:
        """The client has done its part: a request's head is whole, or as much of its body as is needed."""
        self._is_asked = True
        self._settle()

    def finish(self) -> None:
        """The request is done with; another may follow."""
        self._is_asked = False
        self._settle()

    def block(self, *, is_blocked: bool) -> None:
        """Whether answers are written faster than the client takes them."""
        self._is_blocked = is_blocked
        self._settle()

    def _settle(self) -> None:
        if self._is_blocked:
            self.await_client(Owed.TAKING, ANSWER_S)
        elif self._is_asked:
            self._connections.leave(self)
            self.owed, self.until_s = None, math.inf
        else:
            self.await_client(Owed.NOTHING, KEPT_S)


class Connections:
    """At most `most` of them. For one event loop."""

    def __init__(self, most: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.monotonic = monotonic
        self._turns: set[Turn] = set()
        # By rank; in each, in the order in which they began to wait.
        self._waiting: tuple[dict[Turn, None], ...] = ({}, {}, {})

    def __len__(self) -> int:
        return len(self._turns)

    def join(self, turn: Turn) -> bool:
        """A newcomer, who owes a head; false where there is no room, nor anybody who could give way."""
        if len(self._turns) >= self.most and not self._make_room():
            return False
        self._turns.add(turn)
        turn.await_client(Owed.HEAD, HEAD_S)
        return True

    def part(self, turn: Turn) -> None:
        """It is closed."""
        self._turns.discard(turn)
        self.leave(turn)

    def wait(self, turn: Turn) -> None:
        """It is the client's turn; for `Turn`."""
        if turn.owed is not None and turn in self._turns:
            self._waiting[_RANKS[turn.owed]][turn] = None

    def leave(self, turn: Turn) -> None:
        """It is no longer; for `Turn`."""
        if turn.owed is not None:
            self._waiting[_RANKS[turn.owed]].pop(turn, None)

    def sweep(self) -> None:
        """Ends those that kept us waiting for too long."""
        now_s = self.monotonic()
        for turn in [turn for turn in chain(*self._waiting) if turn.until_s <= now_s]:
            turn.line.time_out()

    async def keep_sweeping(self) -> None:
        """Until it is cancelled."""
        while True:
            self.sweep()
            await asyncio.sleep(SWEEP_EVERY_S)

    def _make_room(self) -> bool:
        longest = next(chain(*self._waiting), None)
        if longest is None:
            return False
        self.part(longest)  # now, not when it is closed, which may be later
        longest.line.give_way()
        return True


class Connection(asyncio.Protocol):
    """uvicorn's own way to speak HTTP, with a watch over whose turn it is.

    uvicorn makes one for each connection, with these arguments. The application says when a request's head is whole.
    """

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        self._connections: Connections = app_state[CONNECTIONS]
        self._turn = Turn(self._connections, self)
        self._http = HttpToolsProtocol(config, server_state, app_state | {TURN: self._turn}, _loop)
        self._is_refused = False
        self._head_size = 0

    def connection_made(self, transport: Any) -> None:
        """Begins, or is refused."""
        self._transport = transport
        if self._connections.join(self._turn):
            self._http.connection_made(transport)
        else:
            self._is_refused = True
            self._end(_BUSY)

    def data_received(self, data: bytes) -> None:
        """The client says something: where nothing was asked, a head begins."""
        if self._turn.owed is Owed.NOTHING:
            self._turn.await_client(Owed.HEAD, HEAD_S)
            self._head_size = 0
        if data.count(b" HTTP/1.1\r\n") > PIPELINED_MOST:
            self._end(_BUSY)
            return
        self._http.data_received(data)
        if self._turn.owed is Owed.HEAD:
            self._head_size += len(data)
            if self._head_size > HEAD_LIMIT:  # if it is whole by now, the application will have said so first
                asyncio.get_running_loop().call_soon(self._end_long_head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends."""
        if not self._is_refused:
            self._connections.part(self._turn)
            self._http.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not take what it is sent."""
        self._http.pause_writing()
        self._turn.block(is_blocked=True)

    def resume_writing(self) -> None:
        """It has taken it."""
        self._turn.block(is_blocked=False)
        self._http.resume_writing()

    def give_way(self) -> None:
        """Closes it for a newcomer's sake."""
        self._end(b"" if self._turn.owed is Owed.NOTHING else _BUSY)

    def time_out(self) -> None:
        """Closes it. Where a head did not come it says so; where an answer is not taken, nothing more can be said."""
        self._end(_LATE if self._turn.owed is Owed.HEAD else b"")

    def _end_long_head(self) -> None:
        if self._turn.owed is Owed.HEAD:
            self._end(_LONG)

    def _end(self, last_words: bytes) -> None:
        """Closes it at once: what the client has not taken by then it will not take."""
        if last_words and not self._transport.is_closing() and not self._transport.get_write_buffer_size():
            self._transport.write(last_words)
        if self._transport.is_closing() or self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()
