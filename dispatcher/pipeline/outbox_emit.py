"""An event into the outbox of a service's own database: checked and rendered there, taken in by a worker later."""

import asyncio
from collections.abc import Callable, Sequence

from dispatcher import failpoints
from dispatcher.connections.adapter import completed
from dispatcher.connections.recognise import adapter_for, async_adapter_for
from dispatcher.model.event import Event, EventDraft
from dispatcher.pipeline.emit import ConnectionSource, NewEvent, drafts_of
from dispatcher.pipeline.trace import TracesEmits, untraced
from dispatcher.storage.outboxes.emitted import insert_by

_ZONE = "UTC"
"""Accounts and their time zones are not known here: whoever takes an event in writes its datetimes in the account's."""


class OutboxEmitter:
    """As `Emitter`, for a process whose setting DISPATCHER_OUTBOX is on."""

    def __init__(self, connections: Callable[[], ConnectionSource], trace: TracesEmits = untraced) -> None:
        self._connections = connections
        self._trace = trace

    def emit(self, account: str, new: Sequence[NewEvent], connection: object = None) -> list[Event]:
        """Stores `new`, all or none; raises InvalidEvent before. An event's `id` is its number in the outbox.

        Whether the account exists, and whether a key was used before, is found when they are taken in.
        """
        drafts = drafts_of(new, _ZONE)
        with self._trace([event.name for event in new], None) as span:
            if connection is not None:
                return completed(insert_by(adapter_for(connection), account, drafts, span.traceparent))
            return self._connections().autocommit(_insert, account, drafts, span.traceparent)

    async def aemit(self, account: str, new: Sequence[NewEvent], connection: object = None) -> list[Event]:
        """As `emit`, on an event loop and an asynchronous connection; without one, in a thread."""
        if connection is None:
            return await asyncio.to_thread(self.emit, account, new)
        adapter = await async_adapter_for(connection)
        with self._trace([event.name for event in new], None) as span:
            return await insert_by(adapter, account, drafts_of(new, _ZONE), span.traceparent)


def _insert(connection: object, account: str, drafts: Sequence[EventDraft], traceparent: str | None) -> list[Event]:
    stored = completed(insert_by(adapter_for(connection), account, drafts, traceparent))
    failpoints.hit("after_commit")
    return stored
