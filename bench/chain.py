"""What one event to one webhook costs, from POST to record: statements, transactions, commands, messages, CPU.

Counted, not timed: the numbers are nearly the same on every machine. Sources: pg_stat_statements, pg_stat_database,
WAL positions, Redis' `INFO commandstats`, /proc. `dispatcher serve`, one worker and the receiver run as processes; the
client is in this one. `python -m bench.chain` prints the table by itself.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import http_emits, load
from bench.receiver import Receiver
from bench.rig import Rig, say, wait_until
from tests.support.processes import cpu_s

_STATEMENTS = """
select query, sum(calls) from pg_stat_statements join pg_database on pg_database.oid = dbid
where datname = current_database()
    and query !~* '^(begin|commit|rollback)|pg_stat|count\\(\\*\\) from dispatcher.attempts'
group by query
"""
_TRANSACTIONS = "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()"


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Totals at one moment, or between two."""

    statements: Counter[str]
    transactions: int
    wal_bytes: int
    commands: Counter[str]
    cpu_s: Counter[str]

    def since(self, before: "Counts") -> "Counts":
        """What was added since `before`."""
        return Counts(
            statements=self.statements - before.statements,
            transactions=self.transactions - before.transactions,
            wal_bytes=self.wal_bytes - before.wal_bytes,
            commands=self.commands - before.commands,
            cpu_s=self.cpu_s - before.cpu_s,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """The cost of `events` events, each to one webhook, at one pace."""

    name: str
    events: int
    total: Counts

    def rows(self) -> Iterator[tuple[str, float]]:
        """What is counted, and how much of it for one event."""
        total = self.total
        yield "Postgres statements", total.statements.total() / self.events
        yield "Postgres transactions", total.transactions / self.events
        yield "WAL, bytes", total.wal_bytes / self.events
        yield "Redis commands", total.commands.total() / self.events
        yield "Celery messages", total.commands["lpush"] / self.events
        yield "CPU, ms", total.cpu_s.total() * 1000 / self.events
        for process, seconds in sorted(total.cpu_s.items()):
            yield f"  of it {process}", seconds * 1000 / self.events


def measure(folder: Path, share: float = 1.0) -> list[Chain]:
    """Both paces, on servers of their own: Postgres must be started with pg_stat_statements."""
    with Rig(folder, preload="pg_stat_statements") as rig, Receiver(folder) as receiver:
        rig.sql("create extension pg_stat_statements")
        rig.sql("alter system set autovacuum = off")
        rig.sql("select pg_reload_conf()")
        (account,) = load.make_accounts(rig, 1, [receiver.url()], "chain")
        with rig.workers(1) as workers, http_emits.serving(rig, account) as api:
            roots = {"worker": workers[0], "web": api.pid} | rig.server_pids
            one = f'{{"name":"{load.EVENT}","body":{load.body_json()}}}'.encode()
            paces = {
                "quiet: 200/s": (max(600, int(3_000 * share)), 200),
                "burst": (max(1_000, int(10_000 * share)), None),
            }
            return [_measure(rig, api, roots, one, name, *pace) for name, pace in paces.items()]


def _measure(
    rig: Rig, api: http_emits.Api, roots: Mapping[str, int], one: bytes, name: str, events: int, per_second: int | None
) -> Chain:
    """After a warm-up of a tenth."""
    api.post(one, events // 10, per_second=per_second)
    _wait_until_recorded(rig, events // 10)
    rig.sql("truncate dispatcher.attempts")
    before = _counts(rig, roots)
    api.post(one, events, per_second=per_second)
    _wait_until_recorded(rig, events)
    chain = Chain(name=name, events=events, total=_counts(rig, roots).since(before))
    rig.sql("truncate dispatcher.attempts")
    say(f"an event's chain, {name}: " + ", ".join(f"{value:,.2f} {what}" for what, value in list(chain.rows())[:6]))
    return chain


def _wait_until_recorded(rig: Rig, count: int) -> None:
    wait_until(
        "all are recorded", lambda: rig.sql("select count(*) from dispatcher.attempts")[0][0] >= count, every_s=0.5
    )


def _counts(rig: Rig, roots: Mapping[str, int]) -> Counts:
    time.sleep(1.5)  # idle sessions of Postgres hand in their counts with up to a second's delay
    rig.sql("select pg_stat_clear_snapshot()")
    ((transactions,),) = rig.sql(_TRANSACTIONS)
    ((wal_bytes,),) = rig.sql("select pg_current_wal_insert_lsn() - '0/0' as pg_stat_wal")
    info = rig.redis.info("commandstats")
    return Counts(
        statements=Counter({query: int(calls) for query, calls in rig.sql(_STATEMENTS)}),
        transactions=int(transactions),
        wal_bytes=int(wal_bytes),
        commands=Counter({name.removeprefix("cmdstat_"): int(each["calls"]) for name, each in info.items()}),
        cpu_s=Counter({name: cpu_s(pid) for name, pid in roots.items()}),
    )


def show(chains: Sequence[Chain]) -> None:
    """The table, then the statements and commands behind its first rows."""
    table = Table(title="What one event to one webhook costs")
    table.add_column("")
    for chain in chains:
        table.add_column(f"{chain.name} ({chain.events:,} events)", justify="right")
    columns = [dict(chain.rows()) for chain in chains]
    for name in columns[0]:
        table.add_row(name, *(f"{column[name]:,.2f}" for column in columns))
    Console().print(table)
    for chain in chains:
        print(f"\n{chain.name}: for one event")
        for query, calls in chain.total.statements.most_common(12):
            print(f"  {calls / chain.events:6.2f}  {' '.join(query.split())[:105]}")
        for command, calls in chain.total.commands.most_common(10):
            print(f"  {calls / chain.events:6.2f}  Redis: {command}")


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory(prefix="dispatcher-bench-") as folder:
        show(measure(Path(folder)))


if __name__ == "__main__":
    main()
