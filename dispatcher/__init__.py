"""The dispatcher, for services that emit: `emit`, `emit_many`, and `dispatcher.signals`.

from dispatcher import emit
emit("invoice_paid", account="applecorp", invoice=invoice, payment=payment)
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dispatcher.container import Container
    from dispatcher.model.event import Event
    from dispatcher.pipeline.emit import NewEvent
    from dispatcher.storage.engine import Joinable

__all__ = ["NewEvent", "emit", "emit_many"]


def emit(
    name: str,
    *,
    account: str,
    connection: "Joinable | None" = None,
    idempotency_key: str | None = None,
    created_at: datetime | None = None,
    **body: Any,
) -> "Event":
    """Records that something happened, and returns the event (`id`, `name`, `created_at`).

    `body` holds what the catalogue lists for `name`, as dicts or objects: `invoice=...`, `payment=...`.
    `connection` (a SQLAlchemy Connection or Session, or a psycopg2 connection) makes the event part of its transaction:
    rolled back with it, sent once it is committed. Without it, the event is committed on return.
    A second emit of an `idempotency_key` in the account returns the first event (`event.new` is false).
    `created_at` is when it happened, aware; default: now.

    Raises `schemas.InvalidEvent` (problems by path), `AccountNotFound`, `StorageUnavailable`. Redis and the broker
    are not needed: the commit notifies the workers.
    """
    event = _new_event(name, body, created_at, idempotency_key)
    return _container().emitter.emit(account, [event], connection)[0]


def emit_many(events: "Sequence[NewEvent]", *, account: str, connection: "Joinable | None" = None) -> "list[Event]":
    """Records many events in one statement, all or none; `emit` tells the rest.

    `schemas.InvalidEvent` then names every problem of every event, by path: `[3].body.invoice.id`.
    """
    return _container().emitter.emit(account, events, connection)


def _new_event(name: str, body: dict[str, Any], created_at: datetime | None, idempotency_key: str | None) -> "NewEvent":
    from dispatcher.pipeline.emit import NewEvent  # noqa: PLC0415 -- `import dispatcher` stays light

    return NewEvent(name=name, body=body, created_at=created_at, idempotency_key=idempotency_key)


def _container() -> "Container":
    from dispatcher.container import current_container  # noqa: PLC0415 -- `import dispatcher` stays light

    return current_container()


def __getattr__(name: str) -> Any:
    """`NewEvent`, loaded when asked for: the leaves of this package are imported without the rest."""
    if name == "NewEvent":
        from dispatcher.pipeline.emit import NewEvent  # noqa: PLC0415 -- `import dispatcher` stays light

        return NewEvent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
