"""One bad delivery, or one part that fails, ends nobody else's: each POST is recorded, and none is sent twice."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dispatcher.container import Container
from dispatcher.model.attempt import Result
from dispatcher.model.webhook import Webhook
from dispatcher.pipeline.drain.claims import NOT_CLAIMED
from dispatcher.pipeline.drain.counters import DrainCounters
from dispatcher.pipeline.drain.loop import Drain
from dispatcher.pipeline.drain.recording import NOT_RECORDED, NOT_STORED
from dispatcher.sender import choose
from dispatcher.sender.contract import Request
from tests.integration.pipeline.conftest import Flow
from tests.support.fakes import FakeClock, FakeSender, Reply
from tests.support.waiting import eventually

POISON = b"poison"


class OddError(Exception):
    """Nothing that the code knows of."""


def refuse(flow: Flow, table: str, condition: str) -> None:
    """Postgres refuses rows of the table for which the condition does not hold."""
    flow.sql(f"alter table dispatcher.{table} add constraint refused check ({condition}) not valid")


def refuse_leases_of(flow: Flow, delivery_id: int, code: str) -> None:
    """Postgres refuses to lease that delivery."""
    flow.sql(
        f"""
        create function refuse() returns trigger language plpgsql as
        'begin raise exception using errcode = ''{code}''; end';
        create trigger refuse before update on dispatcher.deliveries_waiting for each row
        when (new.id = {delivery_id} and new.lease_token is not null) execute function refuse()
        """
    )


def bad_one(flow: Flow, webhook: Webhook) -> int:
    """The first of its deliveries that is due."""
    sql = "select min(id) from dispatcher.deliveries where webhook_id = %(id)s"
    return flow.sql(sql, id=webhook.id)[0][0]


def states_but(flow: Flow, delivery_id: int) -> Counter[str]:
    return Counter(
        state for (state,) in flow.sql("select state from dispatcher.deliveries where id <> %(id)s", id=delivery_id)
    )


def of_one(flow: Flow, delivery_id: int) -> tuple[Any, list[Any]]:
    """Its state, and number, status and reason of each attempt."""
    ((state,),) = flow.sql("select state from dispatcher.deliveries where id = %(id)s", id=delivery_id)
    attempts = "select number, status, reason from dispatcher.attempts where delivery_id = %(id)s order by id"
    return state, flow.sql(attempts, id=delivery_id)


def leased(flow: Flow) -> int:
    return flow.sql("select count(*) from dispatcher.deliveries where lease_token is not null")[0][0]


def on_nth(count: int, answer: Reply, others: Reply | None = None) -> Callable[[Request], Reply]:
    """What a sender says: `answer` to that request, `others` to all others."""
    asked = []
    return lambda request: answer if asked.append(request) is None and len(asked) == count else others or Reply()


@pytest.mark.parametrize(("status", "state"), [("200", "delivered"), ("503", "pending")])
def test_a_response_that_postgres_refuses_keeps_no_other_from_the_rows(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    hook: Any,
    other: Any,
    emitted: Callable[..., None],
    flow: Flow,
    status: str,
    state: str,
) -> None:
    emitted(20, for_other=13)
    refuse(flow, "attempts", "body is distinct from 'poison'")
    sender = FakeSender(clock, on_nth(7, Reply(status, body=POISON)))

    make_drain(sender, hook.id, other.id).run()
    poisoned = sender.requests[6].tag
    assert of_one(flow, poisoned) == (state, [(1, status, NOT_STORED)])
    assert states_but(flow, poisoned) == {"delivered": 32}
    assert len(sender.requests) == flow.sql("select count(*) from dispatcher.attempts")[0][0] == 33
    assert leased(flow) == 0


@pytest.mark.parametrize(("status", "state"), [("200", "delivered"), ("503", "failed")])
def test_figures_that_postgres_refuses_end_their_delivery_alone(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    hook: Any,
    other: Any,
    emitted: Callable[..., None],
    flow: Flow,
    status: str,
    state: str,
) -> None:
    emitted(20, for_other=13)
    bad = bad_one(flow, other)
    flow.sql("update dispatcher.deliveries set attempt_count = 5, tries_before = 5 where id = %(id)s", id=bad)
    refuse(flow, "deliveries", "attempt_count <= 5")
    sender = FakeSender(clock, lambda request: Reply(status if request.tag == bad else "200"))

    make_drain(sender, hook.id, other.id).run()
    assert of_one(flow, bad) == (state, [(6, status, NOT_RECORDED)])
    assert states_but(flow, bad) == {"delivered": 32}
    assert len(sender.requests) == 33
    assert leased(flow) == 0


def test_an_attempt_that_postgres_refuses_altogether_is_missing_and_its_delivery_ends(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    hook: Any,
    emitted: Callable[..., None],
    flow: Flow,
    caplog: pytest.LogCaptureFixture,
) -> None:
    emitted(5)
    refuse(flow, "attempts", "status <> '418'")

    make_drain(FakeSender(clock, on_nth(2, Reply("418"))), hook.id).run()
    assert sorted(flow.states()) == ["delivered"] * 4 + ["failed"]
    assert "delivery.attempt_not_kept" in caplog.text
    assert "CheckViolation (23514)" in caplog.text
    assert "Failing row" not in caplog.text  # Postgres' own words hold what is stored


def test_what_is_refused_for_another_reason_than_its_values_is_left_to_its_lease(
    make_drain: Callable[..., Drain], clock: FakeClock, hook: Any, emitted: Callable[..., None], flow: Flow
) -> None:
    """Nobody's delivery is failed because a table is not as it should be."""
    emitted(5)
    flow.sql("alter table dispatcher.attempts rename column body to bodies")

    make_drain(FakeSender(clock), hook.id).run()
    assert flow.sql("select state, count(*) from dispatcher.deliveries group by 1") == [("pending", 5)]
    assert leased(flow) == 5


def test_a_delivery_that_cannot_be_claimed_is_failed_and_the_others_go_out(
    make_drain: Callable[..., Drain], clock: FakeClock, hook: Any, other: Any, emitted: Callable[..., None], flow: Flow
) -> None:
    emitted(20, for_other=13)
    bad = bad_one(flow, other)
    refuse_leases_of(flow, bad, "22003")
    sender = FakeSender(clock)

    assert make_drain(sender, hook.id, other.id).run().failed == 1
    assert of_one(flow, bad) == ("failed", [(1, "unknown_error", NOT_CLAIMED)])
    assert states_but(flow, bad) == {"delivered": 32}
    assert len(sender.requests) == 32


def test_a_webhook_that_cannot_be_claimed_for_is_paused_and_the_others_go_on(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    other: Any,
    emitted: Callable[..., None],
    flow: Flow,
) -> None:
    emitted(20, for_other=13)
    refuse_leases_of(flow, bad_one(flow, other), "0A000")

    assert make_drain(FakeSender(clock), hook.id, other.id).run().delivered >= 20
    assert flow.sql("select state from dispatcher.deliveries where webhook_id = %(id)s group by 1", id=hook.id) == [
        ("delivered",)
    ]
    assert schedule.pauses() == {other.id: pytest.approx(60, abs=1)}
    assert flow.sql("select sum(lost_count) from dispatcher.deliveries") == [(0,)]
    assert leased(flow) == 0


def test_what_was_claimed_and_cannot_be_read_is_given_back_uncounted(
    make_drain: Callable[..., Drain], clock: FakeClock, hook: Any, other: Any, emitted: Callable[..., None], flow: Flow
) -> None:
    """The claim is committed by then, for all webhooks of the chunk."""
    emitted(20, for_other=13)
    flow.sql("update dispatcher.events set created_at = '4000-01-01 BC' where name = 'invoice_sent'")

    make_drain(FakeSender(clock), hook.id, other.id).run()
    assert states_but(flow, 0) == {"delivered": 20, "pending": 13}
    assert flow.sql("select sum(lost_count) from dispatcher.deliveries") == [(0,)]
    assert leased(flow) == 0


def test_what_cannot_be_said_of_one_webhook_is_said_of_the_others(
    make_drain: Callable[..., Drain], clock: FakeClock, hook: Any, other: Any, emitted: Callable[..., None], flow: Flow
) -> None:
    emitted(5, for_other=5)
    refuse(flow, "webhooks", f"failing_since is null or id <> {hook.id}")

    make_drain(FakeSender(clock, lambda _: Reply("503")), hook.id, other.id).run()
    assert flow.sql("select id from dispatcher.webhooks where failing_since is not null") == [(other.id,)]
    assert flow.sql("select count(*) from dispatcher.attempts where status = '503'") == [(10,)]


class Broken:
    """A part of which nothing works."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        def fails(*_: Any, **__: Any) -> None:
            raise OddError

        return fails


def test_parts_that_could_be_done_without_stop_no_delivery(
    make_drain: Callable[..., Drain], clock: FakeClock, hook: Any, emitted: Callable[..., None], flow: Flow
) -> None:
    emitted(20)
    flow.sql("update dispatcher.events set traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'")
    broken: Any = Broken()
    sender = FakeSender(clock, on_nth(3, Reply("503")))
    drain = make_drain(sender, hook.id, publish=broken.publish, counters=DrainCounters(broken), traces=broken)

    drain.run()
    assert sorted(flow.states()) == ["delivered"] * 19 + ["pending"]
    assert len(sender.requests) == 20


class Odd(FakeSender):
    """Takes no request of a tag, and has no results after so many."""

    def __init__(self, clock: FakeClock, *, refused: Any = 0, ends_after: float = 1_000) -> None:
        super().__init__(clock)
        self._refused, self._left, self.is_closed = refused, ends_after, False

    def start(self, request: Request) -> None:
        if request.tag == self._refused:
            raise OddError
        super().start(request)

    def results(self, wait_s: float) -> list[Result]:
        self._left -= 1
        if self._left < 0:
            raise OddError
        return super().results(wait_s)

    def close(self) -> None:
        self.is_closed = True
        super().close()


def test_a_request_that_the_sender_does_not_take_fails_alone_and_is_not_the_receivers_fault(
    make_drain: Callable[..., Drain],
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    other: Any,
    emitted: Callable[..., None],
    flow: Flow,
) -> None:
    emitted(10, for_other=5)
    bad = bad_one(flow, other)

    make_drain(Odd(clock, refused=bad), hook.id, other.id).run()
    assert of_one(flow, bad) == ("pending", [(1, "unknown_error", "the request cannot be sent: OddError")])
    assert states_but(flow, bad) == {"delivered": 14}
    assert schedule.healths([other.id])[other.id].consecutive_failures == 0


def test_a_drain_that_ends_by_a_fault_records_what_came_in_and_gives_back_what_is_unsent(
    make_drain: Callable[..., Drain], clock: FakeClock, hook: Any, emitted: Callable[..., None], flow: Flow
) -> None:
    emitted(60)
    sender = Odd(clock, ends_after=6)  # every other time nothing is there yet
    sender.capacity = 4
    drain = make_drain(sender, hook.id, flush_s=10.0)

    with pytest.raises(OddError):
        drain.run()
    delivered, pending = flow.states().count("delivered"), flow.states().count("pending")
    assert (delivered, pending) == (12, 48)
    assert leased(flow) == 4  # in flight: nobody knows what became of them


class Forgetful(FakeSender):
    """Loses what is in flight once ten have come back, and has a result that nobody asked for."""

    def results(self, wait_s: float) -> list[Result]:
        results = super().results(wait_s)
        if len(self.requests) > 10:
            self.close()
        return [*results, *(replace(one, tag=-1) for one in results[:1])]


def test_a_sender_that_breaks_its_contract_ends_its_drain_and_not_what_came_in(
    make_drain: Callable[..., Drain], clock: FakeClock, hook: Any, emitted: Callable[..., None], flow: Flow
) -> None:
    emitted(60)
    after_s = iter([0.01] * 10 + [0.2, 0.3] * 50)
    sender = Forgetful(clock, lambda _: Reply(after_s=next(after_s)))
    drain = make_drain(sender, hook.id)

    with pytest.raises(RuntimeError, match="the sender has forgotten"):
        drain.run()
    assert flow.states().count("delivered") >= 10
    assert leased(flow) == len(sender.requests) - flow.states().count("delivered")


def test_a_sender_is_closed_by_whatever_ends_its_drain(
    container: Container,
    flow: Flow,
    hook: Any,
    emitted: Callable[..., None],
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    emitted(1)
    sender = Odd(clock, ends_after=0)
    container.senders.close()  # that of the fan-out
    monkeypatch.setattr(choose, "make_sender", lambda *_: sender)

    with pytest.raises(OddError):
        container.drain_runner.run([hook.id])
    assert sender.is_closed


class EndsAside(Odd):
    """Waits for an answer, and fails once that is done aside."""

    def results(self, wait_s: float) -> list[Result]:
        threading.Event().wait(wait_s)
        if threading.current_thread().name == "stragglers":
            raise OddError
        return []


def test_a_sender_is_closed_by_whatever_ends_its_drain_aside(
    container: Container,
    flow: Flow,
    hook: Any,
    emitted: Callable[..., None],
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    emitted(1)
    sender = EndsAside(clock)
    container.senders.close()  # that of the fan-out
    monkeypatch.setattr(choose, "make_sender", lambda *_: sender)

    container.drain_runner.run([hook.id])
    eventually(lambda: sender.is_closed, what="the end of the sender")
    eventually(lambda: "drain.unfinished" in caplog.text, what="a line of the log")
