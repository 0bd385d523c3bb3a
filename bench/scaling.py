"""More workers, more deliveries: 1, 2 and 4 worker processes on a receiver that takes 20 ms. `make bench-scaling`.

What is measured is whether workers get in each other's way: in Postgres, in Redis, in the queues. So a worker is kept
small on purpose: two drains of five webhooks with two requests in flight each (`-c 2`, DISPATCHER_DRAIN_CHUNK=5,
DISPATCHER_WINDOW_START=DISPATCHER_WINDOW_MAX=2) are 20 requests at a time, and it waits for answers most of the time.
With the defaults one worker would fill both cores, and a second could add nothing.

The backlog is laid down and fanned out first. The rate is that of the middle: from a tenth of the attempts recorded to
seven tenths, because at the end there is no work for all.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draws into a file; no screen is needed

from matplotlib import pyplot

from bench import load
from bench.machine import describe
from bench.rig import ROOT, Rig, running, say, wait_until
from dispatcher.storage.pipeline import events
from tests.support.processes import cpu_s

COUNTS = (1, 2, 4)
DELAY_MS = 20
WEBHOOKS, EVENTS = 160, 60
SMALL = {
    "DISPATCHER_DRAIN_CHUNK": "5",
    "DISPATCHER_WINDOW_START": "2",
    "DISPATCHER_WINDOW_MAX": "2",
    "DISPATCHER_RECONCILE_S": "3600",
}
_OPTIONS = "-P threads -c 2 -Q events,deliveries,deliveries.slow -l warning --without-gossip --without-mingle"
FROM, TO = 0.1, 0.7
_ONCE = "select count(*), count(distinct delivery_id) from dispatcher.attempts where status = '200'"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What so many workers did. `busy` is the share of all cores that was in use, by anything."""

    workers: int
    per_second: float
    busy: float
    cpu_ms: float
    """CPU of the workers for a delivery."""


def main() -> None:
    """Prints a table and draws the graph."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graph", type=Path, default=ROOT / "bench-results" / "scaling.png")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dispatcher-scaling-") as folder, Rig(Path(folder)) as rig:
        command = [sys.executable, "-m", "bench.delayed", str(DELAY_MS)]
        with running(command, stdout=subprocess.PIPE) as receiver:
            url = f"http://127.0.0.1:{int(receiver.stdout.readline())}/hook"
            machine = describe(rig, "ours")
            steps = [_measure(rig, url, count) for count in COUNTS]
    print(_table(steps, machine))
    chosen.graph.parent.mkdir(exist_ok=True)
    _draw(steps, machine, chosen.graph)
    print(f"graph: {chosen.graph}")


def _measure(rig: Rig, url: str, count: int) -> Step:
    rig.empty()
    rig.redis.flushall()
    accounts = load.make_accounts(rig, 1, [url] * WEBHOOKS)
    load.record_events(rig, accounts, EVENTS)
    while rig.container.storage.transact(events.fan_out, 20).event_count:
        pass
    rig.sql("analyze")
    rig.sql("checkpoint")
    total, before = WEBHOOKS * EVENTS, _recorded(rig)
    with ExitStack() as stack:
        workers = [
            stack.enter_context(rig.celery(f"-A dispatcher.tasks worker -n scaling{number}@%h {_OPTIONS}", SMALL))
            for number in range(count)
        ]
        wait_until(
            "the workers are seen", lambda: len(rig.container.schedule.workers.names()) >= count, processes=workers
        )
        rig.container.reconciler.reconcile()
        first = _recorded_at(rig, before + int(total * FROM))
        used_s, busy = sum(cpu_s(one.pid) for one in workers), _busy_s()
        last = _recorded_at(rig, before + int(total * TO))
        used_s, busy = sum(cpu_s(one.pid) for one in workers) - used_s, _busy_s() - busy
        wait_until("all is near", lambda: _recorded(rig) >= before + total, 120)
        wait_until("all is recorded, once", lambda: rig.sql(_ONCE)[0] == (total, total), 10)
    seconds, done = last[0] - first[0], last[1] - first[1]
    step = Step(workers=count, per_second=done / seconds, busy=busy / seconds / _cores(), cpu_ms=1000 * used_s / done)
    say(f"{count} workers: {step.per_second:,.0f}/s, {step.busy:.0%} of the CPU")
    return step


def _recorded_at(rig: Rig, count: int) -> tuple[float, int]:
    """When at least so many were recorded, and how many there were."""
    wait_until(f"{count} attempts", lambda: _recorded(rig) >= count, 120, every_s=0.05)
    return time.monotonic(), _recorded(rig)


def _recorded(rig: Rig) -> int:
    """By the sequence: counting rows would take from the workers."""
    return int(rig.sql("select last_value from dispatcher.attempt_id")[0][0])


def _busy_s() -> float:
    """Seconds of CPU that the machine has spent, all cores together; those that its host took count as well."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / 100


def _cores() -> int:
    return Path("/proc/stat").read_text().count("\ncpu")


def _table(steps: list[Step], machine: dict[str, str]) -> str:
    lines = [
        f"{machine['CPU']}, {machine['cores']} cores for everything; Postgres {machine['Postgres']}",
        "",
        "| workers | deliveries/s | beside half as many | CPU in use | CPU of the workers for one |",
        "|---|---|---|---|---|",
    ]
    before: dict[int, float] = {}
    for step in steps:
        half = before.get(step.workers // 2)
        gain = f"{step.per_second / half:.2f} ×" if half else ""
        lines.append(f"| {step.workers} | {step.per_second:,.0f} | {gain} | {step.busy:.0%} | {step.cpu_ms:.2f} ms |")
        before[step.workers] = step.per_second
    return "\n".join(lines)


def _draw(steps: list[Step], machine: dict[str, str], path: Path) -> None:
    figure, axes = pyplot.subplots(figsize=(6, 3.4), layout="constrained")
    counts, rates = [step.workers for step in steps], [step.per_second for step in steps]
    axes.plot(counts, [rates[0] * count for count in counts], color="#a9a9a9", linestyle="--", label="in proportion")
    axes.plot(counts, rates, color="#1f6f8b", marker="o", label="measured")
    for step in steps:
        text = f"{step.per_second:,.0f}/s\nCPU {step.busy:.0%}"
        axes.annotate(text, (step.workers, step.per_second), xytext=(6, -22), textcoords="offset points", fontsize=8)
    axes.set(xlabel="worker processes", ylabel="deliveries a second", xticks=counts)
    axes.set_title(f"A receiver that takes {DELAY_MS} ms, {machine['cores']} cores for everything", fontsize=10)
    axes.set_xlim(0.7, 4.8)
    axes.set_ylim(0)
    axes.legend(loc="upper left", fontsize=8)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
