"""`python -m bench`: every measure in one run, on servers of its own; prints a report and keeps it in a folder.

    outside      what a user of `dispatcher up` gets over HTTP: bursts, batches, a steady rate
    throughput   recorded, signed deliveries a second, beside the two yardsticks
    latency      commit to arrival, at 200 events a second; and while some receivers hang
    emits        events a second that the API accepts
    view         what an emit adds to a view of Django's
    cost         an idle worker's queries, and its memory with a long backlog
    chain        statements, commands, messages and CPU of one event, from POST to record

A missed bar is a result like any other: the exit code is 0 as long as everything could be measured.
"""

import argparse
import tempfile
import time
from pathlib import Path

from bench import (
    chain,
    django_view,
    http_emits,
    idle,
    isolation,
    latency,
    machine,
    memory,
    outside,
    plot,
    report,
    throughput,
    yardsticks,
)
from bench.receiver import Receiver
from bench.report import Results
from bench.rig import Rig, say


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures the dispatcher on this machine.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the load: a look, not a figure to quote")
    parser.add_argument("--folder", type=Path, default=Path("bench-results"), help="where results are written")
    arguments = parser.parse_args()
    began_s = time.monotonic()
    share = 0.1 if arguments.quick else 1.0
    with tempfile.TemporaryDirectory(prefix="dispatcher-bench-") as temporary:
        from_outside = outside.measure(Path(temporary), share)
    with tempfile.TemporaryDirectory(prefix="dispatcher-bench-") as temporary:
        results = measure(Path(temporary), quick=arguments.quick)
    with tempfile.TemporaryDirectory(prefix="dispatcher-bench-") as temporary:  # servers of its own, which also count
        chains = chain.measure(Path(temporary), share)
    results.outside = from_outside
    results.chain = {each.name: dict(each.rows()) for each in chains}
    results.took_s = time.monotonic() - began_s
    report.show(results)
    chain.show(chains)
    for path in (*report.write(results, arguments.folder), plot.draw(results, arguments.folder)):
        print(f"written: {path}")


def measure(temporary: Path, *, quick: bool) -> Results:
    """All other measures, one after the other, each on empty tables."""
    share = 0.1 if quick else 1.0
    with Rig(temporary) as rig, Receiver(temporary) as receiver:
        say(f"receiver: {receiver.kind}")
        return Results(
            quick=quick,
            machine=machine.describe(rig, receiver.kind),
            throughput=throughput.measure(rig, receiver, share),
            bare_loop=yardsticks.bare_loop(receiver, share),
            one_task=yardsticks.one_task_per_delivery(rig, receiver, share),
            latency=latency.measure(rig, share),
            idle=idle.measure(rig),
            memory=memory.measure(rig, receiver, share),
            emits=http_emits.measure(rig, share),
            isolation=isolation.measure(rig, share),
            django_view=django_view.measure(rig, share),
        )


if __name__ == "__main__":
    main()
