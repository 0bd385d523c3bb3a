"""What one event, delivery and attempt take: bytes in Postgres with their indexes, bytes of WAL, bytes of Redis.

For the arithmetic in docs/explanation/sizing.md: `python -m bench.sizes`. The invoice is that of the other measures
(3.5 KB).
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from bench import load
from bench.rig import Rig, running
from bench.throughput import wait_for_attempts

EVENTS, WEBHOOKS = 10_000, 3
DUE = 100_000
_SIZE = "select coalesce(sum(pg_total_relation_size(relid)), 0) from pg_partition_tree(%s)"


def main() -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory(prefix="dispatcher-sizes-") as folder, Rig(Path(folder)) as rig:
        with running([sys.executable, "-m", "bench.delayed", "0"], stdout=subprocess.PIPE) as receiver:
            url = f"http://127.0.0.1:{int(receiver.stdout.readline())}/hook"
            _deliver(rig, url)
        rig.redis.flushall()
        before = _memory(rig)
        rig.container.schedule.due(dict.fromkeys(range(DUE), 3_600.0))
        print(f"Redis: {(_memory(rig) - before) / DUE:.0f} bytes for a webhook that is due")


def _memory(rig: Rig) -> int:
    return int(rig.redis.info("memory")["used_memory"])


def _deliver(rig: Rig, url: str) -> None:
    accounts = load.make_accounts(rig, 1, [url] * WEBHOOKS)
    rig.sql("checkpoint")
    begin = _wal(rig)
    load.record_events(rig, accounts, EVENTS)
    print(f"WAL: {(_wal(rig) - begin) / EVENTS:,.0f} bytes for an event that is stored")
    with rig.workers(DISPATCHER_RECONCILE_S="3600"):
        begin = _wal(rig)
        rig.nudge()
        wait_for_attempts(rig, EVENTS * WEBHOOKS)
        print(f"WAL: {(_wal(rig) - begin) / EVENTS / WEBHOOKS:,.0f} bytes for a delivery, fan-out to record")
    rig.sql("vacuum analyze")
    for table, count in (("events", EVENTS), ("deliveries", EVENTS * WEBHOOKS), ("attempts", EVENTS * WEBHOOKS)):
        print(f"{table}: {rig.sql(_SIZE, [f'dispatcher.{table}'])[0][0] / count:,.0f} bytes a row, indexes included")
    print(f"of the body, as it is sent: {len(load.body_json()):,} bytes")


def _wal(rig: Rig) -> int:
    return int(rig.sql("select pg_current_wal_insert_lsn() - '0/0'")[0][0])


if __name__ == "__main__":
    main()
