"""The emitter of a process that emits, built at its first emit. A server's is its container's."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from dispatcher import failpoints
from dispatcher.connections.adapter import completed
from dispatcher.connections.recognise import adapter_for
from dispatcher.errors import InvalidSetting, StorageUnavailable
from dispatcher.pipeline.emit import Emitter
from dispatcher.pipeline.event_types import refresh_by
from dispatcher.pipeline.trace import TracesEmits, untraced
from dispatcher.producer_settings import ProducerSettings, read_database_settings, read_producer_settings
from dispatcher.schemas import active
from dispatcher.schemas.active_catalogues import use_lookup

if TYPE_CHECKING:
    from dispatcher.connections.pool import ConnectionPool
    from dispatcher.pipeline.outbox_emit import OutboxEmitter
    from dispatcher.tracing import Tracing

_lock = threading.Lock()


def _unlock() -> None:
    """In a forked process, which has none of the threads that may have held it."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_unlock)


def current_emitter() -> "Emitter | OutboxEmitter":
    """This process's emitter, built from the environment when first asked for; raises InvalidSetting."""
    global _current
    with _lock:
        if _current is None:
            _current = _make()
        return _current


def use_emitter(make: "Callable[[], Emitter | OutboxEmitter] | None") -> None:
    """What `make` returns is this process's emitter: for a server, and for tests. None: that of the environment."""
    global _current, _make
    with _lock:
        _current, _make = None, make or _from_environment


def load_tracing(*, is_on: bool) -> "Tracing | None":
    """The process's tracing where that is enabled; raises InvalidSetting."""
    if not is_on:
        return None
    try:
        from dispatcher.tracing import Tracing  # noqa: PLC0415 -- loaded by processes that use it
    except ModuleNotFoundError as error:
        raise InvalidSetting("DISPATCHER_TRACING", "needs the extra `opentelemetry` to be installed") from error
    return Tracing()


def _from_environment() -> "Emitter | OutboxEmitter":
    settings = read_producer_settings()
    failpoints.arm(settings.failpoint)
    active()  # the catalogue is loaded now: the first `aemit` does all this in a thread
    tracing = load_tracing(is_on=settings.tracing)

    @cache
    def pool() -> "ConnectionPool":
        """DATABASE_URL is only needed by an emit without `connection`."""
        from dispatcher.connections.pool import ConnectionPool  # noqa: PLC0415 -- loaded by processes that use it

        database = read_database_settings()
        return ConnectionPool(database.database_url, database.pool_size, settings.schema)

    def ask(_event_name: str) -> None:
        """Of the event types that are stored. Without a database of the dispatcher's there are none."""
        with suppress(InvalidSetting, StorageUnavailable):
            pool().autocommit(lambda connection: completed(refresh_by(adapter_for(connection))))

    use_lookup(None if settings.outbox else ask)
    return emitter_over(pool, settings, tracing.emit if tracing else untraced)


def emitter_over(
    pool: "Callable[[], ConnectionPool]", settings: ProducerSettings, trace: TracesEmits = untraced
) -> "Emitter | OutboxEmitter":
    """One into the dispatcher's tables, or into a service's own outbox, as the settings say."""
    if not settings.outbox:
        return Emitter(pool, trace=trace, schema=settings.schema)
    from dispatcher.pipeline.outbox_emit import OutboxEmitter  # noqa: PLC0415 -- loaded by processes that use it

    return OutboxEmitter(pool, trace)


_current: "Emitter | OutboxEmitter | None" = None
_make: "Callable[[], Emitter | OutboxEmitter]" = _from_environment
