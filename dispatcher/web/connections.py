"""The connections of one process: how many there may be, and how long each may keep us waiting.

At any time it is either our turn on a connection (a request is whole, and is being answered) or the client's, who owes
a head, a body, or the taking of an answer. What a client owes has an end: nobody holds a connection for longer than
that by saying nothing. Where there are as many as there may be, whoever has kept us waiting longest gives way to the
newcomer: strangers that owe something first, then those on which nothing is asked, then known clients that send a
body. Only where it is our turn on all of them is a newcomer refused.
"""

import math
import time
from collections.abc import Callable
from enum import Enum, auto
from itertools import chain
from typing import Protocol

TURN = "dispatcher.turn"
"""Under this name the application finds the Turn of a request's connection in its scope."""
HEAD_S = 10.0
"""A request's head is whole so long after the connection, or the head, began."""
ANSWER_S = 30.0
"""An answer is taken within so long."""
KEPT_S = 80.0
"""A connection on which nothing is asked lives so long at most; the server closes it before (`--keep-alive`)."""


class Owed(Enum):
    """What it is the client's turn to do."""

    HEAD = auto()
    BODY = auto()
    """Of a request with which no token came."""
    TAKING = auto()
    """To read the answer."""
    NOTHING = auto()
    """It may ask again, or not: the connection is kept."""
    KNOWN_BODY = auto()
    """Of a request with a token."""


class Line(Protocol):
    """What a connection can be told to do."""

    def give_way(self) -> None:
        """There are too many: close, with a word to whoever waits for one."""

    def time_out(self) -> None:
        """What was owed did not come."""


_RANKS = {Owed.HEAD: 0, Owed.BODY: 0, Owed.TAKING: 0, Owed.NOTHING: 1, Owed.KNOWN_BODY: 2}
"""Who gives way first."""


class Turn:
    """Whose turn it is on one connection."""

    def __init__(self, connections: "Connections", line: Line | None) -> None:
        self._connections = connections
        self._line = line
        self.owed: Owed | None = None
        """None: it is our turn."""
        self.until_s = math.inf
        """By the monotonic clock of `connections`."""
        self._interrupt: Callable[[], object] | None = None

    @classmethod
    def alone(cls) -> "Turn":
        """Of a request without a connection that anybody minds."""
        return cls(Connections(0), None)

    def ours(self) -> None:
        """The client has done its part."""
        self._connections.leave(self)
        self.owed, self.until_s, self._interrupt = None, math.inf, None

    def theirs(self, owed: Owed, within_s: float, interrupt: Callable[[], object] | None = None) -> None:
        """The client owes something; `interrupt` is called where it does not come, or else the connection closed.

        Nobody sets a timer for it: there would be several for each request, nearly all of them in vain.
        """
        self._connections.leave(self)
        self.owed, self.until_s, self._interrupt = owed, self._connections.monotonic() + within_s, interrupt
        self._connections.wait(self)

    def give_way(self) -> None:
        """Ends the connection for another's sake."""
        if self._line is not None:
            self._line.give_way()

    def time_out(self) -> None:
        """Ends the waiting, or the connection, for lateness."""
        if self._interrupt is not None:
            self.until_s = math.inf  # once is enough
            self._interrupt()
        elif self._line is not None:
            self._line.time_out()


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

    def join(self, line: Line) -> Turn | None:
        """A newcomer, who owes a head; None where there is no room, nor anybody who could give way."""
        if len(self._turns) >= self.most and not self._make_room():
            return None
        turn = Turn(self, line)
        self._turns.add(turn)
        turn.theirs(Owed.HEAD, HEAD_S)
        return turn

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
            turn.time_out()

    def unasked(self) -> list[Turn]:
        """Those with no request on them that is whole."""
        return [turn for turn in chain(*self._waiting) if turn.owed in (Owed.HEAD, Owed.NOTHING)]

    def _make_room(self) -> bool:
        longest = next(chain(*self._waiting), None)
        if longest is None:
            return False
        self.part(longest)  # now, not when it is closed, which may be later
        longest.give_way()
        return True
