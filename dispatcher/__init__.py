"""The dispatcher, for services that emit: `emit`, `aemit`, `emit_many`, `aemit_many`, and `dispatcher.signals`.

from dispatcher import emit
emit("invoice_paid", account="applecorp", invoice=invoice, payment=payment)
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dispatcher.model.event import Event
    from dispatcher.pipeline.emit import Emitter, NewEvent
    from dispatcher.pipeline.outbox_emit import OutboxEmitter

__all__ = ["NewEvent", "aemit", "aemit_many", "emit", "emit_many"]


def emit(
    name: str,
    *,
    account: str,
    connection: object = None,
    idempotency_key: str | None = None,
    created_at: datetime | None = None,
    **body: Any,
) -> "Event":
    """Records that something happened, and returns the event (`id`, `name`, `created_at`).

    `body` holds what the catalogue lists for `name`, as dicts or objects: `invoice=...`, `payment=...`.
    `connection` makes the event part of its transaction: rolled back with it, sent once it is committed. It is a
    connection of psycopg2 or psycopg 3, a SQLAlchemy Connection, Session or scoped_session, or a Django connection.
    Without it, the event is committed on return.
    A second emit of an `idempotency_key` in the account returns the first event (`event.new` is false).
    `created_at` is when it happened, aware; default: now.

    Raises `dispatcher.schemas.InvalidEvent` (problems by path), `AccountNotFound`, `StorageUnavailable`, and TypeError
    for another `connection`. Redis and the broker are not needed: the commit notifies the workers.
    """
    event = _new_event(name, body, created_at, idempotency_key)
    return _emitter().emit(account, [event], connection)[0]


async def aemit(
    name: str,
    *,
    account: str,
    connection: object = None,
    idempotency_key: str | None = None,
    created_at: datetime | None = None,
    **body: Any,
) -> "Event":
    """As `emit`, for asyncio, with an asynchronous `connection`.

    It is a connection of asyncpg, an AsyncConnection of psycopg 3, or an AsyncConnection, AsyncSession or
    async_scoped_session of SQLAlchemy. Without it, the event is committed in a thread.
    """
    emitter = await _async_emitter()
    event = _new_event(name, body, created_at, idempotency_key)
    return (await emitter.aemit(account, [event], connection))[0]


def emit_many(events: "Sequence[NewEvent]", *, account: str, connection: object = None) -> "list[Event]":
    """Records many events in one statement, all or none; `emit` tells the rest.

    `dispatcher.schemas.InvalidEvent` then names every problem of every event, by path: `[3].body.invoice.id`.
    """
    return _emitter().emit(account, events, connection)


async def aemit_many(events: "Sequence[NewEvent]", *, account: str, connection: object = None) -> "list[Event]":
    """As `emit_many`, on a connection that `aemit` takes."""
    return await (await _async_emitter()).aemit(account, events, connection)


def _new_event(name: str, body: dict[str, Any], created_at: datetime | None, idempotency_key: str | None) -> "NewEvent":
    from dispatcher.pipeline.emit import NewEvent  # noqa: PLC0415 -- `import dispatcher` stays light

    return NewEvent(name=name, body=body, created_at=created_at, idempotency_key=idempotency_key)


def _emitter() -> "Emitter | OutboxEmitter":
    from dispatcher.producer import current_emitter  # noqa: PLC0415 -- `import dispatcher` stays light

    return current_emitter()


_is_loaded = False


async def _async_emitter() -> "Emitter | OutboxEmitter":
    """`_emitter`, which loads so much the first time that a thread does it, and the loop goes on."""
    global _is_loaded
    if not _is_loaded:
        import asyncio  # noqa: PLC0415 -- loaded already: this runs on its loop

        await asyncio.to_thread(_emitter)
        _is_loaded = True
    return _emitter()


def __getattr__(name: str) -> Any:
    """`NewEvent`, loaded when asked for: the leaves of this package are imported without the rest."""
    if name == "NewEvent":
        from dispatcher.pipeline.emit import NewEvent  # noqa: PLC0415 -- `import dispatcher` stays light

        return NewEvent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
