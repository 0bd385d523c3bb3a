"""The drain: it holds a chunk of webhooks and brings what is due for them to their receivers.

    claim up to each webhook's window ▶ bytes and headers ▶ send ▶ judge ▶ record (each 50 ms or 200 results)

It streams: all of these go on at once. A webhook whose claimed work is recorded is released on its own and does not
wait for the slowest of its chunk. What Redis does not take (a release, a health) is left: `reconcile` rebuilds it.
"""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from uuid import uuid4

from dispatcher import clock, crash, log
from dispatcher.errors import ScheduleUnavailable, StorageUnavailable
from dispatcher.flow.lane import Counts, Flight, Lane, Lease
from dispatcher.model.attempt import Result, Status, Verdict, judge
from dispatcher.model.backoff import RetryPolicy
from dispatcher.model.delivery import Claimed, State
from dispatcher.model.health import BreakerPolicy, Health, WindowPolicy, after
from dispatcher.payload import headers, render
from dispatcher.schedule.clock import Released, Schedule
from dispatcher.sender.contract import Request, Sender
from dispatcher.storage import deliveries
from dispatcher.storage.deliveries import Finished
from dispatcher.storage.engine import Storage

logger = logging.getLogger(__name__)

TURN_S = 1.0
"""A drain claims for so long, then passes what is left on, so that others get the slot and a worker can stop."""
STRAGGLING_S = 0.5
"""What has been in flight for so long while nothing else is left to do is finished aside (`Drain.finish`)."""
_STORAGE_PAUSE_S = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class DrainPolicy:
    """The settings a drain goes by; spans in seconds unless named otherwise."""

    retry: RetryPolicy
    window: WindowPolicy
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    timeout_s: float = 30.0
    lease: timedelta = timedelta(seconds=60)
    loss_limit: int = 10
    flush_s: float = 0.05
    flush_size: int = 200
    hold_s: float = 15.0
    user_agent: str = "Fakturoid-Webhook-Dispatcher"


class Drain:
    """One drain over `webhook_ids`, which the caller holds. Used by one thread at a time."""

    def __init__(
        self,
        storage: Storage,
        schedule: Schedule,
        sender: Sender,
        policy: DrainPolicy,
        webhook_ids: Sequence[int],
        *,
        rng: random.Random | None = None,
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._storage = storage
        self._schedule = schedule
        self._sender = sender
        self._policy = policy
        self._rng = rng or random.Random()  # noqa: S311 - jitter, no secret
        self._monotonic = monotonic
        self._lanes: dict[int, Lane] = {}
        self._leases: dict[str, Lease] = {}
        self._flights: dict[int, Flight] = {}
        self._finished: list[Finished] = []
        self._oldest_finished_s = 0.0
        self._go_on: list[int] = []
        self._may_claim = True
        self.counts = Counts()
        self._open_lanes(dict.fromkeys(webhook_ids))

    @property
    def done(self) -> bool:
        """Whether every webhook was released."""
        return not self._lanes

    @property
    def go_on(self) -> tuple[int, ...]:
        """Webhooks that still have work due and are still held: the caller sends them to another drain."""
        return tuple(self._go_on)

    def run(self) -> Counts:
        """Works until all is released or only stragglers are in flight; then `done` is false: call `finish`."""
        ends_s = self._monotonic() + TURN_S
        while self._lanes and not self._only_stragglers():
            if self._may_claim and self._monotonic() < ends_s:
                self._claim()
            else:
                self._stop_claiming()
            self._step()
        return self.counts

    def finish(self) -> Counts:
        """Waits for what is in flight, at most the timeout, and claims nothing more."""
        while self._lanes:
            self._stop_claiming()
            self._step()
        return self.counts

    def _step(self) -> None:
        self._start()
        self._collect()
        if self._flush_is_due():
            self._flush()
        self._renew()

    # -- claim ---------------------------------------------------------------------------------------------------

    def _open_lanes(self, webhook_ids: dict[int, None]) -> None:
        known: dict[int, Health] = {}
        self._renewed_s = self._monotonic()
        try:
            self._schedule.renew(webhook_ids)  # the message may have waited for most of the hold
            known = self._schedule.healths(list(webhook_ids))
        except ScheduleUnavailable as error:
            logger.warning(log.line("drain.without_clock", reason=error))
        fresh = Health(window=float(self._policy.window.start))
        self._lanes = {id_: Lane(webhook_id=id_, health=known.get(id_, fresh)) for id_ in webhook_ids}
        for lane in self._lanes.values():
            self._begin(lane)

    def _begin(self, lane: Lane) -> None:
        lane.exhausted = lane.changed = False
        lane.paused_until_s = 0.0
        lane.probing = lane.health.is_open(self._policy.breaker)

    def _claim(self) -> None:
        wanted = {lane.webhook_id: lane.wanted for lane in self._lanes.values() if lane.wanted}
        # In halves of what may be in flight: a statement for each freed slot would cost more than the requests.
        room = sum(self._lanes[id_].slots for id_ in wanted)
        if not wanted or sum(wanted.values()) * 2 < room:
            return
        lease = Lease(token=str(uuid4()), ends_s=self._monotonic() + self._policy.lease.total_seconds())
        try:
            claim = self._storage.single(
                lambda connection: deliveries.claim(
                    connection,
                    self._storage.secrets,
                    wanted,
                    token=lease.token,
                    lease=self._policy.lease,
                    loss_limit=self._policy.loss_limit,
                )
            )
        except StorageUnavailable as error:
            logger.warning(log.line("drain.claim_failed", reason=error))
            self._stop_claiming()
            return
        if claim.claimed:
            crash.reached("after_claim")
            lease.targets = claim.targets
            self._leases[lease.token] = lease
        self.counts.failed += claim.given_up
        for delivery in claim.claimed:
            lane = self._lanes[delivery.webhook_id]
            lane.unsent.append(delivery)
            wanted[delivery.webhook_id] -= 1
        for webhook_id, missing in wanted.items():
            if missing > 0:
                self._lanes[webhook_id].exhausted = True

    def _stop_claiming(self) -> None:
        self._may_claim = False
        for lane in self._lanes.values():
            lane.exhausted = True

    # -- send ----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Starts what the windows allow, webhook by webhook in turn."""
        ready = [lane for lane in self._lanes.values() if lane.may_start]
        sent_at = int(clock.now().timestamp()) if ready else 0
        while ready:
            for lane in ready:
                if self._sender.in_flight >= self._sender.capacity:
                    return
                self._start_one(lane, lane.unsent.popleft(), sent_at)
            ready = [lane for lane in ready if lane.may_start]

    def _start_one(self, lane: Lane, delivery: Claimed, sent_at: int) -> None:
        lease = self._leases[delivery.lease_token]
        if lease.ends_s - self._monotonic() <= self._policy.timeout_s:
            lane.unsent.appendleft(delivery)
            self._give_back(lane)
            return
        target = lease.targets.get(delivery.webhook_id)
        flight = Flight(
            lane=lane,
            claimed=delivery,
            url=target.url if target else "",
            started_s=self._monotonic(),
        )
        self._flights[delivery.id] = flight
        lane.in_flight += 1
        if target is None:
            self._finish_one(self._unsendable(delivery, "the webhook's secrets cannot be read"))
            return
        try:
            body = render(delivery, target)
        except (ValueError, KeyError, TypeError) as error:  # the one delivery fails, the others go on
            self._finish_one(self._unsendable(delivery, f"the payload cannot be rendered: {type(error).__name__}"))
            return
        made = headers(delivery, target, body, sent_at, self._policy.user_agent)
        crash.reached("before_send")
        self._sender.start(Request(tag=delivery.id, url=target.url, headers=made, body=body))

    def _give_back(self, lane: Lane) -> None:
        """What is unsent goes back, uncounted: too little of its lease is left, or the receiver is to be let alone."""
        by_token: dict[str, list[int]] = {}
        for one in lane.unsent:
            by_token.setdefault(one.lease_token, []).append(one.id)
        lane.unsent.clear()
        try:
            for token, ids in by_token.items():
                self._storage.single(partial(deliveries.return_unsent, ids=ids, token=token))
        except StorageUnavailable as error:  # the lease ends by itself
            logger.warning(log.line("drain.return_failed", reason=error))

    def _unsendable(self, delivery: Claimed, reason: str) -> Result:
        now_s = self._monotonic()
        return Result(tag=delivery.id, status=Status.UNKNOWN_ERROR, reason=reason, started_s=now_s, finished_s=now_s)

    # -- judge ---------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        waiting = self._sender.in_flight
        if not waiting:
            return
        wait_s = self._policy.flush_s
        if self._finished:
            wait_s = max(0.0, wait_s - (self._monotonic() - self._oldest_finished_s))
        for result in self._sender.results(wait_s):
            crash.reached("after_send")
            self._finish_one(result)

    def _finish_one(self, result: Result) -> None:
        flight = self._flights.pop(result.tag)
        lane, delivery = flight.lane, flight.claimed
        verdict = judge(result, delivery.attempt_number, self._policy.retry, clock.now(), self._rng)
        lane.in_flight -= 1
        lane.unrecorded += 1
        lane.health = after(lane.health, result.status, result.finished_s - result.started_s, self._policy.window)
        lane.changed = True
        self._heed(lane, verdict)
        self.counts.add(verdict.state)
        if verdict.state is not State.DELIVERED or logger.isEnabledFor(logging.DEBUG):
            logger.info(
                log.line(
                    "delivery.attempted",
                    delivery_id=delivery.id,
                    webhook_id=delivery.webhook_id,
                    name=delivery.event_name,
                    key=delivery.idempotency_key,
                    attempt=delivery.attempt_number,
                    result=result.status,
                    state=verdict.state,
                    retry_in_s=verdict.retry_in and round(verdict.retry_in.total_seconds(), 1),
                )
            )
        if not self._finished:
            self._oldest_finished_s = self._monotonic()
        self._finished.append(Finished(claimed=delivery, url=flight.url, result=result, verdict=verdict))

    def _heed(self, lane: Lane, verdict: Verdict) -> None:
        """Lets the receiver alone where it asked for that, or where its breaker opens or a probe has failed."""
        pauses_s = [verdict.pause.total_seconds()] if verdict.pause else []
        is_open = lane.health.is_open(self._policy.breaker)
        if is_open and not lane.paused_until_s:  # what comes back after it has opened is no probe
            probes = lane.health.probes + 1 if lane.probing else 0
            lane.health = replace(lane.health, window=1.0, probes=probes)
            pauses_s.append(self._policy.breaker.pause_s(probes, self._rng))
            logger.warning(
                log.line("webhook.paused", webhook_id=lane.webhook_id, probes=probes, pause_s=round(pauses_s[-1], 1))
            )
        lane.probing = lane.probing and is_open
        if pauses_s:
            lane.paused_until_s = max(lane.paused_until_s, self._monotonic() + max(pauses_s))
            lane.exhausted = True
            self._give_back(lane)

    # -- record and release --------------------------------------------------------------------------------------

    def _flush_is_due(self) -> bool:
        if not self._flights:
            return True  # nothing to wait for: record, look for more, or release
        if not self._finished:
            return any(lane.is_idle for lane in self._lanes.values())
        return (
            len(self._finished) >= self._policy.flush_size
            or self._monotonic() - self._oldest_finished_s >= self._policy.flush_s
        )

    def _flush(self) -> None:
        """Records what has finished, and releases the webhooks of which nothing is left."""
        finished, self._finished = self._finished, []
        for one in finished:
            self._lanes[one.claimed.webhook_id].unrecorded -= 1
        idle = [lane for lane in self._lanes.values() if lane.is_idle]
        if not finished and not idle:
            return
        crash.reached("before_record")
        waits = self._record(finished, [lane.webhook_id for lane in idle])
        crash.reached("after_record")
        self._forget_leases()
        if waits is None:  # not released: the holds end by themselves, and the clock brings the webhooks back
            for lane in idle:
                del self._lanes[lane.webhook_id]
        else:
            self._release(idle, waits)

    def _record(self, finished: list[Finished], idle: list[int]) -> dict[int, float] | None:
        """Stores attempts and asks when the idle webhooks are due next; with Postgres down, until the leases end.

        None where Postgres is down and there is nothing to store, or nothing left.
        """
        left = finished
        ends_s = max((self._leases[one.claimed.lease_token].ends_s for one in finished), default=0.0)
        while True:
            try:
                if left:
                    self._storage.single(lambda connection: deliveries.record(connection, finished, self._monotonic()))
                    left = []
                return self._storage.single(lambda connection: deliveries.next_due(connection, idle)) if idle else {}
            except StorageUnavailable as error:
                logger.warning(log.line("drain.record_failed", attempts=len(left), reason=error))
                if not left:
                    return None
                if self._monotonic() >= ends_s:
                    raise  # what was not recorded counts as lost and is sent again
                self._pause()

    def _pause(self) -> None:
        """Half a second in which what is in flight goes on."""
        ends_s = self._monotonic() + _STORAGE_PAUSE_S
        while (left_s := ends_s - self._monotonic()) > 0:
            if not self._sender.in_flight:
                threading.Event().wait(left_s)
            for result in self._sender.results(left_s) if self._sender.in_flight else ():
                self._finish_one(result)

    def _release(self, idle: list[Lane], waits: dict[int, float]) -> None:
        now_s = self._monotonic()
        released = [
            Released(
                webhook_id=lane.webhook_id,
                wait_s=waits.get(lane.webhook_id),
                pause_s=max(0.0, lane.paused_until_s - now_s),
                health=lane.health if lane.changed else None,
            )
            for lane in idle
        ]
        try:
            go_on = self._schedule.release(released)
        except ScheduleUnavailable as error:
            logger.warning(log.line("drain.release_failed", reason=error))
            go_on = []
        for lane in idle:
            if lane.webhook_id in go_on and self._may_claim:
                self._begin(lane)
            else:
                del self._lanes[lane.webhook_id]
                if lane.webhook_id in go_on:
                    self._go_on.append(lane.webhook_id)

    def _forget_leases(self) -> None:
        if len(self._leases) > 64:
            used = {delivery.lease_token for lane in self._lanes.values() for delivery in lane.unsent}
            used |= {flight.claimed.lease_token for flight in self._flights.values()}
            self._leases = {token: lease for token, lease in self._leases.items() if token in used}

    def _renew(self) -> None:
        now_s = self._monotonic()
        if now_s - self._renewed_s < self._policy.hold_s / 3 or not self._lanes:
            return
        self._renewed_s = now_s
        try:
            self._schedule.renew(list(self._lanes))
        except ScheduleUnavailable as error:
            logger.warning(log.line("drain.renew_failed", reason=error))

    def _only_stragglers(self) -> bool:
        if (
            self._finished
            or not self._flights
            or any(lane.unsent or not lane.exhausted for lane in self._lanes.values())
        ):
            return False
        now_s = self._monotonic()
        return all(now_s - flight.started_s > STRAGGLING_S for flight in self._flights.values())
