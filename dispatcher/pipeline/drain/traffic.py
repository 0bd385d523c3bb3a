"""What is leased goes out and comes back: started as windows allow, judged, and recorded in batches.

Used by whoever has leased deliveries: a drain (`loop.py`), and a fan-out for what it has created (`first_attempts.py`).

Requests of many webhooks are in flight here, so a fault of one, or of a part that could be done without, ends none of
them (`fault.py`). Where the owner does end by a fault, what has come in by then is recorded first (`abandon`).
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable

from dispatcher import clock, failpoints
from dispatcher.model.attempt import Result
from dispatcher.model.delivery import State
from dispatcher.pipeline.drain.judging import Counts, Outcomes
from dispatcher.pipeline.drain.lane import Lane
from dispatcher.pipeline.drain.policy import DrainPolicy
from dispatcher.pipeline.drain.recording import Recorder
from dispatcher.pipeline.drain.sending import Flight, Flights
from dispatcher.pipeline.drain.tools import Tools
from dispatcher.pipeline.endpoint_health import update_webhooks
from dispatcher.pipeline.fault import guarded, log_fault
from dispatcher.sender.contract import Sender
from dispatcher.sender.turn import turn
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline.deliveries import JudgedAttempt

STORAGE_PAUSE_S = 0.5
"""Between two attempts to record while Postgres is down, or while everything left is locked."""
UNREADABLE_S = 60.0
"""A webhook whose secrets no key in SECRET_KEYS opens is paused for this long."""
STEP = 32
"""Requests that are started before responses are processed. Connections of receivers that are fast serve again
then; each further one costs more than a request."""
TURN_S = 0.01
"""How often a drain claims and records whose receivers respond at once, so that others have their turn."""


class Traffic:
    """Keeps the deliveries of its `lanes` going. Used by one thread at a time.

    `meanwhile` is called before each pause in which nothing can be recorded.
    """

    def __init__(
        self,
        storage: Storage,
        sender: Sender,
        policy: DrainPolicy,
        lanes: dict[int, Lane],
        tools: Tools,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        self.lanes = lanes
        self.recorder = Recorder(storage, tools.monotonic, self._pause, tools.counters)
        self._storage = storage
        self._policy = policy
        self._counters = tools.counters
        self._monotonic = tools.monotonic
        self._wait = tools.wait
        self._meanwhile = meanwhile
        self._flights = Flights(sender, policy, tools.monotonic, tools.traces)
        self._outcomes = Outcomes(policy, tools.rng, tools.monotonic, tools.publish, tools.traces)
        self._finished: list[JudgedAttempt] = []
        self._oldest_finished_s = 0.0
        self._round: deque[Lane] = deque()

    @property
    def counts(self) -> Counts:
        """What came of all deliveries so far."""
        return self._outcomes.counts

    @property
    def in_flight(self) -> int:
        """Requests that are on their way."""
        return len(self._flights)

    @property
    def is_unrecorded(self) -> bool:
        """Whether results wait to be recorded, for their batch or for a lock."""
        return bool(self._finished or self.recorder.locked)

    @property
    def only_waits(self) -> bool:
        """Whether nothing can be done but to wait, for responses or for locks."""
        return not self._finished and all(not lane.may_claim and not lane.unsent for lane in self.lanes.values())

    @property
    def flush_in_s(self) -> float:
        """Seconds until what has finished is to be recorded; `flush_s` where nothing has."""
        if len(self._finished) >= self._policy.flush_size:
            return 0.0
        if not self.is_unrecorded:
            return self._policy.flush_s
        return max(0.0, self._policy.flush_s - (self._monotonic() - self._oldest_finished_s))

    def slow_webhooks(self, seconds: float) -> set[int]:
        """Webhooks with a request that has been on its way for longer."""
        return self._flights.slow_webhooks(seconds)

    def only_stragglers(self, seconds: float) -> bool:
        """Whether all that is left has been on its way for longer, or waits for a lock."""
        if not self.only_waits:
            return False
        return self._flights.are_older_than(seconds) if self.in_flight else bool(self.recorder.locked)

    # -- send and judge ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts what the windows allow, and judges what comes back meanwhile."""
        while self._start_some():
            self.collect(0.0)

    def exchange(self) -> None:
        """Starts and judges until nothing comes back at once, or its turn is over; then waits for what comes next."""
        with turn():
            ends_s = self._monotonic() + TURN_S
            while True:
                may_go_on = self._start_some()
                landed = self._flights.landed(0.0)
                self._finish_all(landed)
                may_go_on = may_go_on or bool(landed)
                if not may_go_on or self.flush_in_s == 0 or self._monotonic() >= ends_s:
                    break
        if not may_go_on:
            self.collect(self.flush_in_s)

    def collect(self, wait_s: float) -> None:
        """Judges what has come back; waits up to `wait_s` for the first, not at all where nothing is on its way."""
        self._finish_all(self._flights.landed(wait_s))

    def stop_sending(self, lane: Lane) -> None:
        """What is unsent of it is given back."""
        lane.drain()
        self._give_back(lane)

    def abandon(self) -> None:
        """After a fault: what has come in is recorded, what is unsent given back. Leases of what is in flight end."""
        with guarded("drain.abandoned"):
            for lane in self.lanes.values():
                self._give_back(lane)
            finished, self._finished = self._finished, []
            self.recorder.record(finished)

    def _start_some(self) -> bool:
        """Starts up to STEP of what the windows allow, webhook by webhook in turn. False where that is all."""
        sent_at = 0
        for _ in range(STEP):
            if not self._flights.has_room:
                return False
            lane = self._next_in_turn()
            if lane is None:
                return False
            sent_at = sent_at or int(clock.now().timestamp())
            self._start_next(lane, sent_at)
        return True

    def _next_in_turn(self) -> Lane | None:
        """A lane that may start; the others go before it is its turn again."""
        for _ in range(2):
            while self._round:
                lane = self._round.popleft()
                if lane.may_start:
                    return lane
            self._round.extend(lane for lane in self.lanes.values() if lane.may_start)
        return None

    def _start_next(self, lane: Lane, sent_at: int) -> None:
        target, delivery = lane.target, lane.unsent[0]
        if target is None:
            self._leave_alone(lane)
        elif delivery.lease_ends_s - self._monotonic() <= self._policy.timeout_s:
            self._give_back(lane)  # too little of its lease is left, and so of those behind it
        else:
            lane.unsent.popleft()
            unsent = self._flights.start(lane, delivery, target, sent_at)
            if unsent is not None:
                self._finish_all([unsent], sent=False)

    def _leave_alone(self, lane: Lane) -> None:
        """No key in SECRET_KEYS opens its secrets: that is not its receiver's fault, and costs it no attempt."""
        lane.pause(self._monotonic() + UNREADABLE_S)
        self._give_back(lane)
        if self._counters is not None:
            with guarded("drain.counters_failed"):
                self._counters.unreadable()

    def _give_back(self, lane: Lane) -> None:
        if lane.unsent:
            lane.has_pending = True
            self.recorder.give_back(lane)

    def _finish_all(self, landed: Iterable[tuple[Flight, Result]], *, sent: bool = True) -> None:
        for flight, result in landed:
            try:
                self._finish(flight, result, sent=sent)
            except Exception as error:  # its lease ends by itself; the others are judged
                log_fault("delivery.not_judged", error, delivery_id=result.tag)

    def _finish(self, flight: Flight, result: Result, *, sent: bool) -> None:
        lane = flight.lane
        finished = self._outcomes.follow(flight, result, sent=sent)
        if lane.is_paused:
            self._give_back(lane)
        if finished.verdict.state is State.PENDING:
            lane.has_pending = True
        lane.unrecorded += 1
        if not self._finished:
            self._oldest_finished_s = self._monotonic()
        self._finished.append(finished)

    # -- record --------------------------------------------------------------------------------------------------

    def flush(self) -> list[Lane]:
        """Records what has finished; returns the lanes of which nothing is left, for the owner to let go."""
        finished, self._finished = self._finished, []
        failpoints.hit("before_record")
        recorded = self.recorder.record(finished)
        failpoints.hit("after_record")
        with guarded("drain.endpoint_health_failed"):
            for webhook_id in update_webhooks(self._storage, recorded, self.lanes, self._policy.give_up_after_s):
                self.stop_sending(self.lanes[webhook_id])
        unrecorded = Counter(one.claimed.webhook_id for one in [*self._finished, *self.recorder.locked])
        for lane in self.lanes.values():
            lane.unrecorded = unrecorded[lane.webhook_id]
        if self.recorder.locked:
            self._oldest_finished_s = self._monotonic()
        return [lane for lane in self.lanes.values() if lane.is_idle]

    def wait_for_locks(self) -> None:
        """For a moment, where nothing else can be done."""
        if self.recorder.locked and self.only_waits and not self.in_flight:
            self._wait(STORAGE_PAUSE_S)

    def _pause(self) -> None:
        """Half a second in which what is in flight goes on, and nothing is recorded."""
        ends_s = self._monotonic() + STORAGE_PAUSE_S
        self._meanwhile()
        while (left_s := ends_s - self._monotonic()) > 0:
            if self.in_flight:
                self._finish_all(self._flights.landed(left_s))
            else:
                self._wait(left_s)
