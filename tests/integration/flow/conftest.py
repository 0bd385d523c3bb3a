"""A receiver, and parts that send to it; the broker is always `queue`, a fake."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from dispatcher.flow import release_due
from dispatcher.services import Services
from dispatcher.storage import reports
from dispatcher.storage.engine import rows
from tests.builders import an_event
from tests.conftest import eventually
from tests.fakes import FakeQueue
from tests.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def flow(own: Services, queue: FakeQueue, account: Any, monkeypatch: pytest.MonkeyPatch) -> "Flow":
    # Step by step: a fan-out does not drain the little that it made, but hands it to the queue like the rest.
    monkeypatch.setattr(release_due, "OWN_WEBHOOKS", 0)
    return Flow(own, queue)


@dataclass(frozen=True, slots=True)
class Flow:
    """The whole path, step by step, without Celery."""

    own: Services
    queue: FakeQueue

    def emit(self, *events: Any) -> list[Any]:
        return self.own.emit("applecorp", events or (an_event(),))

    def fan_out(self) -> list[int]:
        """The webhooks that were handed out."""
        self.queue.delivers.clear()
        self.own.fan_out()
        return self.queue.webhook_ids

    def deliver(self, *webhook_ids: int) -> Any:
        """The drain's counts, without its stragglers."""
        return self.own.deliver(webhook_ids)

    def run(self, *events: Any) -> Any:
        self.emit(*events)
        return self.deliver(*self.fan_out())

    def deliveries(self) -> list[Any]:
        """Of the account, the oldest first."""
        return self.own.storage.run(lambda c: reports.deliveries(c, "applecorp", limit=1_000))[::-1]

    def states(self) -> list[str]:
        return [delivery.state for delivery in self.deliveries()]

    def statuses(self) -> list[list[str]]:
        """Of each delivery's attempts, in their order."""
        return [[attempt.status for attempt in delivery.attempts[::-1]] for delivery in self.deliveries()]

    def wait_for_statuses(self) -> list[list[str]]:
        """The same, once each delivery has one: a straggler is finished aside."""
        return eventually(lambda: all(found := self.statuses()) and found, what="an attempt of each delivery")

    def make_due(self) -> None:
        """Time passes until the next tries."""
        self.sql("update deliveries set next_attempt_at = now() - interval '1 s' where finished_on is null")

    def sql(self, text: str, **parameters: Any) -> list[Any]:
        return self.own.storage.run(lambda c: rows(c, text, parameters))
