"""A process that drains says again and again that it lives, frees what dead ones held, and keeps the clock in step."""

import logging
from collections.abc import Callable

from dispatcher import log
from dispatcher.schedule.schedule import Beat, Schedule
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline import owners
from dispatcher.storage.pipeline.owners import Presence

logger = logging.getLogger(__name__)

BEAT_S = 3.0
SILENCE_S, SILENCE_FIRST_S = 4.0, 1.0
"""A process that has said nothing for so long is looked at; by one that starts, earlier: it may replace a dead one."""


class Heartbeat:
    """One process's. Harmless when doubled: all that is done twice is done once by the rows.

    `reconcile` is called once in `every_s` over all processes, and besides where something may be missing in the clock:
    when this process begins, after a beat that failed, after a process has died, when Redis has started anew.
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

    def beat(self) -> None:
        """Raises what Redis or Postgres raise; the next beat then makes up for this one."""
        missed, self._missed = self._missed, True  # until this one is done
        self._presence.keep()
        self._schedule.let_go()
        beat = self._schedule.beat(
            silence_s=SILENCE_FIRST_S if missed else SILENCE_S,
            reconciled_s=min(1.0, self._every_s) if missed else self._every_s,  # one of those that begin together does
        )
        if self._free(beat) or beat.reconcile:
            self._reconcile()
        self._missed = False

    def close(self) -> None:
        """Ends this process's session: to the others it is dead."""
        self._presence.close()

    def _free(self, beat: Beat) -> bool:
        """What the dead among the silent held or leased is due now; whether there was one: it may have lost a message.

        Silence alone proves nothing, since a process may be slow; nor does a session that has ended, since Postgres may
        have been restarted. A process that neither speaks nor has a session is dead.
        """
        dead: list[int] = []
        if beat.silent and self._presence.judges:
            dead = self._storage.read(owners.ended, owners=beat.silent)
        freed = self._schedule.free(dead, anew=beat.anew) if dead or beat.anew else None
        if freed is None:
            return False
        leases = 0
        if self._presence.judges:  # a Redis that has started anew does not know who was there
            leases = self._storage.autocommit(owners.end_leases, None if beat.anew else dead)
        if freed or leases:
            logger.warning(log.line("holds.freed", processes=len(dead), webhooks=freed, deliveries=leases))
        return True
