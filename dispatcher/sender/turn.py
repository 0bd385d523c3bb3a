"""The threads of a process that send take turns.

Sending lets go of the interpreter at each signature and each socket, for microseconds. Threads that all do it hand the
interpreter to each other every time: four drains of a process spent a third of their CPU on that.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_S = 1.0
"""A thread that does not get its turn within this time goes on without: it is about cost, not about safety."""

_lock = threading.RLock()


@contextmanager
def turn() -> Iterator[None]:
    """Nobody else's turn lasts meanwhile; a block in which a thread waits for the network is none."""
    is_held = _lock.acquire(timeout=PATIENCE_S)
    try:
        yield
    finally:
        if is_held:
            _lock.release()
