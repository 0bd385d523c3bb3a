"""`python -m bench.growth`: what a delivery costs with more and more history, and with more and more webhooks.

    history      0, a fifth and all of SIZE stored attempts (with their deliveries), over the last ten days
    webhooks     20, 10,000 and 100,000 of them stored, of which 20 have work: fewer would not keep two workers busy
    each         the throughput of 10,000 deliveries, and how long a claim of 50 takes in between
    last         a day of history is dropped while deliveries run

Prints a table, writes growth.json and growth.png. The bars: flat within 15 %, claim p95 ≤ 5 ms, a day dropped in ≤ 1 s.
"""

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from rich.console import Console
from rich.table import Table

from bench import load, machine, throughput
from bench.latency import percentile
from bench.receiver import Receiver
from bench.rig import Rig, say, wait_until
from dispatcher.model.account import Account
from dispatcher.pipeline.prune import prune
from dispatcher.storage.pipeline import deliveries, events

SIZE = 5_000_000
BUSY = 20
EVENTS = 10_000
CLAIMS = 100
DAYS = 10
_LEASE = timedelta(seconds=60)

_MAKE_DAYS = "select dispatcher.create_partitions(current_date - n) from generate_series(1, %s) n"

# Finished deliveries and one attempt of each, spread over the days before today; their events are not needed.
_FILL = """
with inserted as (
    insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, state, attempt_count, finished_on)
    select id, id, (select min(id) from dispatcher.webhooks) + id %% 20,
        dispatcher.new_idempotency_key(id), 'delivered', 1,
        current_date - 1 - (id %% 10)::int
    from (select nextval('dispatcher.delivery_id') as id from generate_series(1, %s)) ids
    returning id, finished_on)
insert into dispatcher.attempts (delivery_id, number, request_id, url, status, body, started_at, finished_at,
    recorded_on)
select id, 1, gen_random_uuid(), 'http://127.0.0.1/', '200', 'ok', now(), now(), finished_on from inserted
"""

# Ten of each further account.
_MORE_WEBHOOKS = """
with inserted as (
    insert into dispatcher.accounts (slug, time_zone) select 'more' || gen_random_uuid(), 'UTC'
    from generate_series(1, %s / 10)
    returning id)
insert into dispatcher.webhooks (account_id, webhook_url, signing_secret_encrypted, events)
select id, 'http://127.0.0.1:9/', (select min(signing_secret_encrypted) from dispatcher.webhooks), array['invoice_paid']
from inserted cross join generate_series(1, 10)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One state of the tables; `per_second` deliveries, claims in milliseconds."""

    attempts: int
    webhooks: int
    per_second: float
    claim_p50_ms: float
    claim_p95_ms: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """All steps, and the seconds that a day of history took to go while deliveries ran."""

    history: list[Step]
    webhooks: list[Step]
    drop_s: float
    machine: dict[str, str]

    @property
    def bars(self) -> Iterator[tuple[str, str, bool]]:
        """What was promised, what was measured, whether it was kept."""
        for name, steps in (("history", self.history), ("webhooks", self.webhooks)):
            worst = min(step.per_second for step in steps) / steps[0].per_second
            yield f"cost of a delivery with more {name}: flat within 15 %", f"{worst:.2f} ×", worst >= 1 / 1.15
        slowest = max(step.claim_p95_ms for step in (*self.history, *self.webhooks))
        yield "a claim of 50, p95 ≤ 5 ms", f"{slowest:.1f} ms", slowest <= 5
        yield "a day of history dropped in ≤ 1 s", f"{self.drop_s:.2f} s", self.drop_s <= 1


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=SIZE, help="stored attempts at most")
    parser.add_argument("--folder", type=Path, default=Path("bench-results"), help="where results are written")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dispatcher-growth-") as temporary:
        growth = measure(Path(temporary), arguments.size)
    _show(growth)
    _write(growth, arguments.folder)


def measure(temporary: Path, size: int) -> Growth:
    """Every step, on the same two workers."""
    with Rig(temporary) as rig, Receiver(temporary) as receiver, rig.workers(DISPATCHER_RECONCILE_S="3600"):
        throughput.warm_up(rig, receiver)
        rig.empty()
        load.make_accounts(rig, 1, [receiver.url()] * BUSY)
        rig.sql(_MAKE_DAYS, [DAYS])
        history = [_step(rig, attempts=stored) for stored in _fill(rig, (0, size // 5, size))]
        drop_s = _drop_a_day(rig)
        rig.sql("truncate dispatcher.deliveries, dispatcher.attempts")
        webhooks = [_step(rig, webhooks=stored) for stored in _more_webhooks(rig, (BUSY, 10_000, 100_000))]
        return Growth(history=history, webhooks=webhooks, drop_s=drop_s, machine=machine.describe(rig, receiver.kind))


def _fill(rig: Rig, totals: tuple[int, ...]) -> Iterator[int]:
    stored = 0
    for total in totals:
        while stored < total:
            rig.sql(_FILL, [min(100_000, total - stored)])
            stored += min(100_000, total - stored)
        rig.sql("vacuum analyze dispatcher.deliveries")
        rig.sql("vacuum analyze dispatcher.attempts")
        rig.sql("checkpoint")
        yield total


def _more_webhooks(rig: Rig, totals: tuple[int, ...]) -> Iterator[int]:
    stored = BUSY
    for total in totals:
        rig.sql(_MORE_WEBHOOKS, [total - stored])
        stored = total
        rig.sql("vacuum analyze dispatcher.webhooks")
        yield total


def _step(rig: Rig, *, attempts: int = 0, webhooks: int = BUSY) -> Step:
    """The best of ten runs: what else the machine does must not look like growth."""
    per_second = max(_throughput(rig) for _ in range(10))
    claims = sorted(_claims(rig))
    step = Step(
        attempts=attempts,
        webhooks=webhooks,
        per_second=per_second,
        claim_p50_ms=percentile(claims, 0.5),
        claim_p95_ms=percentile(claims, 0.95),
    )
    say(f"{attempts:,} attempts, {webhooks:,} webhooks: {per_second:,.0f}/s, claim p95 {step.claim_p95_ms:.1f} ms")
    return step


def _throughput(rig: Rig) -> float:
    _lay_events(rig, EVENTS // BUSY)
    before = rig.sql("select coalesce(max(id), 0) from dispatcher.deliveries where finished_on >= current_date")[0][0]
    began_s = time.monotonic()
    rig.nudge()
    while _done_since(rig, before) < EVENTS:
        if time.monotonic() > began_s + 120:
            raise TimeoutError(f"{EVENTS} deliveries did not come within 120 s")
        time.sleep(0.01)
    return EVENTS / (time.monotonic() - began_s)


def _done_since(rig: Rig, delivery_id: int) -> int:
    """Finished today, of this run alone: counting those of former runs, too, would cost more each time."""
    query = "select count(*) from dispatcher.deliveries where finished_on >= current_date and id > %s"
    return int(rig.sql(query, [delivery_id])[0][0])


def _lay_events(rig: Rig, count: int) -> None:
    owner = rig.sql("select min(id) from dispatcher.accounts")[0][0]
    account = Account(id=owner, slug="account0", time_zone=load.TIME_ZONE)
    load.record_events(rig, [account], count)


def _claims(rig: Rig) -> Iterator[float]:
    """Milliseconds of each claim of 50 over the busy webhooks, by this process alone; then all goes away again."""
    _lay_events(rig, CLAIMS * 50 // BUSY)
    rig.container.storage.transact(events.fan_out, CLAIMS * 50)
    busy = [row[0] for row in rig.sql("select id from dispatcher.webhooks order by id limit %s", [BUSY])]
    for _ in range(CLAIMS):
        began_s = time.monotonic()
        rig.container.storage.autocommit(
            deliveries.claim,
            rig.container.storage.secrets,
            dict.fromkeys(busy, 3),
            token=str(uuid4()),
            lease=_LEASE,
            loss_limit=10,
        )
        yield (time.monotonic() - began_s) * 1000
    rig.sql("delete from dispatcher.deliveries_waiting")
    rig.sql("vacuum analyze dispatcher.deliveries_waiting")


def _drop_a_day(rig: Rig) -> float:
    """The longest of the two drops, deliveries and attempts of the oldest day, while deliveries run."""
    _lay_events(rig, EVENTS // BUSY)
    rig.nudge()
    wait_until("deliveries run", lambda: rig.sql("select exists (select from dispatcher.deliveries_waiting)")[0][0])
    began_s = time.monotonic()
    prune(rig.container.storage, DAYS - 1)
    drop_s = time.monotonic() - began_s
    wait_until("the outbox is empty", lambda: _is_quiet(rig), 120.0)
    return drop_s


def _is_quiet(rig: Rig) -> bool:
    return bool(
        rig.sql(
            "select not exists (select from dispatcher.events_waiting) and not exists"
            " (select from dispatcher.deliveries_waiting)"
        )[0][0]
    )


def _show(growth: Growth) -> None:
    console = Console(width=None if Console().is_terminal else 120, highlight=False)
    table = Table("stored attempts", "webhooks", "deliveries/s", "claim p50", "claim p95", box=None, pad_edge=False)
    for step in (*growth.history, *growth.webhooks):
        table.add_row(
            f"{step.attempts:,}",
            f"{step.webhooks:,}",
            f"{step.per_second:,.0f}",
            f"{step.claim_p50_ms:.1f} ms",
            f"{step.claim_p95_ms:.1f} ms",
        )
    console.print(table)
    for promise, measured, kept in growth.bars:
        console.print(f"{'kept  ' if kept else 'MISSED'}  {promise}: {measured}")


def _write(growth: Growth, folder: Path) -> None:
    from bench import plot  # noqa: PLC0415 -- matplotlib is loaded last

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "growth.json"
    path.write_text(json.dumps(dataclasses.asdict(growth), indent=2) + "\n", encoding="utf-8")
    print(f"written: {path}\nwritten: {plot.draw_growth(growth.history, growth.webhooks, folder)}")


if __name__ == "__main__":
    main()
