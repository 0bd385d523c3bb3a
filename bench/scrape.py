"""`python -m bench.scrape`: what a scrape of /metrics and a `dispatcher status` cost while very much waits.

    10,000 webhooks of 1,000 accounts, 1,000,000 deliveries that wait, 100,000 events not fanned out, a day of history,
    every webhook in the clock and with a health, every tenth paused

Prints the times and writes scrape.json. The bars: a scrape ≤ 50 ms (p95), ≤ 1,000 series, status ≤ 1 s.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import load, machine
from bench.latency import percentile
from bench.rig import ROOT, Rig, say
from dispatcher.metrics.scrape import scrape
from dispatcher.model.health import Health
from dispatcher.storage.stats import backlog

WEBHOOKS, DELIVERIES, EVENTS, HISTORY = 10_000, 1_000_000, 100_000, 500_000
SCRAPES = 40
PER_ACCOUNT = 10

_WEBHOOKS = """
with inserted as (
    insert into dispatcher.accounts (slug, time_zone) select 'many' || n, 'UTC' from generate_series(1, %s) n
    returning id)
insert into dispatcher.webhooks (account_id, webhook_url, signing_secret_encrypted, events)
select id, 'http://127.0.0.1:9/', (select min(signing_secret_encrypted) from dispatcher.webhooks), array['invoice_paid']
from inserted cross join generate_series(1, %s)
"""

# The first thousand have ten times as much; a third is due, a third waits for a retry, a third is on its way.
_DELIVERIES = """
insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, next_attempt_at, lease_token)
select id, id, w.first + case when id %% 2 = 0 then (id %% 1000) else (id %% {webhooks}) end,
    dispatcher.new_idempotency_key(id),
    now() + make_interval(secs => (id %% 3 - 1) * (1 + id %% 500)),
    case when id %% 3 = 2 and id %% 2 = 0 then gen_random_uuid() end
from (select nextval('dispatcher.delivery_id') as id from generate_series(1, %s)) ids,
    (select min(id) as first from dispatcher.webhooks) w
"""

_HISTORY = """
insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key, state, attempt_count, finished_on)
select id, id, 1, dispatcher.new_idempotency_key(id), case when id %% 50 = 0 then 'failed' else 'delivered' end, 1,
    current_date
from (select nextval('dispatcher.delivery_id') as id from generate_series(1, %s)) ids
"""

_EVENTS = """
insert into dispatcher.events_waiting (event_id, account_id, name)
select dispatcher.new_event_id(), 1, 'invoice_paid' from generate_series(1, %s)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scraped:
    """Milliseconds of each part at the given size."""

    webhooks: int
    deliveries: int
    series: int
    scrape_p50_ms: float
    scrape_p95_ms: float
    backlog_p50_ms: float
    status_ms: float
    error_of_due: float
    """The estimate of what is due over what it is."""
    machine: dict[str, str]

    @property
    def bars(self) -> Iterator[tuple[str, str, bool]]:
        """What was promised, what was measured, whether it was kept."""
        yield "a scrape in ≤ 50 ms (p95)", f"{self.scrape_p95_ms:.1f} ms", self.scrape_p95_ms <= 50
        yield "≤ 1,000 series", str(self.series), self.series <= 1_000
        yield "status in ≤ 1 s, its process's start included", f"{self.status_ms:.0f} ms", self.status_ms <= 1_000


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m bench.scrape", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--deliveries", type=int, default=DELIVERIES, help="deliveries that wait")
    parser.add_argument("--folder", type=Path, default=Path("bench-results"), help="where results are written")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dispatcher-scrape-") as temporary, Rig(Path(temporary)) as rig:
        _fill(rig, arguments.deliveries)
        costs = measure(rig, arguments.deliveries)
    for name, value in dataclasses.asdict(costs).items():
        print(f"{name:<16} {value}")
    for promise, measured, kept in costs.bars:
        print(f"{'kept  ' if kept else 'MISSED'}  {promise}: {measured}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    path = arguments.folder / "scrape.json"
    path.write_text(json.dumps(dataclasses.asdict(costs), indent=2) + "\n", encoding="utf-8")
    print(f"written: {path}")


def measure(rig: Rig, deliveries: int) -> Scraped:
    """Scrapes by this process, which is as `web` would be, and by the command as a person runs it."""
    container = rig.container
    window, breaker = container.drain_policy.window, container.drain_policy.breaker

    def read() -> bytes:
        return scrape(
            container.storage, container.schedule, container.queue, container.counters, window=window, breaker=breaker
        )

    text = read().decode()
    scrapes, measures = _times_ms(read), _times_ms(lambda: container.storage.read(backlog.measure))
    due = container.storage.read(backlog.measure)[0].due
    is_due = rig.sql("select count(*) from dispatcher.deliveries_waiting where next_attempt_at <= now()")[0][0]
    return Scraped(
        webhooks=WEBHOOKS,
        deliveries=deliveries,
        series=sum(not line.startswith("#") for line in text.splitlines()),
        scrape_p50_ms=percentile(scrapes, 0.5),
        scrape_p95_ms=percentile(scrapes, 0.95),
        backlog_p50_ms=percentile(measures, 0.5),
        status_ms=min(_status_ms() for _ in range(3)),
        error_of_due=due / max(1, is_due),
        machine=machine.describe(rig, "none"),
    )


def _fill(rig: Rig, deliveries: int) -> None:
    load.make_accounts(rig, 1, ["http://127.0.0.1:9/"])
    rig.sql(_WEBHOOKS, [WEBHOOKS // PER_ACCOUNT, PER_ACCOUNT])
    for table, statement, count in (
        ("deliveries_waiting", _DELIVERIES.format(webhooks=WEBHOOKS), deliveries),
        ("deliveries", _HISTORY, HISTORY),
        ("events_waiting", _EVENTS, EVENTS),
    ):
        for start in range(0, count, 100_000):
            rig.sql(statement, [min(100_000, count - start)])
        rig.sql(f"analyze dispatcher.{table}")
        say(f"{count:,} rows in {table}")
    ids = [row[0] for row in rig.sql("select id from dispatcher.webhooks order by id")]
    rig.container.schedule.due({id_: id_ % 20 - 10 for id_ in ids})
    rig.container.schedule.store_healths(
        {id_: Health(window=1.0 if id_ % 7 == 0 else 20.0, consecutive_failures=12 * (id_ % 10 == 0)) for id_ in ids}
    )
    now_ms = int(time.time() * 1000)
    rig.redis.zadd("dispatcher:paused", {str(id_): now_ms + 600_000 for id_ in ids[::10]})


def _times_ms(work: Callable[[], object]) -> list[float]:
    took = []
    for _ in range(SCRAPES):
        began_s = time.monotonic()
        work()
        took.append((time.monotonic() - began_s) * 1000)
    return sorted(took)


def _status_ms() -> float:
    began_s = time.monotonic()
    subprocess.run([Path(sys.executable).parent / "dispatcher", "status"], check=True, cwd=ROOT, capture_output=True)
    return (time.monotonic() - began_s) * 1000


if __name__ == "__main__":
    main()
