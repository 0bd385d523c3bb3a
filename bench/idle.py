"""What one worker asks of Redis and Postgres while there is nothing to do."""

import time
from dataclasses import dataclass

from bench.rig import Rig, say

SPAN_S = 15.0
"""One `reconcile` falls into it; so it is not shorter with --quick."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Idle:
    """Commands and transactions a second of one worker."""

    redis_per_second: float
    postgres_per_second: float


def measure(rig: Rig) -> Idle:
    """Counts for some seconds; our own questions are taken off."""
    rig.empty()
    _vacuum(rig, "off")  # Postgres' own housekeeping would be counted as ours
    with rig.workers(1):
        time.sleep(3.0)  # what a worker does at its start is over
        commands, transactions = _commands(rig), _transactions(rig)
        began_s = time.monotonic()
        time.sleep(SPAN_S)
        took_s = time.monotonic() - began_s
        # Of ours: the INFO itself, and one statement of each of the two looks at Postgres.
        idle = Idle(
            redis_per_second=(_commands(rig) - commands - 1) / took_s,
            postgres_per_second=max(0, _transactions(rig) - transactions - 2) / took_s,
        )
    _vacuum(rig, "on")
    say(f"idle worker: {idle.redis_per_second:.1f} Redis commands/s, {idle.postgres_per_second:.1f} transactions/s")
    return idle


def _vacuum(rig: Rig, value: str) -> None:
    rig.sql(f"alter system set autovacuum = {value}")
    rig.sql("select pg_reload_conf()")


def _commands(rig: Rig) -> int:
    return int(rig.redis.info("stats")["total_commands_processed"])


def _transactions(rig: Rig) -> int:
    # Idle sessions hand in their counts by themselves, with up to a second's delay; ours at the next statement.
    time.sleep(1.1)
    rig.sql("select pg_stat_clear_snapshot()")
    counts = rig.sql("select xact_commit + xact_rollback from pg_stat_database where datname = current_database()")
    return int(counts[0][0])
