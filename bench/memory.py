"""A worker's memory, idle and with a long backlog: it must not depend on what waits."""

import time
from dataclasses import dataclass
from pathlib import Path

from bench import load, throughput
from bench.receiver import Receiver
from bench.rig import Rig, say
from tests.support.processes import resident_mb

BACKLOG = 200_000
WEBHOOKS = 20
SPAN_S = 10.0

_LAY_DOWN = """
insert into dispatcher.deliveries (id, event_id, webhook_id, idempotency_key)
select id, event_id, webhook_id, dispatcher.new_idempotency_key(id) from (
    select nextval('dispatcher.delivery_id') as id, e.id as event_id, w.id as webhook_id
    from dispatcher.events e cross join dispatcher.webhooks w) made
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Resident megabytes of one worker: idle after some work, and (seconds, MB) while `backlog` deliveries waited."""

    backlog: int
    idle_mb: float
    samples: list[tuple[float, float]]
    drained: int

    @property
    def peak_mb(self) -> float:
        """The most it had while the backlog waited."""
        return max(mb for _, mb in self.samples)


def measure(rig: Rig, receiver: Receiver, share: float) -> Memory | None:
    """Lets one worker drain for some seconds; None where the system has no /proc."""
    if not Path("/proc/self/statm").exists():
        return None
    with rig.workers(1) as (pid,):
        throughput.warm_up(rig, receiver)
        time.sleep(1.0)
        idle_mb = resident_mb(pid)
        backlog = _lay_down(rig, receiver, int(BACKLOG * share))
        rig.container.reconciler.reconcile()
        samples = _watch(pid, max(3.0, SPAN_S * share))
        drained = rig.sql("select count(*) from dispatcher.attempts")[0][0]
    memory = Memory(backlog=backlog, idle_mb=idle_mb, samples=samples, drained=drained)
    say(f"worker's memory: {memory.idle_mb:.0f} MB idle, {memory.peak_mb:.0f} MB with {backlog:,} waiting")
    return memory


def _lay_down(rig: Rig, receiver: Receiver, count: int) -> int:
    rig.empty()
    owner = load.make_accounts(rig, 1, [receiver.url()] * WEBHOOKS)
    load.record_events(rig, owner, count // WEBHOOKS)
    rig.sql("truncate dispatcher.events_waiting")
    rig.sql(_LAY_DOWN)
    return int(rig.sql("select count(*) from dispatcher.deliveries_waiting")[0][0])


def _watch(pid: int, span_s: float) -> list[tuple[float, float]]:
    began_s = time.monotonic()
    samples = []
    while (since_s := time.monotonic() - began_s) < span_s:
        samples.append((round(since_s, 2), resident_mb(pid)))
        time.sleep(0.1)
    return samples
