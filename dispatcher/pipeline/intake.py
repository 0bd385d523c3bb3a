"""Events of a service with a database of its own: out of its outbox, into ours.

commit there ▶ NOTIFY ▶ read a batch ▶ check, render ▶ events, events_waiting, NOTIFY ▶ fan_out
                                      └ invalid, or of an unknown account: set aside, with the reason

Each outbox is drained by one worker at a time, in a thread of its own: one that is down holds up no other.
"""

import json
import logging
import threading
from collections.abc import Sequence
from contextlib import closing

from dispatcher import clock, failpoints, log
from dispatcher.background import BackgroundThread
from dispatcher.connections.errors import sqlstate
from dispatcher.errors import AccountNotFound, DispatcherError, InvalidEventAttribute
from dispatcher.model.event import EventDraft
from dispatcher.pipeline.emit import NewEvent, drafts_of
from dispatcher.pipeline.fault import guarded, kind, log_fault
from dispatcher.schedule.counters import Counters
from dispatcher.schemas import InvalidEvent, active
from dispatcher.settings import Outbox
from dispatcher.storage.admin import accounts
from dispatcher.storage.engine import Connection, Storage, refuses_values
from dispatcher.storage.outboxes import registry
from dispatcher.storage.outboxes.database import BATCH_SIZE, OutboxDatabase, OutboxEvent
from dispatcher.storage.pipeline import emits
from dispatcher.storage.pipeline.emits import Emit

logger = logging.getLogger(__name__)

CLAIM_S, LEASE_S = 1.0, 5.0
"""Between two claims of outboxes; and how long one is a worker's. A dead worker's goes to another within both."""
CHECK_S, DEAF_S = 5.0, 1.0
"""How often an outbox is polled although nothing was heard of it; and where nothing can be heard."""
WAIT_S = 0.25
"""A worker that stops is waited for up to this."""
PAUSE_S, PAUSE_MAX_S = 0.5, 15.0
"""Before the next attempt after one that failed; doubled each time."""


class Intake:
    """Takes in the events of one outbox, as process `taker`."""

    def __init__(self, outbox: Outbox, storage: Storage, counters: Counters, taker: int) -> None:
        self._outbox = outbox
        self._name = outbox.name
        self._storage = storage
        self._counters = counters
        self._taker = taker
        self._limit = BATCH_SIZE
        self._error: str | None = None

    def run(self, stop: threading.Event) -> None:
        """Goes on until `stop` is set, or another process has claimed the outbox."""
        pause_s = PAUSE_S
        while not stop.is_set():
            began_s = clock.monotonic()
            try:
                with closing(OutboxDatabase(self._outbox)) as database:
                    self._drain(database, stop)
                return
            except DispatcherError as error:
                self._failed(str(error))
            except Exception as error:  # the thread's outermost loop: an internal fault must not end it for good
                log_fault("outbox.fault", error, outbox=self._name)
                self._failed(type(error).__name__)
            pause_s = PAUSE_S if clock.monotonic() - began_s > PAUSE_MAX_S else min(2 * pause_s, PAUSE_MAX_S)
            stop.wait(pause_s)

    def _drain(self, database: OutboxDatabase, stop: threading.Event) -> None:
        check_at_s = clock.monotonic()
        while not stop.is_set():
            count = self.take_in(database)
            if count is None:
                return
            if clock.monotonic() >= check_at_s + (CHECK_S if count else 0.0):  # without what is yet to be deleted
                self._storage.autocommit(registry.report, self._name, self._taker, database.backlog())
                self._recovered()
                check_at_s = clock.monotonic() + CHECK_S
            if not count:
                poll_at_s = clock.monotonic() + DEAF_S if database.listener.is_deaf else check_at_s
                while not stop.is_set() and (left_s := poll_at_s - clock.monotonic()) > 0:
                    if database.listener.wait(min(left_s, WAIT_S), stop):
                        break

    def take_in(self, database: OutboxDatabase) -> int | None:
        """A batch: how many events it has, stored or set aside. What was stored before is deleted from the outbox.

        None where another process drains it. Raises OutboxUnavailable and StorageUnavailable; then nothing was stored.
        """
        batch: list[OutboxEvent] = []
        reasons: list[tuple[int, str]] = []

        def one_transaction(connection: Connection) -> bool:
            reasons.clear()
            taken = registry.lock(connection, self._name, self._taker)
            if taken is None:
                return False
            batch[:] = database.next_batch(taken, self._limit)
            if taken:
                failpoints.hit("after_outbox_delete")
            if batch or taken:
                registry.take(connection, self._name, self._store(connection, batch, reasons))
                failpoints.hit("before_intake_commit")
            return True

        try:
            if not self._storage.transact(one_transaction):
                return None
            self._limit = min(2 * self._limit, BATCH_SIZE)
        except Exception as error:
            if not refuses_values(error):
                raise
            if len(batch) > 1:  # by halves, until it is found
                self._limit = len(batch) // 2
                return 1
            reasons = [(batch[0].id, f"Postgres refuses it: {sqlstate(error)}")]
        failpoints.hit("after_intake_commit")
        if reasons:
            database.set_aside(reasons)
        return len(batch)

    def _store(self, connection: Connection, batch: Sequence[OutboxEvent], reasons: list[tuple[int, str]]) -> list[int]:
        """The numbers of those that are stored; the others are added to `reasons`."""
        owners = accounts.find_all(connection, {event.account for event in batch})
        accepted: dict[int, Emit] = {}
        for event in batch:
            owner = owners.get(event.account)
            try:
                if owner is None:
                    raise AccountNotFound(event.account)
                accepted[event.id] = Emit(owner.id, [_draft(event, owner.time_zone)], event.traceparent)
            except (AccountNotFound, InvalidEvent, InvalidEventAttribute) as error:
                reasons.append((event.id, str(error)))
        stored = emits.insert_all(connection, list(accepted.values()))
        if repeated := sum(not event.new for of_one in stored for event in of_one):
            self._counters.add({"duplicates:emit": repeated})
        if batch:
            logger.info(
                log.line("outbox.taken_in", outbox=self._name, events=len(accepted), failed=len(reasons) or None)
            )
        return list(accepted)

    def _failed(self, reason: str) -> None:
        """Is logged once, until it works again."""
        if self._error is None:
            logger.warning(log.line("outbox.down", outbox=self._name, reason=repr(reason)))
        if reason != self._error:
            self._error = reason
            try:
                self._storage.autocommit(registry.report_error, self._name, self._taker, reason)
            except DispatcherError:  # our own database is the reason, and `checked_at` will say the rest
                return

    def _recovered(self) -> None:
        if self._error is not None:
            logger.warning(log.line("outbox.up", outbox=self._name))
        self._error = None


def _draft(event: OutboxEvent, time_zone: str) -> EventDraft:
    """As of an event that was POSTed: its datetimes are written in the account's time zone."""
    try:
        body, of = json.loads(event.body), active().versions.get(event.name)
        new = NewEvent(
            name=of.name if of else event.name,
            body=body,
            created_at=event.created_at,
            idempotency_key=event.idempotency_key,
            version=of.version if of else None,
        )
        return drafts_of([new], time_zone)[0]
    except RecursionError:
        raise InvalidEvent(event.name, [("", "the body is too deep")]) from None
    except (InvalidEvent, InvalidEventAttribute):
        raise
    except Exception as error:  # such as of a company's own validator: the events behind it must not wait for a release
        raise InvalidEvent(event.name, [("", f"cannot be checked: {kind(error)}")]) from error


class Intakes:
    """A worker's: claims outboxes that nobody drains, and drains them."""

    def __init__(self, outboxes: Sequence[Outbox], storage: Storage, counters: Counters, taker: int) -> None:
        """`storage` is theirs alone, with a connection for each: one that hangs takes none that others need."""
        self._storage = storage
        self._taker = taker
        self._threads = {
            one.name: BackgroundThread(f"outbox-{one.name}", Intake(one, storage, counters, taker).run)
            for one in outboxes
        }

    def run(self, stop: threading.Event) -> None:
        """Goes on until `stop` is set; what is under way then is rolled back with the process. Others go on at once."""
        while not stop.is_set():
            with guarded("outboxes.not_claimed"):
                for name in self._storage.autocommit(registry.claim, list(self._threads), self._taker, LEASE_S):
                    self._threads[name].start()
            stop.wait(CLAIM_S)
        for timeout_s in (0.0, 2 * WAIT_S):  # all are asked to stop before any is waited for
            for thread in self._threads.values():
                thread.stop(timeout_s)
        with guarded("outboxes.not_released"):
            self._storage.autocommit(registry.release, self._taker)
        self._storage.close()
