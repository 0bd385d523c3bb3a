"""A receiver, and parts that send to it; the broker is always `queue`, a fake.

Of drains by themselves: `make_drain` makes them over a real Postgres, and a `schedule` and a `clock` that are fakes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from dispatcher.container import Container
from dispatcher.model.backoff import RetryPolicy
from dispatcher.model.health import WindowPolicy
from dispatcher.pipeline import first_attempts
from dispatcher.pipeline.drain.loop import Drain
from dispatcher.pipeline.drain.policy import DrainPolicy
from dispatcher.pipeline.drain.tools import Tools
from dispatcher.storage.engine import rows
from dispatcher.storage.reads import deliveries as delivery_reads
from tests.support.builders import a_webhook, an_event
from tests.support.fakes import FakeClock, FakeQueue, MemorySchedule
from tests.support.receiver import Receiver
from tests.support.waiting import eventually


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def flow(container: Container, queue: FakeQueue, account: Any, monkeypatch: pytest.MonkeyPatch) -> "Flow":
    # Step by step: a fan-out sends nothing itself, but hands all to the queue.
    monkeypatch.setattr(first_attempts, "ROOM", 0)
    return Flow(container, queue)


@dataclass(frozen=True, slots=True)
class Flow:
    """The whole path, step by step, without Celery."""

    container: Container
    queue: FakeQueue

    def emit(self, *events: Any) -> list[Any]:
        return self.container.emitter.emit("applecorp", events or (an_event(),))

    def fan_out(self) -> list[int]:
        """The webhooks that were handed out."""
        self.queue.delivers.clear()
        self.container.fan_out_runner.run()
        return self.queue.webhook_ids

    def deliver(self, *webhook_ids: int) -> Any:
        """The drain's counts, without its stragglers."""
        return self.container.drain_runner.run(webhook_ids)

    def run(self, *events: Any) -> Any:
        self.emit(*events)
        return self.deliver(*self.fan_out())

    def deliveries(self) -> list[Any]:
        """Of the account, the oldest first."""
        return self.container.storage.transact(delivery_reads.deliveries, "applecorp", limit=1_000)[::-1]

    def states(self) -> list[str]:
        return [delivery.state for delivery in self.deliveries()]

    def statuses(self) -> list[list[str]]:
        """Of each delivery's attempts, in their order."""
        return [[attempt.status for attempt in delivery.attempts[::-1]] for delivery in self.deliveries()]

    def wait_for_statuses(self) -> list[list[str]]:
        """The same, once each delivery has one: a straggler is finished aside."""
        return eventually(lambda: found if all(found := self.statuses()) else [], what="an attempt of each delivery")

    def make_due(self) -> None:
        """Time passes until the next tries."""
        self.sql("update dispatcher.deliveries set next_attempt_at = now() - interval '1 s' where finished_on is null")

    def sql(self, text: str, **parameters: Any) -> list[Any]:
        return self.container.storage.transact(rows, text, **parameters)


POLICY = DrainPolicy(
    retry=RetryPolicy(), window=WindowPolicy(), timeout_s=30, lease=timedelta(seconds=90), flush_s=0.05
)


def tools(clock: FakeClock, **given: Any) -> Tools:
    defaults: dict[str, Any] = {"rng": Random(1), "monotonic": clock, "wait": clock.advance}
    return Tools(**(defaults | given))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def schedule(clock: FakeClock) -> Any:
    return MemorySchedule(clock)


@pytest.fixture
def make_drain(storage: Any, schedule: Any, clock: FakeClock) -> Callable[..., Drain]:
    """Over webhooks that are held for it; `parts` are those of a Drain, or of its policy."""

    def make(sender: Any, *webhook_ids: int, storage: Any = storage, **parts: Any) -> Drain:
        schedule.hand_out(webhook_ids, 1_000)
        given = {name: parts.pop(name) for name in ("publish", "counters", "traces", "wait") if name in parts}
        return Drain(storage, schedule, sender, replace(POLICY, **parts), webhook_ids, tools(clock, **given))

    return make


@pytest.fixture
def hook(storage: Any, account: Any) -> Any:
    """Wants `invoice_paid`."""
    return a_webhook(storage, account, "http://a.test/")


@pytest.fixture
def other(storage: Any, account: Any) -> Any:
    """Wants `invoice_sent`."""
    return a_webhook(storage, account, "http://b.test/", ["invoice_sent"])


@pytest.fixture
def emitted(flow: "Flow", hook: Any, other: Any) -> Callable[..., None]:
    """So many events for `hook` and for `other`, fanned out."""

    def emit(count: int, for_other: int = 0) -> None:
        body = {"invoice": {"id": 1}}
        events = [an_event() for _ in range(count)]
        events += [an_event("invoice_sent", body=body) for _ in range(for_other)]
        flow.emit(*events)
        flow.fan_out()

    return emit
