"""Commit to arrival, at a steady rate with a commit for each event: what a user waits for a webhook.

The emitter and the receiver stamp CLOCK_MONOTONIC, which all processes of one machine share.
"""

import json
import subprocess
import sys
from dataclasses import dataclass

from bench import load
from bench.receiver import Receiver, clock_is_shared
from bench.rig import ROOT, Rig, say, wait_until

RATES = (20, 200)
"""Events a second: unloaded, and the promise's rate."""
WEBHOOKS = 20
WORKERS = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """Milliseconds, sorted: `ms` from commit to arrival, `emit_ms` of the call of `emit` itself."""

    per_second: int
    webhooks: int
    ms: list[float]
    emit_ms: list[float]

    def percentile(self, share: float) -> float:
        """The time within which that share of the deliveries arrived."""
        return percentile(self.ms, share)


def percentile(values: list[float], share: float) -> float:
    """Of sorted `values`, by nearest rank."""
    return values[min(len(values) - 1, int(share * len(values)))]


def measure(rig: Rig, share: float) -> list[Latency]:
    """Each rate for some seconds, over a few webhooks in turn, with one worker."""
    if not clock_is_shared():
        raise RuntimeError("this system's monotonic clock is not shared by processes")
    return [at_rate(rig, per_second, max(3.0, 10 * share)) for per_second in RATES]


def at_rate(rig: Rig, per_second: int, span_s: float, webhooks: int = WEBHOOKS) -> Latency:
    """One rate, on empty tables."""
    count = int(per_second * span_s)
    rig.empty()
    with Receiver(rig.folder, stamping=True) as receiver, rig.workers(WORKERS):
        load.make_accounts(rig, webhooks, [receiver.url()], "paced")
        command = [sys.executable, "-m", "bench.pacing", str(per_second), str(count), str(webhooks)]
        emitted = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
        wait_until("all have arrived", lambda: rig.sql("select count(*) from dispatcher.attempts")[0][0] > count)
        arrived = receiver.arrivals()
    keys = {
        str(event): str(key) for event, key in rig.sql("select event_id, idempotency_key from dispatcher.deliveries")
    }
    latency = Latency(
        per_second=per_second,
        webhooks=webhooks,
        ms=sorted((arrived[keys[event]] - stamps[1]) * 1000 for event, stamps in emitted.items()),
        emit_ms=sorted((stamps[1] - stamps[0]) * 1000 for stamps in emitted.values()),
    )
    percentiles = ", ".join(f"p{at * 100:.0f} {latency.percentile(at):.1f} ms" for at in (0.5, 0.95))
    say(f"commit to arrival at {per_second} events/s: {percentiles}")
    return latency
