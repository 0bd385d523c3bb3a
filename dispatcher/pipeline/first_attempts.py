"""First attempts that a fan-out makes itself, of deliveries that it has leased as it created them.

A delivery to a healthy webhook is sent without a claim, a hold, a message or a read of the schedule. Where the webhook
fails, its breaker is open, it has order or a rate limit, or many requests under way, its deliveries go by the schedule
and a drain, and so does what follows a first attempt that fails.
"""

from collections.abc import Callable

from dispatcher.ids import new_lease_token
from dispatcher.model.health import Health
from dispatcher.pipeline.drain.holds import Holds
from dispatcher.pipeline.drain.judging import Counts
from dispatcher.pipeline.drain.lane import Lane
from dispatcher.pipeline.drain.loop import STRAGGLING_S
from dispatcher.pipeline.drain.policy import DrainPolicy
from dispatcher.pipeline.drain.tools import Tools
from dispatcher.pipeline.drain.traffic import Traffic
from dispatcher.schedule.schedule import Schedule
from dispatcher.sender.contract import Sender
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline.deliveries import Claim
from dispatcher.storage.pipeline.leasing import Leasing

ROOM, ROOM_OF_ONE = 200, 50
"""Deliveries that are leased at a time, and waiting or under way of one webhook: more had better be spread over drains.
They are counted until they are recorded; in flight are no more than the window allows.
"""


class FirstAttempts:
    """Used by one thread at a time. `pass_on` gets webhooks that have work now and are held for another drain."""

    def __init__(
        self,
        storage: Storage,
        schedule: Schedule,
        sender: Sender,
        policy: DrainPolicy,
        tools: Tools,
        pass_on: Callable[[list[int]], None],
    ) -> None:
        self._sender = sender
        self._policy = policy
        self._token = str(new_lease_token(tools.owner))
        self._monotonic = tools.monotonic
        self._pass_on = pass_on
        self._holds = Holds(schedule, policy.hold_s, tools.monotonic)
        self._lanes: dict[int, Lane] = {}
        self._traffic = Traffic(storage, sender, policy, self._lanes, tools)

    @property
    def counts(self) -> Counts:
        """What came of them so far."""
        return self._traffic.counts

    @property
    def done(self) -> bool:
        """Whether all are recorded."""
        return not self._lanes

    @property
    def in_flight(self) -> int:
        """Requests that are on their way."""
        return self._traffic.in_flight

    @property
    def next_step_s(self) -> float:
        """Seconds until `step` had better be called, whether something comes back or not."""
        return self._traffic.flush_in_s

    def leasing(self) -> Leasing | None:
        """What the next fan-out may lease for this; None: nothing, for want of room."""
        room = min(ROOM, self._sender.capacity - self._sender.in_flight)
        if room <= 0 or self._traffic.recorder.locked:
            return None
        return Leasing(
            token=self._token,
            lease_s=self._policy.lease.total_seconds(),
            slots=ROOM_OF_ONE,
            room=room,
            busy=self._traffic.slow_webhooks(STRAGGLING_S),
        )

    def begin(self, claim: Claim) -> None:
        """Starts what was leased."""
        for webhook_id, claimed in claim.by_webhook().items():
            if webhook_id not in self._lanes:
                self._lanes[webhook_id] = Lane(webhook_id=webhook_id, health=Health.fresh(self._policy.window))
                self._lanes[webhook_id].drain()
            lane = self._lanes[webhook_id]
            lane.add(claimed, claim.targets.get(webhook_id))
            if lane.is_paused:  # since its last response
                self._traffic.stop_sending(lane)
        self._traffic.start()

    def step(self, wait_s: float) -> None:
        """Takes what has come back, after waiting up to `wait_s` for the first, and records it where it is time."""
        self._traffic.collect(min(wait_s, self._traffic.flush_in_s))
        self._traffic.start()
        if self._traffic.flush_in_s == 0 or any(lane.is_idle for lane in self._lanes.values()):
            self._flush()

    def wind_down(self) -> None:
        """Nothing more is leased: returns when all is recorded, or only stragglers are on their way."""
        self._run_until(lambda: self._traffic.only_stragglers(STRAGGLING_S))

    def finish(self, pass_on: Callable[[list[int]], None]) -> None:
        """Waits for what is on its way, at most the timeout, and records it."""
        self._pass_on = pass_on
        self._run_until(lambda: False)

    def wake(self) -> None:
        """Ends the wait of a `step` under way; by any thread."""
        self._sender.wake()

    def _run_until(self, is_over: Callable[[], bool]) -> None:
        try:
            while self._lanes and not is_over():
                if self._traffic.in_flight:
                    self.step(self._policy.flush_s)
                else:
                    self._flush()
        except Exception:
            self._traffic.abandon()
            raise

    def _flush(self) -> None:
        idle = self._traffic.flush()
        for lane in idle:
            del self._lanes[lane.webhook_id]
        pending = [lane for lane in idle if lane.has_pending]
        if pending:
            waits = self._traffic.recorder.next_due(pending)
            if waits is not None:  # else `reconcile` finds them
                now_s = self._monotonic()
                released = [lane.released(waits.get(lane.webhook_id), now_s) for lane in pending]
                if go_on := self._holds.release(released, goes_on=False):
                    self._pass_on(go_on)
        self._traffic.wait_for_locks()
