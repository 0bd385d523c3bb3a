"""The event types that are stored in Postgres, made active in this process, and kept so within a second.

A process that serves asks for their revision twice a second in the background, one that works before it works: an idle
worker asks nothing. Where an event is unknown they are asked for at once, so that who has stored a type can use it.
"""

import logging
import threading
from collections.abc import Callable, Iterable

from dispatcher import clock, log
from dispatcher.background import BackgroundThread
from dispatcher.connections.adapter import Adapter
from dispatcher.errors import DependencyUnavailable
from dispatcher.pipeline.fault import guarded
from dispatcher.schemas.active_catalogues import active, use_stored
from dispatcher.schemas.stored import NAME
from dispatcher.storage.pipeline.event_types import Newer, newer_by

logger = logging.getLogger(__name__)

CURRENT_S = 0.5
"""The age up to which what was read is current."""
ASKED_AGAIN_S, _ASKS_LIMIT = 1.0, 1_000
"""The seconds after which an unknown event is asked for again, and how many unknown names are remembered."""
STOP_S = 1.0

_checked_s = float("-inf")


def is_stale(names: Iterable[str]) -> bool:
    """Whether an emit of these reads the stored types first: one is unknown, or is stored and may have changed."""
    events = active().events
    return any(
        name not in events or (events[name].catalogue == NAME and clock.monotonic() > _checked_s + CURRENT_S)
        for name in names
    )


async def refresh_by(adapter: Adapter) -> None:
    """Asks on that connection, and makes active what is stored now."""
    _use(await newer_by(adapter, active().stored.revision))


def _use(newer: Newer | None) -> bool:
    global _checked_s
    if newer is not None:
        revision, types = newer
        for name in sorted(use_stored(types, revision).hidden):
            logger.warning(log.line("event_type.hidden", name=name, reason="a catalogue has an event of this name"))
    _checked_s = clock.monotonic()
    return newer is not None


class EventTypes:
    """Keeps this process in step. `newer` gives all types where another revision is current, or StorageUnavailable."""

    def __init__(self, newer: Callable[[int], Newer | None]) -> None:
        self._newer = newer
        self._lock = threading.Lock()
        self._thread = BackgroundThread("event-types", self._poll)
        self._last_ask_s: dict[str, float] = {}
        self._is_failing = False

    def load(self) -> bool:
        """Makes active what is stored now; whether that is something else. Raises StorageUnavailable."""
        with self._lock:
            return _use(self._newer(active().stored.revision))

    def refresh(self) -> bool:
        """The same, but what is known goes on to be used where Postgres is unavailable."""
        try:
            changed, self._is_failing = self.load(), False
        except DependencyUnavailable as error:
            if not self._is_failing:  # once, and not twice a second
                logger.warning(log.line("event_types.not_refreshed", reason=repr(str(error))))
            changed, self._is_failing = False, True
        return changed

    def keep_current(self) -> None:
        """The same, unless it was done a moment ago."""
        if clock.monotonic() > _checked_s + CURRENT_S:
            self.refresh()

    def ask(self, name: str) -> None:
        """The same for an event that is unknown here, but not again and again where that is in vain."""
        now_s = clock.monotonic()
        if now_s > self._last_ask_s.get(name, float("-inf")) + ASKED_AGAIN_S and not self.refresh():
            if len(self._last_ask_s) >= _ASKS_LIMIT:
                self._last_ask_s.clear()
            self._last_ask_s[name] = now_s

    def start(self) -> None:
        """Keeps what is active current in the background. In the process itself: a fork has no threads."""
        self._thread.start()

    def close(self) -> None:
        """Ends that."""
        self._thread.stop(STOP_S)

    def _poll(self, stop: threading.Event) -> None:
        while not stop.is_set():
            with guarded("event_types.not_polled"):
                self.refresh()
            stop.wait(CURRENT_S)
