"""The outboxes that workers drain, as the dispatcher's own database knows them: who drains each, and how far.

*Once, whatever dies.* A worker has the outbox's row locked while it reads events there, stores them here and writes
their numbers into the row (`taken`), all in one transaction. What it has read is deleted there after that commit, by
the statement that reads the next ones, under the same lock. So an event that was stored here and is still in the outbox
is in `taken`, always: it is not stored again.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from dispatcher.errors import OutboxInUse, OutboxNotFound
from dispatcher.storage.engine import Connection, array, one, records, rows
from dispatcher.storage.outboxes.database import OutboxBacklog

STALE_S = 30.0
"""An outbox that no worker has read for this long is down."""

# A row that is locked is being drained: it is skipped, so that a database that hangs holds up no other outbox.
_CLAIM = """
with new as (insert into dispatcher.outboxes (name) select unnest(%(names)s::text[]) on conflict do nothing),
free as (
    select name from dispatcher.outboxes
    where name = any (%(names)s::text[]) and (taker = %(taker)s or taker_until < dispatcher.now())
    for update skip locked)
update dispatcher.outboxes o set taker = %(taker)s, taker_until = dispatcher.now() + make_interval(secs => %(lease_s)s)
from free where o.name = free.name
returning o.name
"""
_RELEASE = """
with free as (select name from dispatcher.outboxes where taker = %(taker)s for update skip locked)
update dispatcher.outboxes o set taker_until = '-infinity' from free where o.name = free.name
"""
_LOCK = "select taken from dispatcher.outboxes where name = %(name)s and taker = %(taker)s for update"
_WAIT = "select from dispatcher.outboxes where name = %(name)s for update"
_TAKE = "update dispatcher.outboxes set taken = %(taken)s::bigint[] where name = %(name)s"
_REPORT = """
update dispatcher.outboxes
set checked_at = clock_timestamp(), error = null,
    pending = %(pending)s, oldest_age_s = %(oldest_age_s)s, failed = %(failed)s
where name = %(name)s and taker = %(taker)s
"""
_REPORT_ERROR = "update dispatcher.outboxes set error = %(error)s where name = %(name)s and taker = %(taker)s"
# Not one that a worker drains: it would take it for a new one, and store again what may still be in it.
_REMOVE = """
with target as (
    select name, taker_until < dispatcher.now() as is_free from dispatcher.outboxes where name = %(name)s for update),
gone as (delete from dispatcher.outboxes o using target where o.name = target.name and is_free)
select is_free from target
"""
_LIST = f"""
select name, error is null and coalesce(checked_at > clock_timestamp() - make_interval(secs => {STALE_S}), false),
    pending, case when pending > 0 then oldest_age_s + extract(epoch from clock_timestamp() - checked_at)::float8 end,
    failed, checked_at, error
from dispatcher.outboxes order by name
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxStatus:
    """An outbox as the worker that drains it saw it last, at `checked_at`; None where it has not seen it yet."""

    name: str
    is_up: bool
    pending: int | None
    oldest_age_s: float | None
    """Of its oldest event by now, unless that was taken in since; None where none was pending."""
    failed: int | None
    checked_at: datetime | None
    error: str | None


def claim(connection: Connection, names: Sequence[str], taker: int, lease_s: float) -> list[str]:
    """The names of those that this process is to drain for the next `lease_s` seconds: its own, and free ones."""
    return [row[0] for row in rows(connection, _CLAIM, names=array(names), taker=taker, lease_s=lease_s)]


def release(connection: Connection, taker: int) -> None:
    """What this process has claimed is free again, but for those that it takes a batch from at present."""
    rows(connection, _RELEASE, taker=taker)


def lock(connection: Connection, name: str, taker: int) -> list[int] | None:
    """What was taken in of the outbox and may still be in it, which is locked; None where another process drains it."""
    outboxes = rows(connection, _LOCK, name=name, taker=taker)
    return outboxes[0][0] if outboxes else None


def wait(connection: Connection, name: str) -> None:
    """Until no worker takes a batch of the outbox in; none does before the transaction ends."""
    rows(connection, _WAIT, name=name)


def take(connection: Connection, name: str, taken: Sequence[int]) -> None:
    """These are taken in, and those before are gone from the outbox."""
    rows(connection, _TAKE, name=name, taken=array(taken))


def report(connection: Connection, name: str, taker: int, backlog: OutboxBacklog) -> None:
    """What is in it by now."""
    rows(connection, _REPORT, name=name, taker=taker, **asdict(backlog))


def report_error(connection: Connection, name: str, taker: int, error: str) -> None:
    """Why it cannot be drained."""
    rows(connection, _REPORT_ERROR, name=name, taker=taker, error=error)


def statuses(connection: Connection) -> list[OutboxStatus]:
    """Of every outbox that was ever drained, unless it was removed."""
    return records(connection, OutboxStatus, _LIST)


def remove(connection: Connection, name: str) -> None:
    """Forgets an outbox; raises OutboxNotFound and OutboxInUse."""
    (is_free,) = one(connection, OutboxNotFound(name), _REMOVE, name=name)
    if not is_free:
        raise OutboxInUse(name)
