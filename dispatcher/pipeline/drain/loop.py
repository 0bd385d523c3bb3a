"""The drain: it holds a chunk of webhooks and brings what is due for them to their receivers.

    claim up to each webhook's window ▶ bytes and headers ▶ send ▶ judge ▶ record (each 50 ms or 200 results)
    claims.py                           sending.py                  judging.py   recording.py

It streams: all of these go on at once. A webhook whose claimed work is recorded is released on its own and does not
wait for the slowest of its chunk. What Redis does not take (a release, a health) is left: `reconcile` rebuilds it.

Requests of many webhooks are in flight here, so a fault of one, or of a part that could be done without, ends none of
them (`fault.py`). Where a drain does end by a fault, what has come in by then is recorded first.
"""

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from dispatcher import clock, failpoints
from dispatcher.broker.flower import AttemptEvent
from dispatcher.model.attempt import Result
from dispatcher.model.health import Health
from dispatcher.pipeline.drain.claims import Claimer
from dispatcher.pipeline.drain.counters import DrainCounters
from dispatcher.pipeline.drain.holds import Holds
from dispatcher.pipeline.drain.judging import Counts, Outcomes
from dispatcher.pipeline.drain.lane import Lane
from dispatcher.pipeline.drain.policy import DrainPolicy
from dispatcher.pipeline.drain.recording import Recorder
from dispatcher.pipeline.drain.sending import Flight, Flights
from dispatcher.pipeline.endpoint_health import update_webhooks
from dispatcher.pipeline.fault import guarded, log_fault
from dispatcher.pipeline.trace import TracesAttempts
from dispatcher.schedule.schedule import Schedule
from dispatcher.sender.contract import Sender
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline.deliveries import Finished

logger = logging.getLogger(__name__)

TURN_S = 1.0
"""A drain claims for so long, then passes what is left on, so that others get the slot and a worker can stop."""
STRAGGLING_S = 0.5
"""What has been in flight for so long while nothing else is left to do is a straggler (`Drain.finish`)."""
CLAIM_AGAIN_S = 2.0
"""After a claim that failed, its webhooks are due again so much later, up to twice that: each at another time, so that
one whose claim takes too long is in a chunk with others then."""
STORAGE_PAUSE_S = 0.5
"""Between two tries to record while Postgres is away, or while all that is left is locked."""
UNREADABLE_S = 60.0
"""A webhook whose secrets no key of ours opens is left alone for so long."""


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


class Drain:
    """One drain over `webhook_ids`, which the caller holds. Used by one thread at a time.

    `wait` is what it does with seconds in which there is nothing else to do.
    """

    def __init__(
        self,
        storage: Storage,
        schedule: Schedule,
        sender: Sender,
        policy: DrainPolicy,
        webhook_ids: Sequence[int],
        *,
        rng: random.Random | None = None,
        publish: Callable[[AttemptEvent], None] | None = None,
        counters: DrainCounters | None = None,
        traces: TracesAttempts | None = None,
        monotonic: Callable[[], float] = clock.monotonic,
        wait: Callable[[float], None] = _wait,
    ) -> None:
        self._rng = rng or random.Random()  # noqa: S311 - jitter, no secret
        self._storage = storage
        self._holds = Holds(schedule, policy.hold_s, monotonic)
        self._recorder = Recorder(storage, monotonic, self._pause, counters)
        self._claimer = Claimer(storage, self._recorder, self._holds, policy, monotonic, counters)
        self._flights = Flights(sender, policy.user_agent, monotonic, traces)
        self._outcomes = Outcomes(policy, self._rng, monotonic, publish, traces)
        self._counters = counters
        self._policy = policy
        self._monotonic = monotonic
        self._wait = wait
        self._finished: list[Finished] = []
        self._oldest_finished_s = 0.0
        self._go_on: list[int] = []
        self._may_claim = True
        self._lanes = _open_lanes(self._holds, policy, dict.fromkeys(webhook_ids))

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
        try:
            while self._lanes and not self._only_stragglers(patience_s):
                if self._may_claim and self._monotonic() < ends_s:
                    self._claim()
                else:
                    self._stop_claiming()
                self._step()
        except Exception:
            self._abandon()
            raise
        return self._outcomes.counts

    def finish(self, pass_on: Callable[[list[int]], None]) -> Counts:
        """Waits for what is in flight, at most the timeout, and claims nothing more.

        What still has work due is passed on as soon as it is let go: it must not wait for the others.
        """
        try:
            while self._lanes:
                self._stop_claiming()
                self._step()
                if self._go_on:
                    pass_on(self.take_go_on())
        except Exception:
            self._abandon()
            raise
        return self._outcomes.counts

    def _step(self) -> None:
        self._start()
        self._collect()
        if self._flush_is_due():
            self._flush()
        self._renew_holds()

    def _renew_holds(self) -> None:
        for webhook_id in self._holds.renew_if_due(self._lanes):  # its drain claims what is given back here
            self._stop_sending(self._lanes[webhook_id])

    def _stop_sending(self, lane: Lane) -> None:
        lane.drain()
        self._recorder.give_back(lane)

    def _abandon(self) -> None:
        """After a fault: what has come in is recorded, what is unsent given back. Leases of what is in flight end."""
        with guarded("drain.abandoned"):
            for lane in self._lanes.values():
                self._recorder.give_back(lane)
            finished, self._finished = self._finished, []
            self._recorder.record(finished)

    # -- claim ---------------------------------------------------------------------------------------------------

    def _claim(self) -> None:
        self._outcomes.counts.failed += self._claimer.fill(self._lanes)
        if self._claimer.failed:
            self._stop_claiming()
        elif not self._flights and not self._finished:
            wait_s = self._claimer.soonest_token_s(self._lanes)
            if wait_s is not None:
                self._wait(wait_s)

    def _stop_claiming(self) -> None:
        self._may_claim = False
        for lane in self._lanes.values():
            lane.drain()

    # -- send and judge ------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Starts what the windows allow, webhook by webhook in turn."""
        ready = [lane for lane in self._lanes.values() if lane.may_start]
        sent_at = int(clock.now().timestamp()) if ready else 0
        while ready:
            for lane in ready:
                if not self._flights.has_room:
                    return
                self._start_next(lane, sent_at)
            ready = [lane for lane in ready if lane.may_start]

    def _start_next(self, lane: Lane, sent_at: int) -> None:
        target, delivery = lane.target, lane.unsent[0]
        if target is None:
            self._leave_alone(lane)
        elif delivery.lease_ends_s - self._monotonic() <= self._policy.timeout_s:
            self._recorder.give_back(lane)  # too little of its lease is left, and so of those behind it
        else:
            lane.unsent.popleft()
            unsent = self._flights.start(lane, delivery, target, sent_at)
            if unsent is not None:
                self._finish(*unsent, sent=False)

    def _leave_alone(self, lane: Lane) -> None:
        """No key of ours opens the webhook's secrets: that is not its receiver's fault, and costs it no attempt."""
        lane.pause(self._monotonic() + UNREADABLE_S)
        self._recorder.give_back(lane)
        if self._counters is not None:
            with guarded("drain.counters_failed"):
                self._counters.unreadable()

    def _collect(self) -> None:
        wait_s = self._policy.flush_s
        if self._finished:
            wait_s = max(0.0, wait_s - (self._monotonic() - self._oldest_finished_s))
        self._finish_all(self._flights.landed(wait_s))

    def _finish_all(self, landed: Iterable[tuple[Flight, Result]]) -> None:
        for flight, result in landed:
            try:
                self._finish(flight, result)
            except Exception as error:  # its lease ends by itself; the others are judged
                log_fault("delivery.not_judged", error, delivery_id=result.tag)

    def _finish(self, flight: Flight, result: Result, *, sent: bool = True) -> None:
        lane = flight.lane
        finished = self._outcomes.follow(flight, result, sent=sent)
        if lane.is_paused and lane.unsent:
            self._recorder.give_back(lane)
        lane.unrecorded += 1
        if not self._finished:
            self._oldest_finished_s = self._monotonic()
        self._finished.append(finished)

    # -- record and release --------------------------------------------------------------------------------------

    def _flush_is_due(self) -> bool:
        if not self._flights:
            return True  # nothing to wait for: record, look for more, or release
        if not self._finished and not self._recorder.locked:
            return any(lane.is_idle for lane in self._lanes.values())
        return (
            len(self._finished) >= self._policy.flush_size
            or self._monotonic() - self._oldest_finished_s >= self._policy.flush_s
        )

    def _flush(self) -> None:
        """Records what has finished, and releases the webhooks of which nothing is left."""
        finished, self._finished = self._finished, []
        failpoints.hit("before_record")
        recorded = self._recorder.record(finished)
        failpoints.hit("after_record")
        with guarded("drain.endpoint_health_failed"):
            for webhook_id in update_webhooks(self._storage, recorded, self._lanes, self._policy.give_up_after_s):
                self._stop_sending(self._lanes[webhook_id])
        unrecorded = Counter(one.claimed.webhook_id for one in [*self._finished, *self._recorder.locked])
        for lane in self._lanes.values():
            lane.unrecorded = unrecorded[lane.webhook_id]
        idle = [lane for lane in self._lanes.values() if lane.is_idle]
        if idle:
            self._let_go(idle)
        if self._recorder.locked:
            self._oldest_finished_s = self._monotonic()
            if self._only_waits and not self._flights:
                self._wait(STORAGE_PAUSE_S)

    def _let_go(self, idle: Sequence[Lane]) -> None:
        waits = self._recorder.next_due(idle)
        if waits is None:  # not released: the holds end by themselves, and the clock brings the webhooks back
            go_on = []
        else:
            if self._claimer.failed:  # Postgres reads, and does not write: its disk may be full
                waits = {id_: max(s, CLAIM_AGAIN_S * (1 + self._rng.random())) for id_, s in waits.items()}
            now_s = self._monotonic()
            released = [lane.released(waits.get(lane.webhook_id), now_s) for lane in idle]
            go_on = self._holds.release(released, goes_on=self._may_claim)
        for lane in idle:
            if lane.webhook_id in go_on and self._may_claim:
                lane.reopen(self._policy.breaker)
            else:
                del self._lanes[lane.webhook_id]
                if lane.webhook_id in go_on:
                    self._go_on.append(lane.webhook_id)

    def _pause(self) -> None:
        """Half a second in which what is in flight goes on, and nothing is recorded."""
        ends_s = self._monotonic() + STORAGE_PAUSE_S
        self._renew_holds()
        while (left_s := ends_s - self._monotonic()) > 0:
            if self._flights:
                self._finish_all(self._flights.landed(left_s))
            else:
                self._wait(left_s)

    @property
    def _only_waits(self) -> bool:
        """Whether nothing can be done but to wait, for responses or for locks."""
        return not self._finished and all(not lane.may_claim and not lane.unsent for lane in self._lanes.values())

    def _only_stragglers(self, patience_s: Callable[[], float]) -> bool:
        if not self._only_waits:
            return False
        if self._flights:
            return self._flights.are_older_than(patience_s())
        return bool(self._recorder.locked)


def _open_lanes(holds: Holds, policy: DrainPolicy, webhook_ids: dict[int, None]) -> dict[int, Lane]:
    """A lane for each webhook that this drain holds now."""
    mine, known = holds.begin(webhook_ids)
    fresh = Health(window=float(policy.window.start))
    lanes = {id_: Lane(webhook_id=id_, health=known.get(id_, fresh)) for id_ in mine}
    for lane in lanes.values():
        lane.reopen(policy.breaker)
    return lanes
