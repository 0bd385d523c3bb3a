"""When service tokens were last used and quotas reached, to a minute.

It is stored in the background: no request waits for that.
"""

import logging
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from dispatcher import clock, log
from dispatcher.access.rate_limit import in_background
from dispatcher.errors import StorageUnavailable

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

EVERY_S = 60.0
"""How often a process stores the use of a token, or that a quota was reached."""


class LastUses(Generic[K]):
    """Used by many threads at once."""

    def __init__(
        self,
        store: Callable[[Sequence[K]], object],
        monotonic: Callable[[], float] = clock.monotonic,
        later: Callable[[float, Callable[[], bool]], Callable[[], object]] = in_background,
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._store_soon = later(0.1, self._store_all)
        self._lock = threading.Lock()
        self._known_until: dict[K, float] = {}
        self._unstored: set[K] = set()

    def note(self, key: K) -> None:
        """It is used now."""
        now_s = self._monotonic()
        if now_s < self._known_until.get(key, 0.0):
            return
        with self._lock:
            self._known_until[key] = now_s + EVERY_S
            self._unstored.add(key)
        self._store_soon()

    def _store_all(self) -> bool:
        with self._lock:
            keys, self._unstored = [*self._unstored], set()
        try:
            self._store(keys)
        except StorageUnavailable as error:  # the next use of each is a minute away, and will be stored
            logger.warning(log.line("use.not_stored", ids=keys, reason=repr(str(error))))
        return False
