"""The drain: it holds a chunk of webhooks and brings what is due for them to their receivers.

    claim up to each webhook's window ▶ bytes and headers ▶ send ▶ judge ▶ record (each 50 ms or 200 results)

It streams: all of these go on at once. A webhook whose claimed work is recorded is released on its own and does not
wait for the slowest of its chunk. What Redis does not take (a release, a health) is left: `reconcile` rebuilds it.
"""

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import uuid4

from dispatcher import clock, crash, log
from dispatcher.errors import StorageUnavailable
from dispatcher.flow import watch
from dispatcher.flow.holds import Holds
from dispatcher.flow.lane import Counts, Flight, Lane, Lease, told
from dispatcher.flow.policy import DrainPolicy
from dispatcher.flow.record import Recorder
from dispatcher.flow.tally import Tallying
from dispatcher.flow.trace import TracesAttempts
from dispatcher.model.attempt import Result, Status, Verdict, judge
from dispatcher.model.delivery import Claimed, State
from dispatcher.model.health import Health, after
from dispatcher.model.webhook import Target
from dispatcher.payload import headers, render
from dispatcher.queue import Told
from dispatcher.schedule.clock import Released, Schedule
from dispatcher.sender.contract import Request, Sender
from dispatcher.storage import deliveries
from dispatcher.storage.deliveries import Claim, Finished
from dispatcher.storage.engine import Storage

logger = logging.getLogger(__name__)

TURN_S = 1.0
"""A drain claims for so long, then passes what is left on, so that others get the slot and a worker can stop."""
STRAGGLING_S = 0.5
"""What has been in flight for so long while nothing else is left to do is a straggler (`Drain.finish`)."""
TOKEN_WAIT_S, TOKEN_STEP_S = 0.25, 0.02
"""A drain waits so long for a webhook's next token, and gathers tokens for so long."""
CLAIM_AGAIN_S = 2.0
"""After a claim that failed, its webhooks are due again so much later."""
_STORAGE_PAUSE_S = 0.5


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
        tell: Callable[[Told], None] | None = None,
        tallying: Tallying | None = None,
        traces: TracesAttempts | None = None,
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._storage = storage
        self._holds = Holds(schedule, policy.hold_s, monotonic)
        self._recorder = Recorder(storage, monotonic, lambda: self._pause(), tallying)
        self._tallying = tallying
        self._traces = traces
        self._sender = sender
        self._policy = policy
        self._rng = rng or random.Random()  # noqa: S311 - jitter, no secret
        self._tell = tell
        self._monotonic = monotonic
        self._lanes: dict[int, Lane] = {}
        self._leases: dict[str, Lease] = {}
        self._flights: dict[int, Flight] = {}
        self._finished: list[Finished] = []
        self._oldest_finished_s = 0.0
        self._go_on: list[int] = []
        self._may_claim = True
        self._claim_failed = False
        self.counts = Counts()
        self._open_lanes(dict.fromkeys(webhook_ids))

    @property
    def done(self) -> bool:
        """Whether every webhook was released."""
        return not self._lanes

    def take_go_on(self) -> list[int]:
        """Webhooks that still have work due and are still held, each once: the caller sends them to another drain."""
        taken, self._go_on = self._go_on, []
        return taken

    def run(self, patience_s: Callable[[], float] = lambda: STRAGGLING_S) -> Counts:
        """Works until all is released or only stragglers are in flight; then `done` is false: call `finish`.

        `patience_s` is asked how long a request may be in flight before it is a straggler. Afterwards `take_go_on`.
        """
        ends_s = self._monotonic() + TURN_S
        while self._lanes and not self._only_stragglers(patience_s):
            if self._may_claim and self._monotonic() < ends_s:
                self._claim()
                self._wait_for_tokens()
            else:
                self._stop_claiming()
            self._step()
        return self.counts

    def finish(self, pass_on: Callable[[list[int]], None]) -> Counts:
        """Waits for what is in flight, at most the timeout, and claims nothing more.

        What still has work due is passed on as soon as it is let go: it must not wait for the others.
        """
        while self._lanes:
            self._stop_claiming()
            self._step()
            if self._go_on:
                pass_on(self.take_go_on())
        return self.counts

    def _step(self) -> None:
        self._start()
        self._collect()
        if self._flush_is_due():
            self._flush()
        self._holds.renew_if_due(self._lanes)

    # -- claim ---------------------------------------------------------------------------------------------------

    def _open_lanes(self, webhook_ids: dict[int, None]) -> None:
        known = self._holds.begin(webhook_ids)
        fresh = Health(window=float(self._policy.window.start))
        self._lanes = {id_: Lane(webhook_id=id_, health=known.get(id_, fresh)) for id_ in webhook_ids}
        for lane in self._lanes.values():
            self._begin(lane)

    def _begin(self, lane: Lane) -> None:
        lane.exhausted = lane.changed = False
        lane.paused_until_s = 0.0
        lane.probing = lane.health.is_open(self._policy.breaker)

    def _claim(self) -> None:
        now_s = self._monotonic()
        wanted = {lane.webhook_id: count for lane in self._lanes.values() if (count := lane.allowed(now_s))}
        # In halves of what may be in flight: a statement for each freed slot would cost more than the requests.
        room = sum(lane.slots for id_ in wanted if (lane := self._lanes[id_]).rate is None)
        if not wanted or sum(wanted.values()) * 2 < room:
            return
        lease = Lease(token=str(uuid4()), ends_s=self._monotonic() + self._policy.lease.total_seconds())
        try:
            claim = self._storage.single(
                lambda connection: deliveries.claim(
                    connection,
                    self._storage.secrets,
                    wanted,
                    allowed={id_: count for id_, count in wanted.items() if self._lanes[id_].rate},
                    token=lease.token,
                    lease=self._policy.lease,
                    loss_limit=self._policy.loss_limit,
                    now_s=self._monotonic(),
                )
            )
        except StorageUnavailable as error:
            logger.warning(log.line("drain.claim_failed", reason=error))
            self._claim_failed = True
            self._stop_claiming()
            return
        if claim.claimed:
            crash.reached("after_claim")
            lease.targets = claim.targets
            self._leases[lease.token] = lease
        self.counts.failed += claim.given_up
        if self._tallying is not None:
            self._tallying.claimed(claim)
        for delivery in claim.claimed:
            lane = self._lanes[delivery.webhook_id]
            lane.unsent.append(delivery)
            wanted[delivery.webhook_id] -= 1
        limited = self._keep_to_rates(claim)
        for webhook_id, missing in wanted.items():
            if missing > 0 and webhook_id not in limited:
                self._lanes[webhook_id].exhausted = True

    def _keep_to_rates(self, claim: Claim) -> set[int]:
        """Takes tokens for what was claimed of webhooks with a rate limit; what gets none goes back, uncounted.

        Returns the webhooks whose claim told of a limit for the first time: of these there may be more than one.
        """
        rates = {id_: target.rate_limit for id_, target in claim.targets.items() if target.rate_limit}
        if not rates:
            return set()
        counts = Counter(delivery.webhook_id for delivery in claim.claimed)
        wanted = {id_: (rate, counts[id_]) for id_, rate in rates.items()}
        learnt = {id_ for id_ in rates if self._lanes[id_].rate is None}
        for id_, (count, left) in self._holds.spend(wanted).items():
            lane = self._lanes[id_]
            lane.rate, lane.tokens, lane.tokens_at_s = rates[id_], left, self._monotonic()
            self._give_back(lane, keep=len(lane.unsent) - counts[id_] + count)
        return learnt

    def _wait_for_tokens(self) -> None:
        """With nothing else to do: waits for a token that comes soon, and lets go of webhooks whose comes later."""
        now_s = self._monotonic()
        throttled = [lane for lane in self._lanes.values() if not lane.exhausted and lane.rate]
        if self._flights or self._finished or len(throttled) < sum(not lane.exhausted for lane in self._lanes.values()):
            return
        for lane in throttled:
            if lane.token_in_s(now_s) > TOKEN_WAIT_S:
                lane.paused_until_s = max(lane.paused_until_s, now_s + lane.token_in_s(now_s))
                lane.exhausted = True
        waits_s = [lane.token_in_s(now_s) for lane in throttled if not lane.exhausted]
        if waits_s and not any(lane.is_idle for lane in self._lanes.values()):
            self._wait(max(min(waits_s), TOKEN_STEP_S))

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
        except Exception as error:  # the one delivery fails, the others go on, and the receiver is not to blame
            reason = f"the payload cannot be rendered: {type(error).__name__}"
            self._finish_one(self._unsendable(delivery, reason), sent=False)
            return
        made = headers(delivery, target, body, sent_at, self._policy.user_agent)
        if self._traces is not None and delivery.traceparent:
            made += self._traces.start(delivery)
        crash.reached("before_send")
        self._sender.start(Request(tag=delivery.id, url=target.url, headers=made, body=body))

    def _give_back(self, lane: Lane, keep: int = 0) -> None:
        """What is unsent beyond the first `keep` goes back, uncounted.

        Too little of its lease is left, or the receiver is to be let alone, or its rate limit allows no more.
        """
        self._recorder.give_back([lane.unsent.pop() for _ in range(len(lane.unsent) - keep)])

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

    def _finish_one(self, result: Result, *, sent: bool = True) -> None:
        flight = self._flights.pop(result.tag)
        lane, delivery = flight.lane, flight.claimed
        verdict = judge(result, delivery.attempt_number, self._policy.retry, clock.now(), self._rng)
        lane.in_flight -= 1
        lane.unrecorded += 1
        if sent:
            lane.health = after(lane.health, result.status, result.finished_s - result.started_s, self._policy.window)
            lane.changed = True
            self._heed(lane, verdict)
        self.counts.add(verdict.state)
        if verdict.state is not State.DELIVERED or logger.isEnabledFor(logging.DEBUG):
            logger.info(
                log.line(
                    "delivery.attempted",
                    event_id=delivery.event_id,
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
        if self._tell is not None and (verdict.state is not State.DELIVERED or self._tells_success(delivery)):
            self._tell(told(delivery, result, verdict))
        if self._traces is not None and delivery.traceparent:
            self._traces.finish(delivery, result, verdict)
        if not self._finished:
            self._oldest_finished_s = self._monotonic()
        self._finished.append(Finished(claimed=delivery, url=flight.url, result=result, verdict=verdict))

    def _tells_success(self, delivery: Claimed) -> bool:
        return self._policy.tell_successes or delivery.attempt_number > 1

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
        lane.recovered = lane.recovered or (lane.probing and not is_open)
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
        ends_s = max((self._leases[one.claimed.lease_token].ends_s for one in finished), default=0.0)
        waits = self._recorder.record(finished, [lane.webhook_id for lane in idle], ends_s)
        crash.reached("after_record")
        self._watch(finished)
        self._forget_leases()
        if waits is None:  # not released: the holds end by themselves, and the clock brings the webhooks back
            for lane in idle:
                del self._lanes[lane.webhook_id]
        elif self._claim_failed:  # Postgres reads, and does not write: its disk may be full
            self._release(idle, {id_: max(wait_s, CLAIM_AGAIN_S) for id_, wait_s in waits.items()})
        else:
            self._release(idle, waits)

    def _watch(self, finished: Sequence[Finished]) -> None:
        """Stores what these results say of their webhooks, and stops where one is given up."""
        seen = watch.look(finished, self._target_of, self._policy.give_up_after_s)
        for one in finished:
            lane = self._lanes.get(one.claimed.webhook_id)
            if lane is not None and lane.recovered:
                lane.recovered = False
                seen.recovered[lane.webhook_id] = one.claimed
        if not seen:
            return
        try:
            for webhook_id in watch.store(self._storage, seen):
                self._lanes[webhook_id].exhausted = True
                self._give_back(self._lanes[webhook_id])
        except StorageUnavailable as error:  # the next results say it again
            logger.warning(log.line("drain.watch_failed", reason=error))

    def _target_of(self, claimed: Claimed) -> Target | None:
        return self._leases[claimed.lease_token].targets.get(claimed.webhook_id)

    def _wait(self, seconds: float) -> None:
        threading.Event().wait(seconds)

    def _pause(self) -> None:
        """Half a second in which what is in flight goes on."""
        ends_s = self._monotonic() + _STORAGE_PAUSE_S
        while (left_s := ends_s - self._monotonic()) > 0:
            if not self._sender.in_flight:
                self._wait(left_s)
            for result in self._sender.results(left_s) if self._sender.in_flight else ():
                self._finish_one(result)

    def _release(self, idle: list[Lane], waits: dict[int, float]) -> None:
        now_s = self._monotonic()
        go_on = self._holds.release(
            [
                Released(
                    webhook_id=lane.webhook_id,
                    wait_s=waits.get(lane.webhook_id),
                    pause_s=max(0.0, lane.paused_until_s - now_s),
                    health=lane.health if lane.changed else None,
                )
                for lane in idle
            ]
        )
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

    def _only_stragglers(self, patience_s: Callable[[], float]) -> bool:
        if (
            self._finished
            or not self._flights
            or any(lane.unsent or not lane.exhausted for lane in self._lanes.values())
        ):
            return False
        now_s = self._monotonic()
        limit_s = patience_s()
        return all(now_s - flight.started_s > limit_s for flight in self._flights.values())
