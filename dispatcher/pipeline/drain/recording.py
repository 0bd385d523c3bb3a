"""A drain's side of the rows: what came of its deliveries is stored, whatever Postgres says.

Postgres is away     what there is to store waits and is tried again, until the leases end
a row is locked      its result waits, until its lease ends; the others are stored
it refuses a batch   the result that it refuses is found by halving; the others are stored
it refuses a result  the attempt is stored without what came back; and where that is refused too, the delivery is moved
                     to its end without it
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from dispatcher import log
from dispatcher.errors import StorageLockTimeout, StorageUnavailable
from dispatcher.model.attempt import Verdict
from dispatcher.model.delivery import State
from dispatcher.pipeline.drain.counters import DrainCounters
from dispatcher.pipeline.drain.lane import Lane
from dispatcher.pipeline.fault import guarded, log_fault
from dispatcher.storage.engine import Storage, refuses_values
from dispatcher.storage.pipeline import deliveries, order, refused
from dispatcher.storage.pipeline.deliveries import JudgedAttempt
from dispatcher.storage.pipeline.refused import Ending

logger = logging.getLogger(__name__)

NOT_STORED = "the response cannot be stored"
NOT_RECORDED = "the attempt cannot be recorded: Postgres refuses its figures"

Store = Callable[[Sequence[JudgedAttempt]], Sequence[JudgedAttempt]]
"""Stores a batch, all of it or nothing; returns what it stored of each."""


class Recorder:
    """Records, each in one statement. `pause` is what the drain does for a moment while Postgres is down."""

    def __init__(
        self,
        storage: Storage,
        monotonic: Callable[[], float],
        pause: Callable[[], None],
        counters: DrainCounters | None = None,
    ) -> None:
        self._storage = storage
        self._monotonic = monotonic
        self._pause = pause
        self._counters = counters
        self.locked: list[JudgedAttempt] = []
        """What the last call did not store, because somebody else has locked its deliveries."""

    def record(self, finished: Sequence[JudgedAttempt]) -> list[JudgedAttempt]:
        """Stores attempts and moves their deliveries; returns what was stored, and never raises.

        While Postgres is down it repeats until the last of their leases ends: what is not stored by then counts as lost
        and is sent again. What another transaction has locked stays in `locked`, for the next call.
        """
        waiting, self.locked = self.locked, []
        left: list[tuple[Sequence[JudgedAttempt], Store]] = [(finished, self._store)] if finished else []
        left += [(free, self._store)] if (free := self._free(waiting)) else []
        recorded: list[JudgedAttempt] = []
        while left:
            batch, store = left.pop()
            try:
                recorded += store(batch)
            except StorageUnavailable as error:
                # Of a whole table that is locked all rows are free: then it is an outage.
                if isinstance(error, StorageLockTimeout) and len(free := self._free(batch)) < len(batch):
                    left += [(free, store)] if free else []
                    continue
                left.append((batch, store))
                if not self._wait_for_postgres([one for part, _ in left for one in part], error):
                    break
            except Exception as error:  # any: a result of one receiver must not keep those of the others from the rows
                left += self._smaller(batch, store, error)
        return recorded

    def _free(self, batch: Sequence[JudgedAttempt]) -> Sequence[JudgedAttempt]:
        """What of `batch` is not locked; the rest is in `locked` now, unless its lease has ended."""
        if not batch:
            return []
        ids: set[int] = set()
        with guarded("drain.locks_not_read"):
            ids = self._storage.autocommit(refused.unlocked, delivery_ids=[one.claimed.id for one in batch])
        now_s = self._monotonic()
        for one in batch:
            if one.claimed.id in ids:
                continue
            if now_s < one.claimed.lease_ends_s:
                self.locked.append(one)
            else:
                logger.error(log.line("delivery.record_failed", delivery_id=one.claimed.id,
                                      webhook_id=one.claimed.webhook_id, reason="locked"))  # fmt: skip
        return [one for one in batch if one.claimed.id in ids]

    def next_due(self, idle: Sequence[Lane]) -> dict[int, float] | None:
        """Webhook → seconds until it is due next, absent where nothing waits; None where Postgres does not say."""
        ids = [lane.webhook_id for lane in idle]
        waits: dict[int, float] | None = None if ids else {}
        if ids:
            with guarded("drain.next_due_failed"):
                waits = self._storage.autocommit(deliveries.next_due, ids)
        return waits

    def give_back(self, lane: Lane, keep: int = 0) -> None:
        """What is claimed and unsent beyond the first `keep` is due again, uncounted."""
        by_token: dict[str, list[int]] = {}
        while len(lane.unsent) > keep:
            one = lane.unsent.pop()
            by_token.setdefault(one.lease_token, []).append(one.id)
        for token, ids in by_token.items():
            with guarded("drain.return_failed"):  # the lease ends by itself
                self._storage.autocommit(deliveries.return_unsent, ids=ids, token=token)

    def end(self, ending: Ending) -> bool:
        """Moves a delivery to its end that Postgres refuses to move as usual, and keeps of its attempt what it takes.

        False where another drain has it by now; raises what Postgres says of the move.
        """
        number = self._storage.autocommit(refused.settle, ending=ending)
        if number is None:
            return False
        logger.error(log.line("delivery.given_up", delivery_id=ending.delivery_id, webhook_id=ending.webhook_id,
                              state=ending.state, reason=repr(ending.reason)))  # fmt: skip
        with guarded("delivery.attempt_not_kept", delivery_id=ending.delivery_id):
            self._storage.autocommit(refused.insert_attempt, ending=ending, number=number)
        return True

    def _wait_for_postgres(self, left: Sequence[JudgedAttempt], error: StorageUnavailable) -> bool:
        """Whether it is worth trying again."""
        logger.warning(log.line("drain.record_failed", attempts=len(left), reason=error))
        if self._monotonic() < max(one.claimed.lease_ends_s for one in left):
            self._pause()
            return True
        logger.error(log.line("drain.results_lost", attempts=len(left), reason="Postgres was away until leases ended"))
        return False

    def _store(self, batch: Sequence[JudgedAttempt]) -> Sequence[JudgedAttempt]:
        began_s = self._monotonic()
        count = self._storage.autocommit(lambda connection: deliveries.record(connection, batch, self._monotonic()))
        self._stored(batch, count, began_s)
        return batch

    def _stored(self, batch: Sequence[JudgedAttempt], count: int, began_s: float) -> None:
        if self._counters is not None:
            with guarded("drain.counters_failed"):
                self._counters.recorded(batch, count, self._monotonic() - began_s)
        pairs = [(one.claimed.webhook_id, one.claimed.resource) for one in batch if one.claimed.resource is not None]
        if pairs:  # what was held back behind these is due now, or an earlier one goes first; or `reconcile` finds it
            with guarded("drain.order_failed"):
                self._storage.autocommit(order.settle, pairs)

    # -- what Postgres refuses -----------------------------------------------------------------------------------

    def _smaller(
        self, batch: Sequence[JudgedAttempt], store: Store, error: Exception
    ) -> list[tuple[Sequence[JudgedAttempt], Store]]:
        """What to try after `batch` was refused: its halves; of a single result, to store less of it."""
        if len(batch) > 1:
            middle = len(batch) // 2
            return [(batch[:middle], store), (batch[middle:], store)]
        claimed = batch[0].claimed
        log_fault("delivery.record_failed", error, delivery_id=claimed.id, webhook_id=claimed.webhook_id)
        if store == self._store:
            return [(batch, self._store_bare)]
        if store == self._store_bare and refuses_values(error):
            return [(batch, self._settle)]
        return []  # its lease ends by itself: it is sent again, and given up after some losses

    def _store_bare(self, batch: Sequence[JudgedAttempt]) -> Sequence[JudgedAttempt]:
        """With its true verdict, without what came back."""
        (one,) = batch
        result = replace(one.result, content_type=None, body=b"", headers=None, reason=NOT_STORED)
        return self._store([replace(one, result=result)])

    def _settle(self, batch: Sequence[JudgedAttempt]) -> Sequence[JudgedAttempt]:
        """To its end, whatever attempts are left."""
        began_s = self._monotonic()
        (one,) = batch
        claimed, result = one.claimed, one.result
        ending = Ending(
            delivery_id=claimed.id,
            webhook_id=claimed.webhook_id,
            lease_token=claimed.lease_token,
            state=State.DELIVERED if one.verdict.state is State.DELIVERED else State.FAILED,
            url=one.url,
            status=result.status,
            reason=NOT_RECORDED,
            took_s=result.finished_s - result.started_s,
        )
        if not self.end(ending):
            return []
        settled = [replace(one, verdict=Verdict(state=ending.state))]
        self._stored(settled, 1, began_s)
        return settled
