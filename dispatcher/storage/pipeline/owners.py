"""Which processes live, as Postgres knows it: one that drains has locked its own number in a session of its own.

The kernel closes a dead process's connections, and Postgres ends their sessions at once; a process that hangs or is
frozen keeps its session. Behind a pooler that hands connections out by transaction a lock says nothing, and of a
machine that is gone Postgres hears late: then holds end by their time.
"""

import logging
import math
import select
from collections.abc import Callable, Sequence
from typing import Any

import psycopg2
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from dispatcher import clock, log
from dispatcher.storage.engine import Connection, array, detached, rows

logger = logging.getLogger(__name__)

_LATE_S = 15.0
"""After Postgres was away, every process that lives has a session again within this."""

_LOCK = "select pg_try_advisory_lock(%(owner)s)"

# Locks with a number of 64 bits.
_LIVING = """
select (classid::bigint << 32) | objid::bigint from pg_locks
where locktype = 'advisory' and objsubid = 1
    and database = (select oid from pg_database where datname = current_database())"""

_ENDED = f"select owner from unnest(%(owners)s::bigint[]) owner where owner not in ({_LIVING})"

# A lease token is a UUID of version 8, the last 62 bits of which are its process's number (`ids.new_lease_token`). It
# stays: by it the next claim knows that the attempt is lost. Reads all that waits, which is seldom: after a death.
_END_LEASES = f"""
with leased as materialized (
    select id, ('x' || right(replace(lease_token::text, '-', ''), 16))::bit(64)::bigint & {2**62 - 1} as owner
    from dispatcher.deliveries_waiting
    where next_attempt_at > dispatcher.now() and substr(lease_token::text, 15, 1) = '8')
update dispatcher.deliveries_waiting set next_attempt_at = dispatcher.now()
where id = any (array (
    select id from leased where (owner = any (%(owners)s::bigint[]) or %(all)s) and owner not in ({_LIVING})))
    and lease_token is not null
returning id
"""


def ended(connection: Connection, owners: Sequence[int]) -> list[int]:
    """Those of these processes, numbers of 1 to 2^62-1, that have no session any more."""
    return [row[0] for row in rows(connection, _ENDED, owners=array(owners))]


def end_leases(connection: Connection, owners: Sequence[int] | None) -> int:
    """What these processes have leased is due at once, unless they have a session; None: of all that have none.

    Returns how many deliveries those were.
    """
    return len(rows(connection, _END_LEASES, owners=array(owners or ()), all=owners is None))


class Presence:
    """This process's session: a connection outside the pool, which is open for as long as the process lives."""

    def __init__(self, engine: Engine, owner: int, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self._engine = engine
        self._owner = owner
        self._monotonic = monotonic
        self._connection: Any = None
        self._judges_at_s = 0.0

    @property
    def judges(self) -> bool:
        """Whether somebody's missing session means a death: not for a while after this one was lost.

        Then Postgres was away, and the sessions of those who live may be as late as this one.
        """
        return self._monotonic() >= self._judges_at_s

    def keep(self) -> None:
        """Opens the session, also where it was lost; asks Postgres nothing while it lasts."""
        if self._connection is not None and select.select([self._connection], [], [], 0)[0]:
            logger.warning(log.line("presence.lost"))  # a server that has nothing to say only speaks to end it
            self.close()
            self._judges_at_s = math.inf
        if self._connection is None:
            self._open()

    def close(self) -> None:
        """Ends the session: to others, this process is dead as soon as it is silent."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _open(self) -> None:
        try:
            self._connection = detached(self._engine)
            with self._connection.cursor() as cursor:
                cursor.execute(_LOCK, {"owner": self._owner})
        except (DBAPIError, psycopg2.Error) as error:
            logger.warning(log.line("presence.connect_failed", reason=type(error).__name__))
            self.close()
        else:
            self._judges_at_s = self._monotonic() + _LATE_S if self._judges_at_s else 0.0
