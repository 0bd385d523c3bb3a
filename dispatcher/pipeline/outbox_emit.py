"""An event into the outbox of a service's own database: checked and rendered there, taken in by a worker later."""

from collections.abc import Sequence

from dispatcher import failpoints
from dispatcher.connections.adapter import Adapter, completed
from dispatcher.connections.recognise import adapter_for
from dispatcher.model.event import Event, EventDraft
from dispatcher.pipeline.emit import AbstractEmitter, NewEvent, drafts_of
from dispatcher.pipeline.trace import EmitSpan
from dispatcher.storage.outboxes.emitted import insert_by

_ZONE = "UTC"
"""Accounts and their time zones are not known here: whoever takes an event in writes its datetimes in the account's."""


class OutboxEmitter(AbstractEmitter[str]):
    """Stores events in the outbox, for a process whose setting DISPATCHER_OUTBOX is on.

    An event's `id` is its number in the outbox. Whether the account exists, and whether a key was used before, is known
    when they are taken in.
    """

    def _commit(self, account: str, new: Sequence[NewEvent], span: EmitSpan) -> list[Event]:
        return self._connections().autocommit(_insert, account, drafts_of(new, _ZONE), span.traceparent)

    async def _join(self, adapter: Adapter, account: str, new: Sequence[NewEvent], span: EmitSpan) -> list[Event]:
        return await insert_by(adapter, account, drafts_of(new, _ZONE), span.traceparent)


def _insert(connection: object, account: str, drafts: Sequence[EventDraft], traceparent: str | None) -> list[Event]:
    stored = completed(insert_by(adapter_for(connection), account, drafts, traceparent))
    failpoints.hit("after_commit")
    return stored
