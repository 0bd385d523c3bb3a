"""What follows from a result: for its delivery, for its webhook's lane, and what is published."""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from dispatcher import clock, log
from dispatcher.broker.flower import AttemptEvent
from dispatcher.model.attempt import Result, Status, Verdict, judge
from dispatcher.model.delivery import ClaimedDelivery, State
from dispatcher.model.health import after
from dispatcher.pipeline.drain.lane import Lane
from dispatcher.pipeline.drain.policy import DrainPolicy
from dispatcher.pipeline.drain.sending import Flight
from dispatcher.pipeline.fault import guarded
from dispatcher.pipeline.trace import TracesAttempts
from dispatcher.storage.pipeline.deliveries import JudgedAttempt

logger = logging.getLogger(__name__)

PROXY_PAUSE_S = 30.0
"""While the egress proxy fails, the pause of a webhook between two attempts, which its deliveries use up."""


@dataclass(slots=True)
class Counts:
    """What came of a drain's deliveries; a task returns it, so Flower shows it."""

    delivered: int = 0
    retrying: int = 0
    failed: int = 0

    def add(self, state: State) -> None:
        """Counts one judged result."""
        if state is State.DELIVERED:
            self.delivered += 1
        elif state is State.FAILED:
            self.failed += 1
        else:
            self.retrying += 1


class Outcomes:
    """Of one drain. `publish` is called with what failed, or with all, as the policy has it.

    `traces` hears of each attempt that is traced.
    """

    def __init__(
        self,
        policy: DrainPolicy,
        rng: random.Random,
        monotonic: Callable[[], float],
        publish: Callable[[AttemptEvent], None] | None = None,
        traces: TracesAttempts | None = None,
    ) -> None:
        self._policy = policy
        self._rng = rng
        self._monotonic = monotonic
        self._publish = publish
        self._traces = traces
        self.counts = Counts()

    def follow(self, flight: Flight, result: Result, *, sent: bool = True) -> JudgedAttempt:
        """The judged result, ready to be recorded; its lane knows what it says of the receiver, where it was sent."""
        lane, delivery, options = flight.lane, flight.claimed, flight.target.options
        retry, codes = self._policy.retry, options.success_codes
        if options.retry_schedule is not None:
            retry = retry.scheduled(options.retry_schedule)
        if result.status == Status.EGRESS_PROXY_FAILED:  # that says nothing about the receiver
            sent = False
            lane.pause(self._monotonic() + PROXY_PAUSE_S)
        verdict = judge(result, delivery.attempt_number, retry, clock.now(), self._rng, codes)
        if sent:
            took_s = result.finished_s - result.started_s
            lane.update_health(after(lane.health, result.status, took_s, self._policy.window, codes))
            self._heed(lane, verdict)
        self.counts.add(verdict.state)
        if verdict.state is not State.DELIVERED or logger.isEnabledFor(logging.DEBUG):
            _log(delivery, result, verdict)
        if self._publish is not None and (verdict.state is not State.DELIVERED or self._publishes_success(delivery)):
            with guarded("drain.not_told"):
                self._publish(_attempt_event(delivery, result, verdict))
        if self._traces is not None and delivery.traceparent:
            with guarded("drain.not_traced"):
                self._traces.finish(delivery, result, verdict)
        return JudgedAttempt(claimed=delivery, url=flight.target.url, result=result, verdict=verdict, sent=sent)

    def _publishes_success(self, delivery: ClaimedDelivery) -> bool:
        return self._policy.publish_successes or delivery.attempt_number > 1

    def _heed(self, lane: Lane, verdict: Verdict) -> None:
        """Pauses the webhook where its receiver asked for that, its breaker opens or a probe has failed."""
        pauses_s = [verdict.pause.total_seconds()] if verdict.pause else []
        is_open = lane.health.is_open(self._policy.breaker)
        if is_open and not lane.is_paused:  # what comes back after it has opened is no probe
            probes = lane.health.probes + 1 if lane.is_probing else 0
            lane.update_health(replace(lane.health, window=1.0, probes=probes))
            pauses_s.append(self._policy.breaker.pause_s(probes, self._rng))
            logger.warning(
                log.line("webhook.paused", webhook_id=lane.webhook_id, probes=probes, pause_s=round(pauses_s[-1], 1))
            )
        if not is_open:
            lane.end_probe()
        if pauses_s:
            lane.pause(self._monotonic() + max(pauses_s))


def _log(delivery: ClaimedDelivery, result: Result, verdict: Verdict) -> None:
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


def _attempt_event(delivery: ClaimedDelivery, result: Result, verdict: Verdict) -> AttemptEvent:
    """What is published to Flower of an attempt: ids and outcome, no address and no payload."""
    return AttemptEvent(
        key=delivery.idempotency_key,
        event_name=delivery.event_name,
        webhook_id=delivery.webhook_id,
        attempt=delivery.attempt_number,
        status=str(result.status),
        state=verdict.state.value,
        retry_in_s=verdict.retry_in.total_seconds() if verdict.retry_in else None,
    )
