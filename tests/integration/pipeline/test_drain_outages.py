"""A drain while Postgres is away, or does not take writes: nothing is sent twice that could still be recorded."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest

from dispatcher.errors import StorageUnavailable
from dispatcher.model.account import Account
from dispatcher.model.health import WindowPolicy
from dispatcher.pipeline.drain.loop import Drain
from dispatcher.sender.contract import Request
from dispatcher.storage.engine import Storage, rows
from tests.integration.pipeline.conftest import Flow
from tests.support.builders import a_webhook
from tests.support.fakes import FakeClock, FakeSender, Reply
from tests.support.servers import idle_sessions

DISK_FULL, LOCK_TIMEOUT, DEADLOCK = "53100", "55P03", "40P01"


class Failing(Storage):
    """Loses its connection on the statements of these numbers, counted from 1."""

    def __init__(self, real: Storage, *numbers: int) -> None:
        self._real, self._numbers, self.count = real, numbers, 0
        self.secrets = real.secrets

    def autocommit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        if self.count in self._numbers:
            raise StorageUnavailable
        return self._real.autocommit(work, *args, **kwargs)

    def transact(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return self._real.transact(work, *args, **kwargs)


class Away(Failing):
    """Is away between two times of the clock."""

    def __init__(self, real: Storage, clock: FakeClock, from_s: float, to_s: float) -> None:
        super().__init__(real)
        self._clock, self._from_s, self._to_s = clock, from_s, to_s

    def autocommit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if self._from_s <= self._clock.now_s < self._to_s:
            raise StorageUnavailable
        return self._real.autocommit(work, *args, **kwargs)


class Refusing(Failing):
    """Postgres refuses the statements of these numbers with an error of its own."""

    def __init__(self, real: Storage, code: str, *numbers: int) -> None:
        super().__init__(real, *numbers)
        self._code = code

    def autocommit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        if self.count not in self._numbers:
            return self._real.autocommit(work, *args, **kwargs)
        refused = f"do $$ begin raise exception 'not now' using errcode = '{self._code}'; end $$"
        return self._real.autocommit(rows, refused)


def test_a_claim_that_fails_ends_the_drain_without_a_post(
    make_drain: Callable[..., Drain],
    storage: Storage,
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
) -> None:
    emitted(5)
    sender = FakeSender(clock)
    drain = make_drain(sender, hook.id, storage=Failing(storage, *range(1, 99)))

    assert drain.run().delivered == 0
    assert drain.done
    assert sender.requests == []
    assert schedule.sizes() == {"due": 1, "held": 1}  # the hold ends by itself


def test_a_record_that_fails_is_tried_again(
    make_drain: Callable[..., Drain],
    storage: Storage,
    clock: FakeClock,
    hook: Any,
    emitted: Callable[..., None],
    flow: Flow,
) -> None:
    emitted(1)
    drain = make_drain(FakeSender(clock), hook.id, storage=Failing(storage, 2, 3, 4))

    assert drain.run().delivered == 1
    assert flow.states() == ["delivered"]
    assert flow.statuses() == [["200"]]


def test_what_comes_in_while_postgres_is_away_is_recorded_after_hundreds_of_claims_too(
    make_drain: Callable[..., Drain],
    storage: Storage,
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    other: Any,
    emitted: Callable[..., None],
    flow: Flow,
) -> None:
    """One webhook claims a delivery at a time; the other's answer comes while a record of the first waits."""
    emitted(100, for_other=1)
    sender = FakeSender(clock, lambda r: Reply(after_s=0.3 if r.url == other.webhook_url else 0.0005))
    away = Away(storage, clock, clock.now_s + 0.04, clock.now_s + 0.5)
    drain = make_drain(sender, hook.id, other.id, storage=away, window=WindowPolicy(start=1, ceiling=1))

    drain.run()
    assert drain.done
    assert len(sender.requests) > 70
    assert flow.sql("select count(*) from dispatcher.attempts where status = '200'") == [(len(sender.requests),)]
    assert flow.sql("select state from dispatcher.deliveries where webhook_id = %(id)s", id=other.id) == [
        ("delivered",)
    ]
    assert flow.sql("select count(*) from dispatcher.deliveries where lease_token is not null") == [(0,)]


def test_holds_are_kept_while_postgres_is_away(
    make_drain: Callable[..., Drain],
    storage: Storage,
    clock: FakeClock,
    schedule: Any,
    hook: Any,
    emitted: Callable[..., None],
) -> None:
    emitted(1)
    away = Away(storage, clock, clock.now_s + 0.01, clock.now_s + 40)
    drain = make_drain(FakeSender(clock), hook.id, storage=away)
    renewed = []
    renew = schedule.renew
    schedule.renew = lambda *held: renewed.append(clock.now_s - 1_000) or renew(*held)
    drain.run()

    assert len([at_s for at_s in renewed if at_s < 40]) >= 7


def test_what_cannot_be_recorded_until_the_leases_end_is_left_to_be_sent_again(
    make_drain: Callable[..., Drain],
    storage: Storage,
    clock: FakeClock,
    hook: Any,
    emitted: Callable[..., None],
    flow: Flow,
    caplog: pytest.LogCaptureFixture,
) -> None:
    emitted(1)
    drain = make_drain(FakeSender(clock), hook.id, storage=Failing(storage, *range(2, 999)))

    drain.run()
    assert drain.done
    assert flow.states() == ["pending"]
    assert "drain.results_lost attempts=1" in caplog.text
    assert 85 < clock.now_s - 1_000 < 95


@pytest.mark.parametrize("code", [DISK_FULL, LOCK_TIMEOUT, DEADLOCK])
def test_what_passes_is_waited_for_like_an_outage(
    make_drain: Callable[..., Drain],
    storage: Storage,
    clock: FakeClock,
    hook: Any,
    emitted: Callable[..., None],
    flow: Flow,
    code: str,
) -> None:
    emitted(5)
    drain = make_drain(FakeSender(clock), hook.id, storage=Refusing(storage, code, 2, 3, 4))

    assert drain.run().delivered == 5
    drain.finish(lambda _: None)
    assert flow.statuses() == [["200"]] * 5


def test_while_postgres_only_reads_nobody_claims_in_a_loop(
    make_drain: Callable[..., Drain],
    storage: Storage,
    clock: FakeClock,
    schedule: Any,
    account: Account,
    flow: Flow,
) -> None:
    """What comes of a full disk once leases have run out: claims write lost attempts, and fail.

    Or of one webhook whose claim takes too long, which must not be with the same others each time.
    """
    ids = [a_webhook(storage, account, f"http://{number}.test/").id for number in range(20)]
    flow.emit()
    flow.fan_out()
    make_drain(FakeSender(clock), *ids, storage=Refusing(storage, DISK_FULL, 1)).run()

    assert schedule.take(20, 20)[0] == []
    waits_s = schedule.waits()
    assert waits_s.keys() == set(ids)
    assert 2 <= min(waits_s.values()) < max(waits_s.values()) <= 4
    assert len({round(wait_s * 4) for wait_s in waits_s.values()}) >= 6  # a ticker looks each quarter of a second


def locked_by_another(url: str, delivery_id: int) -> Any:
    """Somebody's transaction that has locked the delivery."""
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        cursor.execute("select from dispatcher.deliveries where id = %s for update", (delivery_id,))
    return connection


def wait_little_for_locks(storage: Storage) -> None:
    """A drain does, from now on: 50 ms."""
    for pooled in idle_sessions(storage.engine):
        with pooled.dbapi_connection.cursor() as cursor:
            cursor.execute("set lock_timeout = 50")


@pytest.fixture
def locking(database_url: str, clock: FakeClock) -> Iterator[tuple[FakeSender, list[Any]]]:
    """A sender that locks the delivery of its third request, until it is told to let go."""
    held: list[Any] = []

    def reply(request: Request) -> Reply:
        if len(held) < 3:
            held.append(locked_by_another(database_url, request.tag) if len(held) == 2 else None)
        return Reply()

    sender = FakeSender(clock, reply)
    yield sender, held
    for connection in filter(None, held):
        connection.close()


def test_a_result_of_a_locked_delivery_waits_and_the_others_are_recorded_and_let_go(
    make_drain: Callable[..., Drain],
    storage: Storage,
    schedule: Any,
    locking: tuple[FakeSender, list[Any]],
    hook: Any,
    other: Any,
    emitted: Callable[..., None],
    flow: Flow,
) -> None:
    sender, held = locking
    emitted(10, for_other=10)
    wait_little_for_locks(storage)
    drain = make_drain(sender, other.id, hook.id)

    drain.run()
    locked = sender.requests[2].tag
    assert flow.sql("select id from dispatcher.deliveries where state <> 'delivered'") == [(locked,)]
    assert not drain.done
    assert schedule.sizes()["held"] == 1

    passed_on: list[int] = []
    held[2].rollback()
    drain.finish(passed_on.extend)
    assert drain.done
    assert flow.statuses() == [["200"]] * 20
    assert len(sender.requests) == 20


def test_a_delivery_that_is_locked_for_longer_than_its_lease_is_left_to_be_sent_again(
    make_drain: Callable[..., Drain],
    storage: Storage,
    clock: FakeClock,
    locking: tuple[FakeSender, list[Any]],
    hook: Any,
    emitted: Callable[..., None],
    flow: Flow,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sender, _ = locking
    emitted(10)
    wait_little_for_locks(storage)
    drain = make_drain(sender, hook.id)

    drain.run()
    drain.finish(lambda _: None)
    assert drain.done
    assert 85 < clock.now_s - 1_000 < 95
    assert sorted(flow.states()) == ["delivered"] * 9 + ["pending"]
    assert f"delivery.record_failed delivery_id={sender.requests[2].tag}" in caplog.text


def test_a_table_that_is_locked_is_waited_for_like_an_outage(
    make_drain: Callable[..., Drain],
    storage: Storage,
    clock: FakeClock,
    hook: Any,
    emitted: Callable[..., None],
    flow: Flow,
    database_url: str,
) -> None:
    emitted(5)
    wait_little_for_locks(storage)
    other = psycopg2.connect(database_url)

    def reply(_: Any) -> Reply:
        other.cursor().execute("lock table dispatcher.attempts in access exclusive mode")
        return Reply()

    def wait(seconds: float) -> None:
        clock.advance(seconds)
        if clock.now_s > 1_010:
            other.rollback()

    drain = make_drain(FakeSender(clock, reply), hook.id, wait=wait)
    assert drain.run().delivered == 5
    assert flow.statuses() == [["200"]] * 5
    assert 1_010 < clock.now_s < 1_015
    other.close()
