"""Erasures: whose payloads are to be erased, how far that is, and the events to check.

Of a person only a digest is kept once an erasure has finished: enough to erase them again after a restore.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from dispatcher.errors import ErasureNotFound
from dispatcher.storage.admin import audit
from dispatcher.storage.engine import Connection, one, record, records, rows, scalar, scalars

READ_AT_ONCE = 20
"""Bodies, of 5 MiB at most."""

_COLUMNS = """e.id, e.account_id, e.subject, e.digest, e.reached, e.events, e.attempts, e.cancelled, e.created_at,
    e.finished_at"""

# One that is pending goes on; who asks by a digest adds nothing to what it knows.
_REQUEST = f"""
insert into dispatcher.erasures as e (account_id, subject, digest) values (%(account_id)s, %(subject)s, %(digest)s)
on conflict (account_id, digest) where finished_at is null do update set subject = coalesce(e.subject, excluded.subject)
returning {_COLUMNS}, xmax = 0
"""

_FIND = f"select {_COLUMNS} from dispatcher.erasures e where e.id = %(id)s and e.account_id = %(account_id)s"
_LOCK = f"select {_COLUMNS} from dispatcher.erasures e where e.id = %(id)s for update"

# Index: erasures_by_account, backwards.
_PAGE = f"""
select {_COLUMNS} from dispatcher.erasures e where e.account_id = %(account_id)s and e.id < %(before)s
order by e.id desc limit %(limit)s
"""
_FINISHED = """
select a.slug, e.digest, max(e.finished_at) from dispatcher.erasures e join dispatcher.accounts a on a.id = e.account_id
where e.finished_at is not null group by 1, 2 order by 3
"""
# Index: erasures_pending_are_one_per_person.
_PENDING = "select id from dispatcher.erasures where finished_at is null order by id"

_ADVANCE = f"""
update dispatcher.erasures e set reached = %(reached)s, events = events + %(events)s,
    attempts = attempts + %(attempts)s, cancelled = cancelled + %(cancelled)s,
    finished_at = case when %(is_whole)s then dispatcher.now() end,
    subject = case when not %(is_whole)s then subject end
where id = %(id)s returning {_COLUMNS}
"""

# The account's next events by id, and of which the body must be read: not of those that do not hold the text at all.
# Index: events_by_account, in each day's partition.
_WALK = """
select id, name, coalesce(version, 1), erasure is null and name = any (%(names)s::text[])
    and (%(text)s::text is null or strpos(body::text, %(text)s) > 0)
from dispatcher.events where account_id = %(account_id)s and id > %(after)s order by id limit %(limit)s
"""

# Index: the primary key of events.
_BODIES = "select id, body::text from dispatcher.events where id = any (%(ids)s::bigint[])"


@dataclass(frozen=True, kw_only=True, slots=True)
class Erasure:
    """The payloads of one person in an account. `subject` is None once it is finished, or where a digest is known only.

    `cancelled`: deliveries that were pending, and events that were not fanned out.
    """

    id: int
    account_id: int
    subject: str | None = field(repr=False)
    digest: str
    reached: int
    events: int
    attempts: int
    cancelled: int
    created_at: datetime
    finished_at: datetime | None

    def is_of(self, person: str) -> bool:
        """Whether that is the person whose payloads are erased."""
        return person == self.subject if self.subject is not None else digest_of(self.account_id, person) == self.digest


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedErasure:
    """What is to be erased again after a restore."""

    account: str
    digest: str
    finished_at: datetime


class ScannedEvent(NamedTuple):
    """An event, and whether its body may name the person."""

    id: int
    name: str
    version: int
    is_candidate: bool


def digest_of(account_id: int, subject: str) -> str:
    """What stands for a person where nobody needs to know who it is. Of an id that can be guessed, it can be, too."""
    return hashlib.sha256(f"{account_id}:{subject}".encode()).hexdigest()


def request(connection: Connection, account_id: int, subject: str | None, digest: str) -> Erasure:
    """The erasure, to be run; one that is pending is the same one."""
    *columns, is_new = rows(connection, _REQUEST, account_id=account_id, subject=subject, digest=digest)[0]
    if is_new:
        audit.record(connection, "erasure.requested", digest, account_id=account_id)
    return record(Erasure, columns)


def find(connection: Connection, account_id: int, erasure_id: int) -> Erasure:
    """The account's erasure; raises ErasureNotFound."""
    return record(Erasure, one(connection, ErasureNotFound(erasure_id), _FIND, id=erasure_id, account_id=account_id))


def page(connection: Connection, account_id: int, *, before: int | None = None, limit: int = 40) -> list[Erasure]:
    """The account's, newest first."""
    bound = 2**31 - 1 if before is None else before
    return records(connection, Erasure, _PAGE, account_id=account_id, before=bound, limit=limit)


def finished(connection: Connection) -> list[FinishedErasure]:
    """Of all accounts that there are, each person once."""
    return records(connection, FinishedErasure, _FINISHED)


def pending(connection: Connection) -> list[int]:
    """The ids of those that are not finished."""
    return scalars(connection, _PENDING)


def slug_of(connection: Connection, erasure: Erasure) -> str:
    """Of its account, which outboxes know it by; empty where that is gone."""
    sql = "select slug from dispatcher.accounts where id = %(id)s"
    return str(scalar(connection, sql, id=erasure.account_id) or "")


def lock(connection: Connection, erasure_id: int) -> Erasure | None:
    """It, until the transaction ends: whoever runs it too waits. None: there is none any more."""
    return next(iter(records(connection, Erasure, _LOCK, id=erasure_id)), None)


def walk(
    connection: Connection, erasure: Erasure, names: Sequence[str], text: str | None, limit: int
) -> list[ScannedEvent]:
    """The account's next events; candidates have one of these names, and hold the text, if one is given."""
    parameters = {"account_id": erasure.account_id, "after": erasure.reached, "text": text, "names": list(names)}
    return [ScannedEvent(*row) for row in rows(connection, _WALK, **parameters, limit=limit)]


def bodies(connection: Connection, event_ids: Sequence[int]) -> dict[int, str]:
    """Those of READ_AT_ONCE events at most, as JSON text."""
    return dict(rows(connection, _BODIES, ids=list(event_ids)))


def advance(connection: Connection, erasure: Erasure, reached: int, erased: Counter[str], *, is_whole: bool) -> Erasure:
    """The erasure, once events up to that id are done; `is_whole`: those were all."""
    counts = {name: erased[name] for name in ("events", "attempts", "cancelled")}
    row = rows(connection, _ADVANCE, id=erasure.id, reached=reached, is_whole=is_whole, **counts)[0]
    advanced = record(Erasure, row)
    if is_whole:
        sums = {name: getattr(advanced, name) for name in counts}
        audit.record(connection, "erasure.finished", erasure.digest, account_id=erasure.account_id, **sums)
    return advanced
