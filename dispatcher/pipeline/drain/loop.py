"""The drain: it holds a chunk of webhooks and brings what is due for them to their receivers.

    claim up to each webhook's window ▶ bytes and headers ▶ send ▶ judge ▶ record (each 50 ms or 200 results)
    claims.py                           sending.py                  judging.py   recording.py
                                        └───────────── traffic.py ─────────────┘

It streams: all of these go on at once. A webhook whose claimed work is recorded is released on its own and does not
wait for the slowest of its chunk. What Redis does not take (a release, a health) is left: `reconcile` rebuilds it.
"""

from collections.abc import Callable, Sequence

from dispatcher.model.health import Health
from dispatcher.pipeline.drain.claims import Claimer
from dispatcher.pipeline.drain.holds import Holds
from dispatcher.pipeline.drain.judging import Counts
from dispatcher.pipeline.drain.lane import Lane
from dispatcher.pipeline.drain.policy import DrainPolicy
from dispatcher.pipeline.drain.tools import Tools
from dispatcher.pipeline.drain.traffic import Traffic
from dispatcher.schedule.schedule import Schedule
from dispatcher.sender.contract import Sender
from dispatcher.storage.engine import Storage

TURN_S = 1.0
"""How long a drain claims; then it passes on what is left, so that others get the slot and a worker can stop."""
STRAGGLING_S = 0.5
"""The age at which a request is a straggler, when nothing else is left to do (`Drain.finish`)."""
CLAIM_AGAIN_S = 2.0
"""After a failed claim its webhooks are due again after this, or up to twice as long: at different times, so that a
webhook whose claim takes too long is then in a chunk with others."""


class Drain:
    """One drain over `webhook_ids`, which the caller holds. Used by one thread at a time."""

    def __init__(
        self,
        storage: Storage,
        schedule: Schedule,
        sender: Sender,
        policy: DrainPolicy,
        webhook_ids: Sequence[int],
        tools: Tools,
    ) -> None:
        self._policy = policy
        self._rng = tools.rng
        self._monotonic = tools.monotonic
        self._wait = tools.wait
        self._holds = Holds(schedule, policy.hold_s, tools.monotonic)
        self._lanes = _open_lanes(self._holds, policy, dict.fromkeys(webhook_ids))
        self._traffic = Traffic(storage, sender, policy, self._lanes, tools, self._renew_holds)
        self._recorder = self._traffic.recorder
        self._claimer = Claimer(storage, self._recorder, self._holds, policy, tools)
        self._unfinished: list[int] = []
        self._may_claim = True

    @property
    def done(self) -> bool:
        """Whether every webhook was released."""
        return not self._lanes

    def take_unfinished(self) -> list[int]:
        """Webhooks that still have work due and are still held, each once: the caller sends them to another drain."""
        taken, self._unfinished = self._unfinished, []
        return taken

    def run(self, patience_s: Callable[[], float] = lambda: STRAGGLING_S) -> Counts:
        """Works until all is released or only stragglers are in flight; then `done` is false: call `finish`.

        `patience_s` says how long a request may be in flight before it is a straggler. Afterwards `take_unfinished`.
        """
        ends_s = self._monotonic() + TURN_S
        try:
            while self._lanes and not self._traffic.only_stragglers(patience_s()):
                if self._may_claim and self._monotonic() < ends_s:
                    self._claim()
                else:
                    self._stop_claiming()
                self._step()
        except Exception:
            self._traffic.abandon()
            raise
        return self._traffic.counts

    def finish(self, pass_on: Callable[[list[int]], None]) -> Counts:
        """Waits for what is in flight, at most the timeout, and claims nothing more.

        What still has work due is passed on as soon as it is let go: it must not wait for the others.
        """
        try:
            while self._lanes:
                self._stop_claiming()
                self._step()
                if self._unfinished:
                    pass_on(self.take_unfinished())
        except Exception:
            self._traffic.abandon()
            raise
        return self._traffic.counts

    def _step(self) -> None:
        self._traffic.exchange()
        if self._flush_is_due():
            self._flush()
        self._renew_holds()

    def _renew_holds(self) -> None:
        for webhook_id in self._holds.renew_if_due(self._lanes):  # its drain claims what is given back here
            self._traffic.stop_sending(self._lanes[webhook_id])

    def _claim(self) -> None:
        self._traffic.counts.failed += self._claimer.fill(self._lanes)
        if self._claimer.failed:
            self._stop_claiming()
        elif not self._traffic.in_flight and not self._traffic.is_unrecorded:
            wait_s = self._claimer.soonest_token_s(self._lanes)
            if wait_s is not None:
                self._wait(wait_s)

    def _stop_claiming(self) -> None:
        self._may_claim = False
        for lane in self._lanes.values():
            lane.drain()

    def _flush_is_due(self) -> bool:
        if not self._traffic.in_flight:
            return True  # nothing to wait for: record, claim more, or release
        if not self._traffic.is_unrecorded:
            return any(lane.is_idle for lane in self._lanes.values())
        return self._traffic.flush_in_s == 0

    def _flush(self) -> None:
        """Records what has finished, and releases the webhooks of which nothing is left."""
        idle = self._traffic.flush()
        if idle:
            self._release(idle)
        self._traffic.wait_for_locks()

    def _release(self, idle: Sequence[Lane]) -> None:
        waits = self._recorder.next_due(idle)
        if waits is None:  # not released: the holds end by themselves, and the schedule brings the webhooks back
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
                    self._unfinished.append(lane.webhook_id)


def _open_lanes(holds: Holds, policy: DrainPolicy, webhook_ids: dict[int, None]) -> dict[int, Lane]:
    """A lane for each webhook that this drain holds now."""
    mine, known = holds.begin(webhook_ids)
    fresh = Health.fresh(policy.window)
    lanes = {id_: Lane(webhook_id=id_, health=known.get(id_, fresh)) for id_ in mine}
    for lane in lanes.values():
        lane.reopen(policy.breaker)
    return lanes
