"""A webhook's rate limit: kept by tokens in the clock, whatever is due and whoever drains it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.model.account import Account
from dispatcher.model.backoff import RetryPolicy
from dispatcher.model.health import WindowPolicy
from dispatcher.model.webhook import Webhook
from dispatcher.pipeline.drain.loop import Drain
from dispatcher.pipeline.drain.policy import DrainPolicy
from dispatcher.sender.contract import Request
from dispatcher.storage.engine import Storage
from tests.integration.pipeline.conftest import Flow, tools
from tests.support.builders import a_webhook, an_event
from tests.support.fakes import FakeClock, FakeSender

POLICY = DrainPolicy(
    retry=RetryPolicy(), window=WindowPolicy(start=50), timeout_s=30, lease=timedelta(seconds=90), flush_s=0.01
)


class NotingSender(FakeSender):
    """Notes when each request was started."""

    def __init__(self, clock: FakeClock, times: list[float]) -> None:
        super().__init__(clock)
        self._times = times

    def start(self, request: Request) -> None:
        self._times.append(self._clock.now_s)
        super().start(request)


@pytest.fixture
def sent(storage: Storage, schedule: Any, clock: FakeClock, flow: Flow) -> Callable[[Webhook, float], list[float]]:
    """When each request was started, with so many waiting for a webhook of `rate`, over `seconds` of a moved clock."""

    def run(webhook: Webhook, seconds: float) -> list[float]:
        times: list[float] = []
        schedule.due({webhook.id: 0})
        ends_s = clock.now_s + seconds
        while clock.now_s < ends_s:
            held = schedule.take(10, 1_000)[0]
            while held and clock.now_s < ends_s:
                sender = NotingSender(clock, times)
                drain = Drain(storage, schedule, sender, POLICY, held, tools(clock))
                drain.run()
                held = drain.take_unfinished()
                drain.finish(held.extend)
            clock.advance(0.01)  # how late a ticker looks
        return times

    return run


@pytest.mark.parametrize("rate", [2, 20])
def test_ten_seconds_see_the_rate_within_five_percent(
    sent: Callable[[Webhook, float], list[float]], storage: Storage, account: Account, flow: Flow, rate: int
) -> None:
    webhook = a_webhook(storage, account, "http://a.test/", rate_limit=rate)
    flow.emit(*[an_event() for _ in range(rate * 13)])
    flow.fan_out()

    times = sent(webhook, 12.0)
    for begin in (times[0], times[0] + 1.0):
        count = sum(begin <= time < begin + 10 for time in times)
        assert rate * 9.5 - 1 <= count <= rate * 10.5 + 1
    assert max(sum(begin <= time < begin + 1 for time in times) for begin in times) <= rate * 1.35 + 1


def test_what_waits_for_a_token_uses_up_no_try(
    sent: Callable[[Webhook, float], list[float]], storage: Storage, account: Account, flow: Flow
) -> None:
    webhook = a_webhook(storage, account, "http://a.test/", rate_limit=1)
    flow.emit(*[an_event() for _ in range(10)])
    flow.fan_out()

    assert 3 <= len(sent(webhook, 4.0)) <= 5
    waiting = [one for one in flow.deliveries() if one.state == "pending"]
    assert waiting
    assert all(one.attempt_count == 0 and one.lost_count == 0 for one in waiting)


def test_a_webhook_without_a_limit_is_not_slowed_by_one_with(
    storage: Storage, schedule: Any, clock: FakeClock, account: Account, flow: Flow
) -> None:
    slow = a_webhook(storage, account, "http://slow.test/", rate_limit=1)
    quick = a_webhook(storage, account, "http://quick.test/")
    flow.emit(*[an_event() for _ in range(100)])
    flow.fan_out()
    sender = FakeSender(clock)
    schedule.hand_out([slow.id, quick.id], 1_000)
    Drain(storage, schedule, sender, POLICY, [slow.id, quick.id], tools(clock)).run()

    urls = [request.url for request in sender.requests]
    assert urls.count("http://quick.test/") == 100
    assert urls.count("http://slow.test/") <= 2
