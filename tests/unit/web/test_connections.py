"""Who may keep a process waiting, for how long, and who gives way to whom."""

from typing import Any

import pytest

from dispatcher.web.connections import ANSWER_S, HEAD_S, KEPT_S, Connections, Owed, Turn
from tests.support.fakes import FakeClock


class Line:
    """Notes what it is told."""

    def __init__(self, connections: Connections) -> None:
        self.told: list[str] = []
        self.turn = Turn(connections, self)
        self.is_in = connections.join(self.turn)

    def give_way(self) -> None:
        self.told.append("give way")

    def time_out(self) -> None:
        self.told.append("time out")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def connections(clock: FakeClock) -> Connections:
    return Connections(3, clock)


def who_gave_way(lines: Any) -> list[int]:
    return [n for n, line in enumerate(lines) if line.told == ["give way"]]


def test_there_are_no_more_than_may_be_and_who_owes_longest_gives_way(connections: Connections) -> None:
    lines = [Line(connections) for _ in range(5)]

    assert len(connections) == 3
    assert who_gave_way(lines) == [0, 1]


def test_strangers_give_way_before_kept_connections_and_those_before_known_clients(connections: Connections) -> None:
    lines = [Line(connections) for _ in range(3)]
    for line, owed in zip(lines, (Owed.KNOWN_BODY, Owed.NOTHING, Owed.BODY), strict=True):
        line.turn.await_client(owed, 10)

    order = []
    for _ in range(3):
        newcomer = Line(connections)
        newcomer.turn.take_over()
        order += [n for n in who_gave_way(lines) if n not in order]

    assert order == [2, 1, 0]


def test_where_all_are_at_work_a_newcomer_is_refused(connections: Connections) -> None:
    lines = [Line(connections) for _ in range(3)]
    for line in lines:
        line.turn.take_over()

    assert not Line(connections).is_in
    assert who_gave_way(lines) == []

    connections.part(lines[0].turn)
    assert Line(connections).is_in


@pytest.mark.parametrize(
    ("owed", "within_s"), [(Owed.HEAD, HEAD_S), (Owed.TAKING, ANSWER_S), (Owed.NOTHING, KEPT_S), (Owed.BODY, 3.0)]
)
def test_what_does_not_come_in_time_ends_the_connection(
    connections: Connections, clock: FakeClock, owed: Owed, within_s: float
) -> None:
    line = Line(connections)
    line.turn.await_client(owed, within_s)

    clock.advance(within_s - 0.1)
    connections.sweep()
    assert line.told == []

    clock.advance(0.2)
    connections.sweep()
    assert line.told == ["time out"]


def test_while_it_is_our_turn_nobody_is_late(connections: Connections, clock: FakeClock) -> None:
    line = Line(connections)
    line.turn.take_over()

    clock.advance(1_000)
    connections.sweep()

    assert line.told == []


def test_who_does_not_take_an_answer_owes_that_whatever_else_it_does(connections: Connections) -> None:
    line = Line(connections)

    line.turn.take_over()
    line.turn.block(is_blocked=True)
    line.turn.finish()
    line.turn.take_over()
    assert line.turn.owed is Owed.TAKING

    line.turn.block(is_blocked=False)
    assert line.turn.owed is None
    line.turn.finish()
    assert line.turn.owed is Owed.NOTHING


def test_what_has_parted_is_heard_of_no_more(connections: Connections, clock: FakeClock) -> None:
    line = Line(connections)
    connections.part(line.turn)
    line.turn.await_client(Owed.HEAD, 1.0)

    clock.advance(2)
    connections.sweep()

    assert (len(connections), line.told) == (0, [])
