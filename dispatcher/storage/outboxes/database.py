"""A worker's way to one outbox: its connections, and the statements by which events leave it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg2
import psycopg2.errors
from sqlalchemy.exc import DBAPIError

from dispatcher.connections.adapter import Parameters, Row
from dispatcher.connections.psycopg2 import rows
from dispatcher.errors import OutboxUnavailable
from dispatcher.settings import Outbox
from dispatcher.storage.engine import array, detached, make_engine, record
from dispatcher.storage.outboxes.tables import INSTALL
from dispatcher.storage.pipeline.listener import NotificationListener

CHANNEL = "dispatcher_outbox"
BATCH_SIZE, BATCH_BYTES = 500, 8_000_000
"""Events that are taken in at once at most; and bytes of their bodies, unless one has more."""
COUNTED = 100_000
"""Up to here they are counted."""

_COLUMNS = "id, account, name, body, idempotency_key, created_at, traceparent"

# Deletes what was taken in before, and reads what comes next. One statement, so one round trip, and its own
# transaction. Index: the primary key.
_NEXT = f"""
with gone as (delete from dispatcher_outbox.events where id = any (%(taken)s::bigint[])),
following as (
    select {_COLUMNS} from dispatcher_outbox.events where id <> all (%(taken)s::bigint[]) order by id limit %(limit)s),
-- As compressed: to learn the size of a large body takes as long as to read it.
measured as (select *, sum(pg_column_size(body)) over (order by id) - pg_column_size(body) as stored from following),
sized as (select *, octet_length(body::text) as size from measured where stored < %(bytes)s)
select id, account, name, body::text, idempotency_key, created_at, traceparent
from (select *, sum(size) over (order by id) - size as before from sized) e
where before = 0 or before + size <= %(bytes)s order by id
"""
_SET_ASIDE = f"""
with failed as (
    delete from dispatcher_outbox.events e
    using unnest(%(ids)s::bigint[], %(reasons)s::text[]) as f (event_id, reason) where e.id = f.event_id
    returning e.*, f.reason)
insert into dispatcher_outbox.failed ({_COLUMNS}, reason) select {_COLUMNS}, reason from failed
"""
# They get new numbers, so that they come after what has been taken in meanwhile.
_RETRY = """
with again as (delete from dispatcher_outbox.failed where %(id)s::bigint is null or id = %(id)s returning *),
stored as (
    insert into dispatcher_outbox.events (account, name, body, idempotency_key, created_at, traceparent)
    select account, name, body, idempotency_key, created_at, traceparent from again order by id returning id)
select count(*) from stored
"""
_FAILED = """
select id, account, name, reason, created_at, failed_at from dispatcher_outbox.failed order by id limit %(limit)s
"""
# Of each table a page at a time. Index: the primary key.
_OF_ACCOUNT = """
select id, name, body::text from dispatcher_outbox.{table} where account = %(account)s and id > %(after)s
order by id limit 20
"""
_DELETE = "delete from dispatcher_outbox.{table} where id = any (%(ids)s::bigint[])"
_BACKLOG = """
select (select count(*) from (select from dispatcher_outbox.events order by id limit %(most)s) e),
    (select extract(epoch from clock_timestamp() - recorded_at)::float8
        from dispatcher_outbox.events order by id limit 1),
    (select count(*) from (select from dispatcher_outbox.failed order by id limit %(most)s) f)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxEvent:
    """A row of an outbox; `body` is JSON text."""

    id: int
    account: str
    name: str
    body: str
    idempotency_key: str | None
    created_at: datetime
    traceparent: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedEvent:
    """An event that was set aside, without its body."""

    id: int
    account: str
    name: str
    reason: str
    created_at: datetime
    failed_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxBacklog:
    """What an outbox holds; numbers up to COUNTED. `oldest_age_s` is None where nothing is pending."""

    pending: int
    oldest_age_s: float | None
    failed: int


class OutboxDatabase:
    """One outbox. Whatever its database refuses or does not answer is an OutboxUnavailable, with its first line."""

    def __init__(self, outbox: Outbox) -> None:
        self._engine = make_engine(outbox.url, pool_size=1, variable="DISPATCHER_OUTBOXES")
        self._connection: Any = None
        self.listener = NotificationListener(self._engine, CHANNEL)

    def next_batch(self, taken: Sequence[int], limit: int = BATCH_SIZE) -> list[OutboxEvent]:
        """Deletes `taken`, and returns what comes next, in order."""
        parameters = {"taken": array(taken), "limit": limit, "bytes": BATCH_BYTES}
        return [record(OutboxEvent, row) for row in self._rows(_NEXT, parameters)]

    def set_aside(self, reasons: Sequence[tuple[int, str]]) -> None:
        """Moves events to `failed`, each (id) with its reason."""
        ids, texts = zip(*reasons, strict=True)
        self._rows(_SET_ASIDE, {"ids": array(ids), "reasons": array(map(_storable, texts))})

    def failed(self, limit: int) -> list[FailedEvent]:
        """The first events that were set aside."""
        return [record(FailedEvent, row) for row in self._rows(_FAILED, {"limit": limit})]

    def retry(self, event_id: int | None) -> int:
        """Puts what was set aside (or the event with that id) into the outbox again; returns how many events."""
        count: int = self._rows(_RETRY, {"id": event_id})[0][0]
        return count

    def delete_where(self, account: str, fits: Callable[[str, str], bool]) -> None:
        """Deletes those events of the account that fit, by name and body: pending ones, and those set aside."""
        for table in ("events", "failed"):
            after, page = 0, [(0, "", "")]
            while page:
                page = self._rows(_OF_ACCOUNT.format(table=table), {"account": account, "after": after})
                if ids := [id_ for id_, name, body in page if fits(name, body)]:
                    self._rows(_DELETE.format(table=table), {"ids": array(ids)})
                after = page[-1][0] if page else after

    def backlog(self) -> OutboxBacklog:
        """How much there is."""
        return record(OutboxBacklog, self._rows(_BACKLOG, {"most": COUNTED})[0])

    def version(self) -> int:
        """That of the tables."""
        version: int = self._rows("select dispatcher_outbox.version()")[0][0]
        return version

    def install(self) -> None:
        """Makes what is missing, all or nothing; raises OutboxUnavailable also where a later release created it."""
        self._rows(INSTALL)  # one text, so one transaction

    def close(self) -> None:
        """Closes its connections."""
        self.listener.close()
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()

    def _rows(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """Of a statement that is one transaction. After an error the next one reconnects."""
        try:
            if self._connection is None:
                self._connection = detached(self._engine)
            return rows(self._connection, sql, parameters)
        except (psycopg2.Error, DBAPIError) as error:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            raise OutboxUnavailable(_reason(error)) from error


def _storable(text: str) -> str:
    """A validator's own words may repeat what Postgres' text cannot hold."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def _reason(error: Exception) -> str:
    original = getattr(error, "orig", error)
    if isinstance(original, psycopg2.errors.UndefinedTable | psycopg2.errors.InvalidSchemaName):
        return "the outbox is not installed; run: dispatcher outbox install"
    return (str(original).strip().splitlines() or ["connection lost"])[0]
