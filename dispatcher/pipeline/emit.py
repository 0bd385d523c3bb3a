"""An event in: checked and rendered once, stored in one statement, in the caller's own transaction if it likes."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from marshmallow import ValidationError

from dispatcher import failpoints, log
from dispatcher.connections.adapter import Adapter, completed
from dispatcher.connections.recognise import adapter_for, async_adapter_for
from dispatcher.connections.schema import USUAL, adapter_in_schema
from dispatcher.errors import InvalidEventAttribute
from dispatcher.model.account import Account
from dispatcher.model.event import BODY_LIMIT, Event, EventDraft
from dispatcher.pipeline.event_types import is_stale, refresh_by
from dispatcher.pipeline.trace import EmitSpan, TracesEmits, untraced
from dispatcher.schemas import EventType, InvalidEvent, active
from dispatcher.schemas.wire.fields import Problems, render_datetime, zone_of
from dispatcher.storage.pipeline import emits
from dispatcher.storage.pipeline.emits import Emit

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Owner = TypeVar("Owner")
"""An account as an emitter takes it."""


_KNOWN_LIMIT = 10_000
"""Accounts that a process remembers: 3 MB of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewEvent:
    """An event as a service emits it; `body` holds dicts or objects under the keys of the catalogue.

    `version` is the body's; None: the newest.
    """

    name: str
    body: Mapping[str, Any]
    created_at: datetime | None = None
    idempotency_key: str | None = None
    version: int | None = None


class ConnectionSource(Protocol):
    """Where a process has its connections from: a server's `Storage`, or a producer's `ConnectionPool`."""

    def autocommit(self, work: Callable[Concatenate[Any, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`work(connection, ...)`, each statement of which is committed by itself; raises StorageUnavailable.

        It is run again from the start where Postgres asks for that.
        """


class AbstractEmitter(ABC, Generic[Owner]):
    """Emits for one process, on `connections` where an emit is handed none. A subclass says where events are stored."""

    def __init__(self, connections: Callable[[], ConnectionSource], trace: TracesEmits = untraced) -> None:
        self._connections = connections
        self._trace = trace

    def emit(self, account: Owner, new: Sequence[NewEvent], connection: object = None) -> list[Event]:
        """Stores `new` for the account, all or none, and returns the stored events in order.

        Raises InvalidEvent before anything is stored. Of several events it names the problems of all, by path:
        `[3].body.invoice.id`. With `connection` the rows belong to its transaction; without, they are committed on
        return. Where emits are traced, the events carry the trace that their attempts belong to.
        """
        with self._trace([event.name for event in new], None) as span:
            if connection is None:
                return self._commit(account, new, span)
            return completed(self._join(adapter_for(connection), account, new, span))

    async def aemit(self, account: Owner, new: Sequence[NewEvent], connection: object = None) -> list[Event]:
        """As `emit`, on an event loop and an asynchronous connection; without one, in a thread."""
        if connection is None:
            import asyncio  # noqa: PLC0415 -- loaded already: this runs on its loop

            return await asyncio.to_thread(self.emit, account, new)
        adapter = await async_adapter_for(connection)
        with self._trace([event.name for event in new], None) as span:
            return await self._join(adapter, account, new, span)

    @abstractmethod
    def _commit(self, account: Owner, new: Sequence[NewEvent], span: EmitSpan) -> list[Event]:
        """Stores `new` on a connection of the process and commits it."""

    @abstractmethod
    async def _join(self, adapter: Adapter, account: Owner, new: Sequence[NewEvent], span: EmitSpan) -> list[Event]:
        """Stores `new` in the transaction of the adapter's connection."""


class Emitter(AbstractEmitter[Account | str]):
    """Stores events in the dispatcher's tables, for an account or its slug. The commit notifies the workers.

    Bodies are rendered in the account's time zone. An event that repeats an idempotency key of the account stands for
    the first one; `count_repeated` gets the number of these.
    """

    def __init__(
        self,
        connections: Callable[[], ConnectionSource],
        count_repeated: Callable[[int], None] | None = None,
        trace: TracesEmits = untraced,
        schema: str = USUAL,
    ) -> None:
        super().__init__(connections, trace)
        self._count_repeated = count_repeated
        self._schema = schema
        self._known: dict[str, Account] = {}

    def emit_batch(self, batch: Sequence[Emit]) -> list[list[Event] | None]:
        """What several callers emit, in one commit: their events.

        All or none, but for those (None) that would have to wait for another emit of one of their keys: see `emit_one`.
        """
        stored = self._committed(emits.insert_together, batch)
        self._count([event for events in stored for event in events or ()])
        return stored

    def emit_one(self, emit: Emit) -> list[Event]:
        """What one caller emits, in a commit of its own: its events. Waits for other emits of its keys."""
        stored = self._committed(emits.insert, emit.account_id, emit.drafts, traceparent=emit.traceparent)
        self._count(stored)
        return stored

    def _committed(self, insert: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        failpoints.hit("before_commit")
        stored = self._connections().autocommit(insert, *args, **kwargs)
        failpoints.hit("after_commit")
        return stored

    def _commit(self, account: Account | str, new: Sequence[NewEvent], span: EmitSpan) -> list[Event]:
        if is_stale(event.name for event in new):
            self._connections().autocommit(lambda connection: completed(refresh_by(adapter_for(connection))))
        owner = account if isinstance(account, Account) else self._connections().autocommit(emits.find_account, account)
        drafts = drafts_of(new, owner.time_zone)  # before the connection is taken, which others wait for
        stored = self.emit_one(Emit(owner.id, drafts, span.traceparent))
        span.stored([event.id for event in stored])
        return stored

    async def _join(
        self, adapter: Adapter, account: Account | str, new: Sequence[NewEvent], span: EmitSpan
    ) -> list[Event]:
        adapter = adapter_in_schema(adapter, self._schema)
        if is_stale(event.name for event in new):
            await refresh_by(adapter)
        stored = await self._insert(adapter, account, new, span.traceparent)
        failpoints.hit("before_commit")
        self._count(stored)
        span.stored([event.id for event in stored])
        return stored

    async def _insert(
        self, adapter: Adapter, account: Account | str, new: Sequence[NewEvent], traceparent: str | None
    ) -> list[Event]:
        """One event without a key takes one statement, where the account is what it was when it was looked up last."""
        if isinstance(account, Account):
            owner = account
        else:
            known = self._known.get(account) if len(new) == 1 and new[0].idempotency_key is None else None
            if known is not None:
                (draft,) = drafts_of(new, known.time_zone)
                event = await emits.insert_one_by(adapter, known, draft, traceparent=traceparent)
                if event is not None:
                    return [event]
            owner = await emits.find_account_by(adapter, account)
            self._remember(owner)
        return await emits.insert_by(adapter, Emit(owner.id, drafts_of(new, owner.time_zone), traceparent))

    def _remember(self, account: Account) -> None:
        if len(self._known) >= _KNOWN_LIMIT:
            self._known.clear()
        self._known[account.slug] = account

    def _count(self, stored: Sequence[Event]) -> None:
        if self._count_repeated is not None and (repeated := sum(not event.new for event in stored)):
            self._count_repeated(repeated)
        if logger.isEnabledFor(logging.DEBUG):
            for event in stored:
                logger.debug(log.line("event.recorded", event_id=event.id, name=event.name, new=event.new))


def problems(event: NewEvent, time_zone: str) -> Problems:
    """What is wrong with an event, as (path, reason) pairs: `body.invoice.id`, `created_at`; empty if nothing is."""
    if event.name not in active().events:
        return [("name", active().unknown(event.name))]
    try:
        _draft(event, time_zone)
    except InvalidEvent as error:
        return [(f"body.{path}" if path else "body", reason) for path, reason in error.problems]
    except InvalidEventAttribute as error:
        return [(error.attribute, error.reason)]
    return []


def drafts_of(new: Sequence[NewEvent], time_zone: str) -> list[EventDraft]:
    """An account's events in that time zone, checked and rendered; raises InvalidEvent and InvalidEventAttribute."""
    try:
        return [_draft(event, time_zone) for event in new]
    except (InvalidEvent, InvalidEventAttribute):
        if len(new) == 1:
            raise
    all_problems = [
        (f"[{index}].{path}", reason) for index, event in enumerate(new) for path, reason in problems(event, time_zone)
    ]
    raise InvalidEvent(f"batch of {len(new)} events", all_problems)


def _draft(event: NewEvent, time_zone: str) -> EventDraft:
    if event.created_at is not None:
        _check_created_at(event.created_at, time_zone)
    if event.idempotency_key is not None:
        check_key(event.idempotency_key)
    of = _event_type(event)
    body_json, resource = of.render(event.body, time_zone)
    if len(body_json) > BODY_LIMIT:
        raise InvalidEvent(
            event.name, [("", f"has {len(body_json):,} bytes of JSON; at most {BODY_LIMIT:,} are allowed")]
        )
    return EventDraft(
        name=event.name,
        body_json=body_json,
        created_at=event.created_at and event.created_at.astimezone(UTC),  # Postgres refuses offsets of 16 h and more
        idempotency_key=event.idempotency_key,
        resource=resource,
        version=of.stored_version,
    )


def _event_type(event: NewEvent) -> EventType:
    newest = active().event(event.name)
    if event.version is None:
        return newest
    try:
        return newest.at(event.version)
    except InvalidEvent as error:
        raise InvalidEventAttribute(*error.problems[0]) from None


def check_key(key: str) -> None:
    """Raises InvalidEventAttribute where `key` cannot be an idempotency key."""
    if not 1 <= len(key) <= 255:
        raise InvalidEventAttribute("idempotency_key", "must have 1 to 255 characters")
    if not key.isprintable():
        raise InvalidEventAttribute("idempotency_key", "must have printable characters only")


def _check_created_at(created_at: datetime, time_zone: str) -> None:
    if created_at.tzinfo is None:
        raise InvalidEventAttribute("created_at", "needs a time zone, such as datetime.now(timezone.utc)")
    try:
        for zone in ("UTC", time_zone):  # in which it is stored, and in which it is sent
            render_datetime(created_at, zone_of(zone))
    except ValidationError as error:
        raise InvalidEventAttribute("created_at", str(error.messages[0])) from None
