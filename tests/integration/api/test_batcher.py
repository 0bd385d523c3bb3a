import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from dispatcher.web.batcher import Batcher
from tests.support.waiting import in_a_loop


class Work:
    """Doubles numbers once it may; 13 is refused, and with it whatever shares its turn."""

    def __init__(self) -> None:
        self.turns: list[list[int]] = []
        self.go = threading.Event()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.go.wait(10)
        self.turns.append(list(items))
        if 13 in items:
            raise ValueError
        return [2 * item for item in items]


def run(work: Work, *items: int, weight: int = 1, for_all: Any = ()) -> list[int | BaseException]:
    """The answers or errors for `items`, which come one after the other while the first is under way."""

    async def all_of_them() -> list[int | BaseException]:
        batcher = Batcher("test", work, most=10, for_all=for_all)
        asked = [asyncio.create_task(batcher.do(item, weight)) for item in items]
        await asyncio.sleep(0)
        work.go.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    return in_a_loop(all_of_them())


def test_the_first_goes_at_once_and_who_comes_meanwhile_shares_the_next_turn() -> None:
    work = Work()

    assert run(work, 1, 2, 3, 4) == [2, 4, 6, 8]
    assert work.turns == [[1], [2, 3, 4]]


def test_a_turn_is_no_heavier_than_it_may_be() -> None:
    work = Work()

    assert run(work, 1, 2, 3, 4, 5, weight=4) == [2, 4, 6, 8, 10]
    assert work.turns == [[1], [2, 3], [4, 5]]


def test_what_is_too_heavy_for_any_turn_has_one_alone() -> None:
    work = Work()

    assert run(work, 1, 2, 3, weight=11) == [2, 4, 6]
    assert work.turns == [[1], [2], [3]]


def test_one_that_is_refused_harms_no_other() -> None:
    work = Work()

    *others, refused = run(work, 1, 2, 3, 13)

    assert others == [2, 4, 6]
    assert isinstance(refused, ValueError)
    assert work.turns == [[1], [2, 3, 13], [2], [3], [13]]


def test_an_error_that_is_everybodys_is_not_tried_again() -> None:
    work = Work()

    first, *others = run(work, 1, 2, 13, for_all=ValueError)

    assert first == 2
    assert [type(other) for other in others] == [ValueError, ValueError]
    assert work.turns == [[1], [2, 13]]


def test_it_goes_on_after_a_client_has_gone() -> None:
    work = Work()

    async def with_one_who_goes() -> None:
        batcher = Batcher("test", work, most=10)
        first, goes, stays = [asyncio.create_task(batcher.do(item)) for item in (1, 2, 3)]
        await asyncio.sleep(0)
        goes.cancel()
        work.go.set()
        assert [await first, await stays, await batcher.do(4)] == [2, 6, 8]
        with pytest.raises(asyncio.CancelledError):
            await goes

    in_a_loop(with_one_who_goes())
