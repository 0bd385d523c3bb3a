"""Waiting for what another thread or process does: by asking again until a deadline, never by a sleep."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], within_s: float = 10.0, what: str = "the condition") -> T:
    """The first true value of `condition`, asked again and again; an AssertionError names `what` did not come."""
    asked_s = time.monotonic()
    until_s = asked_s + within_s
    pause = threading.Event()
    while not (found := condition()):
        answered_s = time.monotonic()
        assert answered_s < until_s, f"{what} did not come true within {within_s} s"
        # A question that costs more is asked less often: who waits takes nothing from those who are waited for.
        pause.wait(min(max(0.02, 4 * (answered_s - asked_s)), 0.1))
        asked_s = time.monotonic()
    return found


def wait_until(look: Callable[[], Any], holds: Callable[[Any], bool], within_s: float) -> None:
    """As `eventually`, and a failure tells what was seen last."""
    seen: list[Any] = [None]

    def holds_now() -> bool:
        seen[0] = look()
        return holds(seen[0])

    try:
        eventually(holds_now, within_s)
    except AssertionError:
        raise AssertionError(f"not within {within_s} s; last seen: {seen[0]}") from None


def in_a_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """What it returns, from an event loop in a thread of its own: Playwright leaves one running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
