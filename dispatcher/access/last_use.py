"""When service tokens were last used, to a minute. It is stored in the background: no request waits for that."""

import logging
import threading
from collections.abc import Callable, Sequence

from dispatcher import clock, log
from dispatcher.access.rate_limit import in_background
from dispatcher.errors import StorageUnavailable

logger = logging.getLogger(__name__)

EVERY_S = 60.0
"""Each process stores the use of a token once in such a while."""


class LastUses:
    """Used by many threads at once."""

    def __init__(
        self,
        store: Callable[[Sequence[int]], object],
        monotonic: Callable[[], float] = clock.monotonic,
        later: Callable[[float, Callable[[], bool]], Callable[[], object]] = in_background,
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._store_soon = later(0.1, self._store_all)
        self._lock = threading.Lock()
        self._known_until: dict[int, float] = {}
        self._unstored: set[int] = set()

    def note(self, token_id: int) -> None:
        """The token is used now."""
        now_s = self._monotonic()
        if now_s < self._known_until.get(token_id, 0.0):
            return
        with self._lock:
            self._known_until[token_id] = now_s + EVERY_S
            self._unstored.add(token_id)
        self._store_soon()

    def _store_all(self) -> bool:
        with self._lock:
            ids, self._unstored = sorted(self._unstored), set()
        try:
            self._store(ids)
        except StorageUnavailable as error:  # the next use of each is a minute away, and will be stored
            logger.warning(log.line("service_token.use_not_stored", token_ids=ids, reason=repr(str(error))))
        return False
