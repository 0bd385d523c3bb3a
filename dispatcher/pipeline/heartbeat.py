"""A process that drains reports that it lives, frees what dead ones held, and keeps the schedule in step."""

import logging
from collections.abc import Callable, Sequence

from dispatcher import log
from dispatcher.schedule.schedule import Beat, Schedule
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline import owners
from dispatcher.storage.pipeline.owners import Presence

logger = logging.getLogger(__name__)

BEAT_S = 3.0
SILENCE_S, SILENCE_FIRST_S = 4.0, 1.0
"""After this silence a process is checked; by one that starts, earlier: it may replace a dead one."""


class Heartbeat:
    """One process's. Harmless when doubled: all that is done twice is done once by the rows.

    `reconcile` is called once in `every_s` over all processes, and also where something may be missing in Redis: when
    this process begins, after a beat that failed, after a process has died, when Redis was restarted.
    """

    def __init__(
        self,
        storage: Storage,
        schedule: Schedule,
        presence: Presence,
        reconcile: Callable[[], object],
        *,
        every_s: float,
    ) -> None:
        self._storage = storage
        self._schedule = schedule
        self._presence = presence
        self._reconcile = reconcile
        self._every_s = every_s
        self._missed = True
        self._buried: list[Sequence[int] | None] = []
        """Processes whose leases are to be ended; None: all that are dead, for a Redis that has forgotten them."""

    def beat(self) -> None:
        """Raises what Redis or Postgres raise; the next beat then makes up for this one."""
        missed, self._missed = self._missed, True  # until this one is done
        self._presence.keep()
        self._schedule.release_abandoned()
        beat = self._schedule.beat(
            silence_s=SILENCE_FIRST_S if missed else SILENCE_S,
            reconciled_s=min(1.0, self._every_s) if missed else self._every_s,  # one of those that begin together does
        )
        ended = self._end_leases()
        if self._free(beat) or ended or beat.reconcile:
            self._reconcile()
        self._missed = False

    def close(self) -> None:
        """Ends this process's session: to the others it is dead."""
        self._presence.close()

    def _free(self, beat: Beat) -> bool:
        """What the dead among the silent held is due now; whether there was one, which may have lost a message too.

        Silence alone proves nothing, since a process may be slow; nor does a session that has ended, since Postgres may
        have been restarted. A process that neither speaks nor has a session is dead.
        """
        dead: list[int] = []
        if beat.silent and self._presence.judges:
            dead = self._storage.read(owners.ended, owners=beat.silent)
        freed = self._schedule.free(dead, restarted=beat.restarted) if dead or beat.restarted else None
        if freed is None:
            return False
        self._buried.append(None if beat.restarted else dead)
        if freed:
            logger.warning(log.line("holds.freed", processes=len(dead), webhooks=freed))
        return True

    def _end_leases(self) -> bool:
        """Of those whose holds were freed a beat ago and that have no session yet: one that lives has it again by now.

        To end a lease of a process that lives would send its deliveries twice; to free its holds does no harm.
        """
        ended = 0
        while self._buried and self._presence.judges:
            ended += self._storage.autocommit(owners.end_leases, self._buried[-1])
            self._buried.pop()
        if ended:
            logger.warning(log.line("leases.ended", deliveries=ended))
        return ended > 0
