"""A process that drains says each second that it lives, frees what dead ones held, and keeps the clock in step."""

import logging
from collections.abc import Callable
from functools import partial

from dispatcher import log
from dispatcher.schedule.clock import Schedule
from dispatcher.storage import owners
from dispatcher.storage.engine import Storage
from dispatcher.storage.owners import Presence

logger = logging.getLogger(__name__)

BEAT_S = 1.0


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
        self._presence = presence
        self._schedule = schedule
        self._reconcile = reconcile
        self._every_s = every_s
        self._missed = True

    def beat(self) -> None:
        """Raises what Redis or Postgres raise; the next beat then makes up for this one."""
        missed, self._missed = self._missed, True  # until this one is done
        self._presence.keep()
        missed = self._free(self._schedule.beat()) or missed
        if self._schedule.claim_reconcile(min(BEAT_S, self._every_s) if missed else self._every_s):
            self._reconcile()
        self._missed = False

    def close(self) -> None:
        """Ends this process's session: to the others it is dead."""
        self._presence.close()

    def _free(self, silent: list[int]) -> bool:
        """What the dead among the silent held is due now; whether there was one, which may have lost a message too.

        Silence alone proves nothing, since a process may be slow; nor does a session that has ended, since Postgres may
        have been restarted. A process that neither speaks nor has a session is dead.
        """
        if not silent or not self._presence.judges:
            return False
        dead = self._storage.look(partial(owners.ended, owners=silent))
        if dead and (webhooks := self._schedule.free(dead)):
            logger.warning(log.line("holds.freed", processes=len(dead), webhooks=webhooks))
        return bool(dead)
