"""The drain's decisions: real Postgres, a sender and a clock that do what a test says."""

import dataclasses
import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dispatcher import clock as wall_clock
from dispatcher.claim_check import ClaimChecks
from dispatcher.model.account import Account
from dispatcher.model.attempt import Result
from dispatcher.model.credentials import OAuth2
from dispatcher.model.health import Health, WindowPolicy
from dispatcher.pipeline.drain.loop import Drain
from dispatcher.pipeline.drain.traffic import STEP
from dispatcher.sender.contract import Request
from dispatcher.storage.engine import Storage
from tests.integration.pipeline.conftest import POLICY, Flow, tools
from tests.support.builders import a_webhook, an_event
from tests.support.fakes import FakeClock, FakeSender, Reply


def nobody(webhook_ids: list[int]) -> None:
    """Is passed on what is left."""


def test_all_that_is_due_is_sent_and_the_webhook_released(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
    flow: Flow,
) -> None:
    emitted(35)
    sender = FakeSender(clock)
    drain = make_drain(sender, hook.id)

    assert drain.run().delivered == 35
    assert drain.done
    assert drain.take_unfinished() == []
    assert schedule.sizes() == {"due": 0, "held": 0}
    assert flow.states() == ["delivered"] * 35


def test_a_webhooks_options_decide_over_its_requests_and_over_what_comes_of_them(
    make_drain: Callable[..., Drain], clock: FakeClock, storage: Storage, account: Account, flow: Flow
) -> None:
    options = {
        "headers": {"X-Env": "test"},
        "timeout_s": 5,
        "retry_schedule": [1_000, 2_000],
        "success_codes": ["204", "4xx"],
        "oauth2": OAuth2(token_url="http://a.test/", client_id="us", client_secret="s3cret"),
    }
    hook = a_webhook(storage, account, "http://c.test/", ["invoice_sent"], **options)
    flow.emit(an_event("invoice_sent"), an_event("invoice_sent"))
    flow.fan_out()
    statuses = iter(["409", "200"])
    sender = FakeSender(clock, lambda _: Reply(next(statuses)))

    counts = make_drain(sender, hook.id).run()

    assert (counts.delivered, counts.retrying) == (1, 1)
    assert [(("X-Env", "test") in one.headers, one.timeout_s) for one in sender.requests] == [(True, 5)] * 2
    assert {one.oauth2 for one in sender.requests} == {options["oauth2"]}
    (wait,) = flow.sql("select next_attempt_at - now() from dispatcher.deliveries where finished_on is null")[0]
    assert 790 < wait.total_seconds() < 1_210


def test_a_failing_proxy_says_nothing_about_its_receivers(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
    flow: Flow,
) -> None:
    emitted(35)
    sender = FakeSender(clock, lambda _: Reply("egress_proxy_failed"))

    counts = make_drain(sender, hook.id).run()

    assert counts.retrying == len(sender.requests) == POLICY.window.start
    assert sum(map(bool, flow.statuses())) == POLICY.window.start  # the others keep their attempts
    assert schedule.healths([hook.id]) == {}
    assert flow.sql("select failing_since from dispatcher.webhooks where id = %(id)s", id=hook.id)[0][0] is None
    assert schedule.sizes() == {"due": 1, "held": 0}


def test_of_a_payload_beyond_the_limit_a_url_is_sent_and_nothing_without_a_public_url(
    make_drain: Callable[..., Drain], clock: FakeClock, storage: Storage, account: Account, flow: Flow
) -> None:
    hook = a_webhook(storage, account, "http://c.test/", ["invoice_paid"], payload_limit=1_024)
    flow.emit(an_event(body={"invoice": {"id": 93, "note": "x" * 2_000}, "payment": {"id": 5}}))
    flow.fan_out()
    sender = FakeSender(clock, lambda _: Reply("200"))

    make_drain(sender, hook.id).run()
    assert not sender.requests
    assert flow.deliveries()[0].attempts[0].reason == "the payload cannot be rendered: PublicUrlMissing"
    flow.make_due()
    make_drain(sender, hook.id, claim_checks=ClaimChecks("https://hooks.test", (b"key",))).run()

    (body,) = (json.loads(one.body)["body"] for one in sender.requests)
    assert list(body) == ["invoice", "claim_check"]
    assert body["claim_check"]["url"].startswith(f"https://hooks.test/payloads/{flow.deliveries()[0].id}?")
    assert flow.states() == ["delivered"]


def test_no_more_are_in_flight_than_the_window_allows(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
) -> None:
    emitted(40)
    schedule.store_healths({hook.id: Health(window=3.0)})
    sender = FakeSender(clock, lambda _: Reply("422"))  # neither widens nor narrows it

    make_drain(sender, hook.id).run()

    assert len(sender.requests) == 40
    assert sender.most_by_url == {hook.webhook_url: 3}


def test_no_more_are_in_flight_than_the_sender_can_carry(
    make_drain: Callable[..., Drain], clock: FakeClock, hook: Any, emitted: Callable[..., None]
) -> None:
    emitted(30)
    sender = FakeSender(clock, capacity=4)

    assert make_drain(sender, hook.id).run().delivered == 30
    assert sender.most_in_flight == 4


def test_receivers_that_answer_at_once_need_few_connections(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
) -> None:
    emitted(150)
    schedule.store_healths({hook.id: Health(window=150.0)})
    sender = FakeSender(clock, lambda _: Reply(after_s=0.0))

    assert make_drain(sender, hook.id).run().delivered == 150
    assert sender.most_in_flight == STEP


def test_distress_narrows_the_window_and_is_remembered(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
) -> None:
    emitted(6)
    make_drain(FakeSender(clock, lambda _: Reply("503")), hook.id).run()

    health = schedule.healths([hook.id])[hook.id]
    assert health.window == 1
    assert health.consecutive_failures == 6


def attempts_made(flow: Flow) -> list[int]:
    return sorted(len(delivery.attempts) for delivery in flow.deliveries())


def test_after_ten_consecutive_failures_the_rest_waits_unsent_and_uncounted(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
    flow: Flow,
) -> None:
    emitted(40)
    sender = FakeSender(clock, lambda _: Reply("500"))
    drain = make_drain(sender, hook.id)
    drain.run()

    assert drain.done
    assert drain.take_unfinished() == []
    assert len(sender.requests) == 10
    assert attempts_made(flow) == [0] * 30 + [1] * 10
    assert schedule.pauses() == {hook.id: pytest.approx(10, abs=2.1)}
    assert schedule.waits() == pytest.approx(schedule.pauses())


def test_an_open_breaker_lets_one_probe_out_and_waits_twice_as_long_after_each(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
) -> None:
    emitted(40)
    make_drain(FakeSender(clock, lambda _: Reply("500")), hook.id).run()

    for about_s in (20, 40, 80):
        clock.advance(schedule.pauses()[hook.id] + 0.1)
        assert schedule.take(10, 1_000)[0] == [hook.id]
        sender = FakeSender(clock, lambda _: Reply("500"))
        make_drain(sender, hook.id).run()
        assert len(sender.requests) == 1
        assert schedule.pauses() == {hook.id: pytest.approx(about_s, rel=0.21)}


@pytest.mark.parametrize("status", ["200", "422"])
def test_a_probe_that_is_answered_closes_the_breaker_and_the_backlog_flows_from_a_window_of_one(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
    flow: Flow,
    status: str,
) -> None:
    emitted(40)
    make_drain(FakeSender(clock, lambda _: Reply("500")), hook.id).run()
    clock.advance(schedule.pauses()[hook.id] + 0.1)
    schedule.take(10, 1_000)
    sizes = []
    sender = FakeSender(
        clock, lambda _: (sizes.append(sender.in_flight), Reply("200" if len(sizes) > 1 else status))[1]
    )
    make_drain(sender, hook.id).run()

    assert len(sender.requests) == 30
    assert schedule.pauses() == {}
    assert sizes[:2] == [0, 0]  # nothing beside the probe


def test_a_busy_receiver_that_says_when_gets_nothing_until_then(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
    flow: Flow,
) -> None:
    emitted(40)
    first = iter([Reply("429", retry_after="600")])
    sender = FakeSender(clock, lambda _: next(first, Reply()))
    drain = make_drain(sender, hook.id)
    drain.run()

    assert drain.done
    assert len(sender.requests) == 10  # those that were on their way
    assert schedule.pauses() == {hook.id: pytest.approx(600, abs=1)}
    assert schedule.hand_out([hook.id], 1_000) == []
    assert schedule.waits() == pytest.approx(schedule.pauses())


def test_a_webhook_with_a_retry_is_due_at_its_time(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
) -> None:
    emitted(1)
    counts = make_drain(FakeSender(clock, lambda _: Reply("503")), hook.id).run()

    assert counts.retrying == 1
    assert schedule.waits() == {hook.id: pytest.approx(20, abs=5)}
    assert schedule.sizes()["held"] == 0


def test_retry_after_reaches_the_row(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
) -> None:
    emitted(1)
    make_drain(FakeSender(clock, lambda _: Reply("429", retry_after="300")), hook.id).run()

    assert schedule.waits() == {hook.id: pytest.approx(300, abs=3)}


def test_a_hanging_webhook_holds_up_nobody(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    other: Any,
    emitted: Callable[..., None],
    flow: Flow,
) -> None:
    emitted(2, for_other=60)
    sender = FakeSender(clock, lambda r: Reply("timeout", 30) if r.url == hook.webhook_url else Reply())
    drain = make_drain(sender, hook.id, other.id)
    began_s = clock.now_s

    assert drain.run().delivered == 60
    assert clock.now_s - began_s < 3
    assert not drain.done  # what hangs is finished aside
    assert schedule.sizes()["held"] == 1

    assert drain.finish(nobody).retrying == 2
    assert drain.done
    assert clock.now_s - began_s == pytest.approx(30, abs=1)


def test_what_is_passed_on_does_not_wait_for_what_hangs(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    other: Any,
    emitted: Callable[..., None],
) -> None:
    """Both have work for longer than the turn; one hangs with the first it got."""
    emitted(2, for_other=100)

    def reply(request: Request) -> Reply:
        return Reply("timeout", 30) if request.url == hook.webhook_url else Reply(after_s=0.3)

    drain = make_drain(FakeSender(clock, reply), hook.id, other.id, window=WindowPolicy(start=5, ceiling=5))
    passed_on: list[Any] = []
    began_s = clock.now_s
    drain.run()
    passed_on.extend((clock.now_s - began_s, id_) for id_ in drain.take_unfinished())
    drain.finish(lambda ids: passed_on.extend((clock.now_s - began_s, id_) for id_ in ids))

    ((at_s, id_),) = [(at_s, id_) for at_s, id_ in passed_on if id_ == other.id]
    assert id_ == other.id
    assert at_s < 3
    assert clock.now_s - began_s == pytest.approx(30, abs=1)


def test_holds_are_renewed_while_a_request_hangs(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
) -> None:
    emitted(1)
    renewed = []
    schedule.renew = lambda ids, _: renewed.append((clock.now_s, list(ids))) or []
    drain = make_drain(FakeSender(clock, lambda _: Reply("timeout", 30)), hook.id)
    drain.run()
    drain.finish(nobody)

    times = [at_s for at_s, _ in renewed]
    assert all(later - earlier <= 5.2 for earlier, later in itertools.pairwise(times))
    assert len(times) >= 6


def test_after_its_turn_a_drain_passes_on_what_is_left(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
    flow: Flow,
) -> None:
    emitted(60)
    sender = FakeSender(clock, lambda _: Reply(after_s=4))
    drain = make_drain(sender, hook.id, window=WindowPolicy(start=5, ceiling=5))
    drain.run()
    passed_on: list[Any] = []
    counts = drain.finish(passed_on.extend)  # what flew when the turn ended

    assert drain.done
    assert passed_on == [hook.id]
    assert drain.take_unfinished() == []
    assert 0 < counts.delivered < 60
    assert schedule.sizes()["held"] == 1
    assert flow.sql("select count(*) from dispatcher.deliveries_waiting where lease_token is not null") == [(0,)]


def test_no_post_begins_with_less_of_the_lease_left_than_the_timeout(
    make_drain: Callable[..., Drain], clock: FakeClock, hook: Any, emitted: Callable[..., None], flow: Flow
) -> None:
    """Ten are claimed, one can fly at a time, each for 20 s of a lease of 65 s and a timeout of 30 s."""
    emitted(10)
    ended = []

    def reply(_: Any) -> Reply:
        ended.append(clock.now_s)
        return Reply(after_s=20)

    sender = FakeSender(clock, reply, capacity=1)
    drain = make_drain(sender, hook.id, lease=timedelta(seconds=65))
    began_s = clock.now_s
    drain.run()
    drain.finish(nobody)

    assert [at_s - began_s for at_s in ended] == pytest.approx([0, 20], abs=1)
    assert flow.sql("select count(*) from dispatcher.deliveries_waiting where lease_token is null") == [(8,)]
    assert flow.sql("select sum(attempt_count), sum(lost_count) from dispatcher.deliveries") == [(2, 0)]
    assert drain.done


def test_results_are_recorded_within_the_flush_interval(
    make_drain: Callable[..., Drain], clock: FakeClock, hook: Any, emitted: Callable[..., None], flow: Flow
) -> None:
    """A quick answer is stored although another one is still awaited."""
    emitted(2)
    seen = []

    def reply(_: Any) -> Reply:
        return Reply(after_s=0.01 if not seen.append(1) and len(seen) == 1 else 0.4)

    class Watching(FakeSender):
        def results(self, wait_s: float) -> list[Result]:
            if clock.now_s > 1_000.2:
                seen.append(flow.states().count("delivered"))
            return super().results(wait_s)

    make_drain(Watching(clock, reply), hook.id).run()

    assert 1 in seen[2:]


def test_an_unreachable_redis_stops_no_delivery(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
    flow: Flow,
) -> None:
    emitted(5)
    drain = make_drain(FakeSender(clock), hook.id)
    schedule.down = True

    assert drain.run().delivered == 5
    assert drain.done
    assert flow.states() == ["delivered"] * 5


def test_a_drain_begins_without_redis_too(
    storage: Storage, clock: FakeClock, schedule: Any, hook: Any, emitted: Callable[..., None]
) -> None:
    emitted(5)
    schedule.down = True
    drain = Drain(storage, schedule, FakeSender(clock), POLICY, [hook.id], tools(clock))

    assert drain.run().delivered == 5


def test_a_payload_that_cannot_be_rendered_fails_alone(
    make_drain: Callable[..., Drain], storage: Storage, account: Account, clock: FakeClock, flow: Flow
) -> None:
    legacy = a_webhook(storage, account, "http://c.test/", payload_version="legacy")
    flow.emit(an_event(), an_event())
    flow.fan_out()
    flow.sql("update dispatcher.events set body = '{}' where id = (select min(id) from dispatcher.events)")
    drain = make_drain(FakeSender(clock), legacy.id)
    counts = drain.run()

    assert (counts.delivered, counts.retrying) == (1, 1)
    reasons = [attempt.reason for delivery in flow.deliveries() for attempt in delivery.attempts]
    assert sorted(map(str, reasons)) == ["None", "the payload cannot be rendered: KeyError"]


def test_two_drains_of_one_webhook_send_nothing_twice(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
    flow: Flow,
) -> None:
    """The hold should prevent it; where it was lost, the claim does."""
    emitted(40)
    second = make_drain(FakeSender(clock), hook.id)
    schedule.empty()
    begun: list[Any] = []

    def reply(_: Any) -> Reply:
        if not begun:
            begun.append(second.run())
        return Reply()

    make_drain(FakeSender(clock, reply), hook.id).run()

    assert begun[0].delivered == 30  # all but what the first had claimed
    assert flow.states() == ["delivered"] * 40
    assert all(statuses == ["200"] for statuses in flow.statuses())


def test_a_drain_of_webhooks_without_work_releases_them(
    make_drain: Callable[..., Drain], clock: FakeClock, schedule: Any, hook: Any, other: Any
) -> None:
    drain = make_drain(FakeSender(clock), hook.id, other.id)

    assert dataclasses.asdict(drain.run()) == {"delivered": 0, "retrying": 0, "failed": 0}
    assert drain.done
    assert schedule.sizes() == {"due": 0, "held": 0}


def test_a_webhook_named_twice_is_drained_once(
    make_drain: Callable[..., Drain], clock: FakeClock, hook: Any, emitted: Callable[..., None]
) -> None:
    emitted(3)

    assert make_drain(FakeSender(clock), hook.id, hook.id).run().delivered == 3


@pytest.mark.parametrize("jump_h", [-1, 1])
def test_a_workers_clock_that_jumps_moves_no_due_time(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    hook: Any,
    emitted: Callable[..., None],
    flow: Flow,
    monkeypatch: pytest.MonkeyPatch,
    jump_h: int,
) -> None:
    emitted(1)
    real = wall_clock.now
    monkeypatch.setattr(wall_clock, "now", lambda: real() + timedelta(hours=jump_h))
    make_drain(FakeSender(clock, lambda _: Reply("503")), hook.id).run()

    wait = flow.sql("select next_attempt_at - clock_timestamp() from dispatcher.deliveries")[0][0]
    assert timedelta(0) < wait < timedelta(seconds=25)


def test_a_message_that_comes_twice_is_drained_once(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    other: Any,
    emitted: Callable[..., None],
) -> None:
    emitted(2, for_other=2)
    first, second = FakeSender(clock), FakeSender(clock)
    drain = make_drain(first, hook.id, other.id)

    again = make_drain(second, hook.id, other.id)
    assert again.done
    assert again.run().delivered == 0

    assert drain.run().delivered == 4
    assert second.requests == []
    assert schedule.sizes() == {"due": 0, "held": 0}


def test_a_drain_that_was_silent_leaves_the_webhook_to_its_successor(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
    flow: Flow,
) -> None:
    emitted(30)
    successors: list[Any] = []

    def reply(request: Request) -> Reply:
        if not successors:  # no statement was answered for longer than a hold, say
            clock.advance(20)
            assert schedule.take(10, 1_000)[0] == [hook.id]
            successors.append(make_drain(FakeSender(clock), hook.id))
        return Reply(after_s=0.2)

    sender = FakeSender(clock, reply, capacity=3)
    assert make_drain(sender, hook.id).run().delivered == 3  # what was in flight

    assert schedule.sizes()["held"] == 1  # its successor's hold is not ended
    assert flow.sql("select count(*) from dispatcher.deliveries_waiting where lease_token is not null") == [(0,)]
    assert successors[0].run().delivered == 27
    assert schedule.sizes() == {"due": 0, "held": 0}
