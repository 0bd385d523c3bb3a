"""Recorded deliveries a second: the backlog is laid down first, the clock runs from the nudge to the last record.

The workers run and wait; their `reconcile` is set aside, so that nothing starts before the nudge. Fan-out, claim,
signature, POST and record all count. What counts as delivered is a row of `attempts` in Postgres, committed.
"""

import time
from dataclasses import dataclass

from bench import load
from bench.receiver import Receiver
from bench.rig import WORKER_COUNT, Rig, say, wait_until
from tests.support.processes import cpu_s

_QUIET = {"DISPATCHER_RECONCILE_S": "3600"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """`events` over `accounts`, each of which has so many `webhooks`."""

    name: str
    events: int
    accounts: int
    webhooks: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Throughput:
    """One load's figure. `complete` says that every delivery was made, and recorded once."""

    name: str
    deliveries: int
    seconds: float
    cpu_seconds: float
    complete: bool

    @property
    def per_second(self) -> float:
        """Deliveries a second."""
        return self.deliveries / self.seconds


LOADS = (
    Load(name="20,000 events × 1 webhook", events=20_000, accounts=1, webhooks=1),
    Load(name="20,000 events × 3 webhooks", events=20_000, accounts=1, webhooks=3),
    Load(name="10,000 webhooks × 1 event each", events=10_000, accounts=10_000, webhooks=1),
)


def measure(rig: Rig, receiver: Receiver, share: float, worker_count: int = WORKER_COUNT) -> list[Throughput]:
    """Every load, on the same workers."""
    with rig.workers(worker_count, **_QUIET) as pids:
        warm_up(rig, receiver)
        return [_run(rig, receiver, each, share, pids) for each in LOADS]


def warm_up(rig: Rig, receiver: Receiver) -> None:
    """A few deliveries, so that connections are open and modules loaded."""
    rig.empty()
    load.record_events(rig, load.make_accounts(rig, 20, [receiver.url()]), 1_000)
    rig.nudge()
    wait_for_attempts(rig, 1_000)


def wait_for_attempts(rig: Rig, count: int, within_s: float = 120.0) -> None:
    """Until so many attempts are committed. The sequence is asked first: counting rows would take from the workers."""
    wait_until(
        "a first attempt", lambda: rig.sql("select exists (select from dispatcher.attempts)")[0][0], within_s, 0.02
    )
    wait_until(  # the least id anew each time: what was numbered first may be committed later
        f"{count} attempts are near",
        lambda: (
            rig.sql("select last_value - (select min(id) from dispatcher.attempts) from dispatcher.attempt_id")[0][0]
            >= count - 1
        ),
        within_s,
    )
    wait_until(
        f"{count} attempts are recorded",
        lambda: rig.sql("select count(*) from dispatcher.attempts")[0][0] >= count,
        within_s,
        every_s=0.02,
    )


def _run(rig: Rig, receiver: Receiver, each: Load, share: float, pids: list[int]) -> Throughput:
    rig.empty()
    accounts = load.make_accounts(rig, max(1, int(each.accounts * share)), [receiver.url()] * each.webhooks)
    events = int(each.events * share)
    load.record_events(rig, accounts, events)
    rig.sql("checkpoint")
    deliveries = events * each.webhooks
    used_s = sum(map(cpu_s, pids))
    began_s = time.monotonic()
    rig.nudge()
    wait_for_attempts(rig, deliveries)
    done = Throughput(
        name=each.name,
        deliveries=deliveries,
        seconds=time.monotonic() - began_s,
        cpu_seconds=sum(map(cpu_s, pids)) - used_s,
        complete=_is_complete(rig, deliveries),
    )
    say(f"{each.name}: {done.per_second:,.0f}/s")
    return done


def _is_complete(rig: Rig, deliveries: int) -> bool:
    delivered = rig.sql("select count(*) from dispatcher.deliveries where state = 'delivered'")[0][0]
    attempts = rig.sql("select count(*), count(distinct delivery_id) from dispatcher.attempts where status = '200'")[0]
    return bool(delivered == deliveries and attempts == (deliveries, deliveries))
