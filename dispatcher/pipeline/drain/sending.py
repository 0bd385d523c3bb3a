"""A drain's requests on their way: rendered, signed and handed to its sender, and back as results."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from dispatcher import failpoints, log
from dispatcher.model.attempt import Result, Status
from dispatcher.model.delivery import ClaimedDelivery
from dispatcher.model.webhook import Target
from dispatcher.payload import headers, payload
from dispatcher.pipeline.drain.lane import Lane
from dispatcher.pipeline.drain.policy import DrainPolicy
from dispatcher.pipeline.fault import guarded, log_fault
from dispatcher.pipeline.trace import TracesAttempts
from dispatcher.schemas.active_catalogues import active_with
from dispatcher.schemas.errors import DowngradeFailed
from dispatcher.sender.contract import Sender, request_to

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Flight:
    """A request on its way; `started_s` is of the monotonic clock."""

    lane: Lane
    claimed: ClaimedDelivery
    target: Target
    started_s: float


class Flights:
    """Keeps a lane's `in_flight`. `traces` hears of each request that is traced."""

    def __init__(
        self,
        sender: Sender,
        policy: DrainPolicy,
        monotonic: Callable[[], float],
        traces: TracesAttempts | None = None,
    ) -> None:
        self._sender = sender
        self._user_agent = policy.user_agent
        self._claim_checks = policy.claim_checks
        self._monotonic = monotonic
        self._traces = traces
        self._capacity = sender.capacity
        self._by_delivery: dict[int, Flight] = {}

    def __len__(self) -> int:
        """How many are on their way."""
        return len(self._by_delivery)

    @property
    def has_room(self) -> bool:
        """Whether the sender can carry one more."""
        return len(self._by_delivery) < self._capacity

    def start(
        self, lane: Lane, delivery: ClaimedDelivery, target: Target, sent_at: int
    ) -> tuple[Flight, Result] | None:
        """Begins the POST. Where it cannot be sent, what came of it at once: that is not the receiver's fault.

        `sent_at`: seconds since 1970.
        """
        flight = Flight(lane=lane, claimed=delivery, target=target, started_s=self._monotonic())
        try:
            active_with(delivery.event_name, delivery.event_version)
            body = payload(delivery, target, self._claim_checks, sent_at)
            fields = headers(delivery, target, body, sent_at, self._user_agent)
        except DowngradeFailed as error:
            logger.error(
                log.line(
                    "delivery.not_downgraded",
                    delivery_id=delivery.id,
                    webhook_id=delivery.webhook_id,
                    reason=repr(str(error)),
                    at=error.place,
                )
            )
            return flight, self._not_sent(delivery, str(error))
        except Exception as error:  # the one delivery fails, the others go on
            return flight, self._not_sent(delivery, f"the payload cannot be rendered: {type(error).__name__}")
        if self._traces is not None and delivery.traceparent:
            with guarded("drain.not_traced"):
                fields += self._traces.start(delivery)
        failpoints.hit("before_send")
        try:
            self._sender.start(request_to(target, delivery, fields, body))
        except Exception as error:  # no file descriptor is free, for one; what is in flight goes on
            log_fault("delivery.not_sent", error, delivery_id=delivery.id, webhook_id=delivery.webhook_id)
            return flight, self._not_sent(delivery, f"the request cannot be sent: {type(error).__name__}")
        self._by_delivery[delivery.id] = flight
        lane.in_flight += 1
        return None

    def landed(self, wait_s: float) -> list[tuple[Flight, Result]]:
        """What has come back; waits up to `wait_s` seconds for the first, not at all where nothing is on its way."""
        if not self._sender.in_flight:
            if self._by_delivery:  # waiting for them would never end
                raise RuntimeError(f"the sender has forgotten {len(self)} requests")
            return []
        landed = []
        for result in self._sender.results(wait_s):
            failpoints.hit("after_send")
            flight = self._by_delivery.pop(result.tag, None)
            if flight is None:
                logger.error(log.line("drain.unknown_result", delivery_id=result.tag))
                continue
            flight.lane.in_flight -= 1
            landed.append((flight, result))
        return landed

    def slow_webhooks(self, seconds: float) -> set[int]:
        """Webhooks with a request that has been on its way for longer."""
        until_s, slow = self._monotonic() - seconds, set()
        for flight in self._by_delivery.values():  # the oldest first
            if flight.started_s > until_s:
                break
            slow.add(flight.claimed.webhook_id)
        return slow

    def are_older_than(self, seconds: float) -> bool:
        """Whether all that are on their way have been for longer."""
        now_s = self._monotonic()
        return all(now_s - one.started_s > seconds for one in self._by_delivery.values())

    def _not_sent(self, delivery: ClaimedDelivery, reason: str) -> Result:
        now_s = self._monotonic()
        return Result(tag=delivery.id, status=Status.UNKNOWN_ERROR, reason=reason, started_s=now_s, finished_s=now_s)
