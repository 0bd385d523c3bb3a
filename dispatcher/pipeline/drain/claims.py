"""A drain's claims: what is due for its webhooks is leased, as far as their windows and rate limits allow.

Where Postgres refuses a claim because of one delivery, its webhook is found by halving the claim, and the others go on.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping

from dispatcher import failpoints, log
from dispatcher.errors import StorageUnavailable
from dispatcher.ids import new_lease_token
from dispatcher.model.delivery import State
from dispatcher.pipeline.drain.holds import Holds
from dispatcher.pipeline.drain.lane import Lane
from dispatcher.pipeline.drain.policy import DrainPolicy
from dispatcher.pipeline.drain.recording import Recorder
from dispatcher.pipeline.drain.tools import Tools
from dispatcher.pipeline.fault import guarded, log_fault
from dispatcher.storage.engine import Storage, refuses_values
from dispatcher.storage.pipeline import deliveries, order, refused
from dispatcher.storage.pipeline.deliveries import Claim
from dispatcher.storage.pipeline.refused import Ending

logger = logging.getLogger(__name__)

TOKEN_WAIT_S, TOKEN_STEP_S = 0.25, 0.02
"""How long a drain waits for a webhook's next token, and how long it lets tokens gather."""
REFUSED_S = 60.0
"""How long a webhook is paused whose deliveries Postgres refuses to claim."""
NOT_CLAIMED = "the delivery cannot be claimed: Postgres refuses its figures"

CountsByWebhook = dict[int, int]
"""How many deliveries, by webhook."""


class Claimer:
    """Claims for the lanes of one drain."""

    def __init__(
        self,
        storage: Storage,
        recorder: Recorder,
        holds: Holds,
        policy: DrainPolicy,
        tools: Tools,
    ) -> None:
        self._storage = storage
        self._recorder = recorder
        self._holds = holds
        self._policy = policy
        self._owner = tools.owner
        self._monotonic = tools.monotonic
        self._counters = tools.counters
        self.failed = False
        """Whether Postgres was away."""

    def fill(self, lanes: Mapping[int, Lane]) -> int:
        """Claims for the lanes that have room, and marks those that have no more due.

        Returns how many deliveries were given up, after too many losses or because they cannot be claimed.
        """
        requested = self._requested(lanes)
        missing, failed = dict(requested), 0
        for claim in self._claims(lanes, requested):
            failed += claim.failed
            for webhook_id, claimed in claim.by_webhook().items():
                lanes[webhook_id].add(claimed, claim.targets.get(webhook_id))
                missing[webhook_id] -= len(claimed)
            for webhook_id in self._keep_to_rates(lanes, claim):
                del missing[webhook_id]
        for webhook_id, count in missing.items():
            if count > 0:
                lanes[webhook_id].drain()
        return failed

    def soonest_token_s(self, lanes: Mapping[int, Lane]) -> float | None:
        """Seconds to wait for the next token, where there is nothing else to do; else, or where none comes soon, None.

        Lets go of webhooks whose token comes later.
        """
        now_s = self._monotonic()
        throttled = [lane for lane in lanes.values() if lane.may_claim and lane.rate]
        if len(throttled) < sum(lane.may_claim for lane in lanes.values()):
            return None
        for lane in throttled:
            if lane.token_in_s(now_s) > TOKEN_WAIT_S:
                lane.pause(now_s + lane.token_in_s(now_s))
        waits_s = [lane.token_in_s(now_s) for lane in throttled if lane.may_claim]
        if not waits_s or any(lane.is_idle for lane in lanes.values()):
            return None
        return max(min(waits_s), TOKEN_STEP_S)

    def _requested(self, lanes: Mapping[int, Lane]) -> CountsByWebhook:
        """None before it is half of what may be in flight: a statement a freed slot would cost more than requests."""
        now_s = self._monotonic()
        requested = {lane.webhook_id: count for lane in lanes.values() if (count := lane.allowed(now_s))}
        room = sum(lane.slots for id_ in requested if (lane := lanes[id_]).rate is None)
        return requested if sum(requested.values()) * 2 >= room else {}

    def _claims(self, lanes: Mapping[int, Lane], requested: CountsByWebhook) -> Iterator[Claim]:
        left = [requested] if requested else []
        while left:
            part, token = left.pop(), str(new_lease_token(self._owner))
            try:
                claim = self._claim(lanes, part, token)
            except StorageUnavailable as error:
                logger.warning(log.line("drain.claim_failed", reason=error))
                self.failed = True
                return
            except Exception as error:  # any: one webhook's must not keep the others of the chunk from theirs
                with guarded("drain.claim_not_returned"):  # it may have been claimed already; else the leases end
                    self._storage.autocommit(
                        refused.return_claim, webhook_ids=part, token=token, lease=self._policy.lease
                    )
                if smaller := _smaller(part):
                    left += smaller
                else:
                    yield self._refused(lanes[next(iter(part))], error)
            else:
                if claim.claimed:
                    failpoints.hit("after_claim")
                if claim.ended:  # or `reconcile` finds what they held back
                    with guarded("drain.order_failed"):
                        self._storage.autocommit(order.settle, pairs=claim.ended)
                if self._counters is not None:
                    with guarded("drain.counters_failed"):
                        self._counters.claimed(claim)
                yield claim

    def _claim(self, lanes: Mapping[int, Lane], requested: CountsByWebhook, token: str) -> Claim:
        return self._storage.autocommit(
            lambda connection: deliveries.claim(
                connection,
                self._storage.secrets,
                requested,
                allowed={id_: count for id_, count in requested.items() if lanes[id_].rate},
                token=token,
                lease=self._policy.lease,
                loss_limit=self._policy.loss_limit,
                now_s=self._monotonic(),
            )
        )

    def _refused(self, lane: Lane, error: Exception) -> Claim:
        """Fails the one delivery that keeps its webhook's others from being claimed, or leaves the webhook alone."""
        log_fault("delivery.not_claimed", error, webhook_id=lane.webhook_id)
        if refuses_values(error):
            with guarded("delivery.not_failed", webhook_id=lane.webhook_id):
                if self._fail_first_due(lane.webhook_id):
                    return Claim(claimed=(), targets={}, failed=1)
        lane.pause(self._monotonic() + REFUSED_S)
        return Claim(claimed=(), targets={})

    def _fail_first_due(self, webhook_id: int) -> bool:
        first = self._storage.autocommit(refused.first_due, webhook_id=webhook_id)
        if first is None:
            return False
        id_, token = first
        return self._recorder.end(
            Ending(delivery_id=id_, webhook_id=webhook_id, lease_token=token, state=State.FAILED, reason=NOT_CLAIMED)
        )

    def _keep_to_rates(self, lanes: Mapping[int, Lane], claim: Claim) -> set[int]:
        """Takes tokens for what was claimed of webhooks with a rate limit; what gets none goes back, uncounted.

        Returns the webhooks whose claim brought a limit for the first time: they may have exceeded it.
        """
        rates = {id_: target.rate_limit for id_, target in claim.targets.items() if target.rate_limit}
        if not rates:
            return set()
        counts = Counter(delivery.webhook_id for delivery in claim.claimed)
        requested = {id_: (rate, counts[id_]) for id_, rate in rates.items()}
        learnt = {id_ for id_ in rates if lanes[id_].rate is None}
        for id_, (count, left) in self._holds.spend(requested).items():
            lane = lanes[id_]
            lane.limit(rates[id_], left, self._monotonic())
            self._recorder.give_back(lane, keep=len(lane.unsent) - counts[id_] + count)
        return learnt


def _smaller(part: CountsByWebhook) -> list[CountsByWebhook]:
    """Halves of a claim that was refused; of a single webhook, a claim of one; none where it was that."""
    ids = list(part)
    if len(ids) > 1:
        middle = len(ids) // 2
        return [{id_: part[id_] for id_ in half} for half in (ids[:middle], ids[middle:])]
    return [dict.fromkeys(ids, 1)] if part[ids[0]] > 1 else []
