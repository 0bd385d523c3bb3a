"""A drain's side of the rows: what came of its deliveries is stored, also when Postgres is away for a while."""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from dispatcher import log
from dispatcher.errors import StorageUnavailable
from dispatcher.flow.tally import Tallying
from dispatcher.model.delivery import Claimed, State
from dispatcher.storage import deliveries
from dispatcher.storage.deliveries import Finished
from dispatcher.storage.engine import Storage

logger = logging.getLogger(__name__)


class Recorder:
    """Records by statements of their own. `pause` is what the drain does for a moment while Postgres is down."""

    def __init__(
        self,
        storage: Storage,
        monotonic: Callable[[], float],
        pause: Callable[[], None],
        tallying: Tallying | None = None,
    ) -> None:
        self._storage = storage
        self._monotonic = monotonic
        self._pause = pause
        self._tallying = tallying

    def record(self, finished: Sequence[Finished], idle: list[int], ends_s: float) -> dict[int, float] | None:
        """Stores attempts and says when the idle webhooks are due next; with Postgres down it tries until `ends_s`.

        None where Postgres is down and nothing is to be stored, or nothing more. Raises StorageUnavailable at `ends_s`,
        when the leases end: what was not recorded counts as lost then and is sent again.
        """
        left = finished
        while True:
            try:
                if left:
                    began_s = self._monotonic()
                    count = self._storage.single(lambda own: deliveries.record(own, finished, self._monotonic()))
                    left = []
                    if self._tallying is not None:
                        self._tallying.recorded(finished, count, self._monotonic() - began_s)
                    self._let_on(finished)
                return self._storage.single(lambda connection: deliveries.next_due(connection, idle)) if idle else {}
            except StorageUnavailable as error:
                logger.warning(log.line("drain.record_failed", attempts=len(left), reason=error))
                if not left:
                    return None
                if self._monotonic() >= ends_s:
                    raise
                self._pause()

    def give_back(self, unsent: Iterable[Claimed]) -> None:
        """Makes claimed deliveries due again, uncounted."""
        by_token: dict[str, list[int]] = {}
        for one in unsent:
            by_token.setdefault(one.lease_token, []).append(one.id)
        try:
            for token, ids in by_token.items():
                self._storage.single(partial(deliveries.return_unsent, ids=ids, token=token))
        except StorageUnavailable as error:  # the lease ends by itself
            logger.warning(log.line("drain.return_failed", reason=error))

    def _let_on(self, finished: Sequence[Finished]) -> None:
        """What was held back behind these is due now."""
        ended = [one.claimed for one in finished if one.claimed.resource and one.verdict.state is not State.PENDING]
        if ended:
            self._storage.single(lambda connection: deliveries.let_on(connection, ended))
