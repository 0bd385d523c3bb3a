"""What receivers that hang do to the others: commit to arrival of the healthy ones, with none, 1 % and 50 % hanging.

A hundred accounts with a webhook each, 200 events a second over all of them in turn, one worker and one slow worker.
The three are measured one after the other, and once more in the opposite order, so that their ratio is that of one
machine at one time, and not of how it changes meanwhile.
"""

import json
import subprocess
import sys
from dataclasses import dataclass

from bench import load
from bench.latency import percentile
from bench.receiver import Receiver
from bench.rig import ROOT, Rig, say, wait_until

WEBHOOKS = 100
PER_SECOND = 200
HANGING = (0, 1, 50)
SPAN_S = 12.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Isolation:
    """Milliseconds of the healthy webhooks' deliveries, sorted, while `hanging` of the webhooks got no answer."""

    hanging: int
    ms: list[float]

    @property
    def p95_ms(self) -> float:
        """The time within which 95 % of them arrived."""
        return percentile(self.ms, 0.95)


def measure(rig: Rig, share: float) -> list[Isolation]:
    """Each share of hanging webhooks for some seconds, twice, on empty tables."""
    ms: dict[int, list[float]] = {hanging: [] for hanging in HANGING}
    for hanging in (*HANGING, *reversed(HANGING)):
        ms[hanging] += _with_hanging(rig, hanging, max(4.0, SPAN_S * share))
    results = [Isolation(hanging=hanging, ms=sorted(times)) for hanging, times in ms.items()]
    for each in results:
        say(f"{each.hanging} of {WEBHOOKS} webhooks hang: p95 of the others {each.p95_ms:.1f} ms")
    return results


def _with_hanging(rig: Rig, hanging: int, span_s: float) -> list[float]:
    count = int(PER_SECOND * span_s)
    rig.empty()
    rig.redis.flushdb()  # what was learnt of the webhooks before
    with Receiver(rig.folder, stamping=True) as receiver, rig.workers(1), rig.slow_worker():
        owners = load.make_accounts(rig, WEBHOOKS, [receiver.url()], "paced")
        ill = [owner.id for owner in owners[:: WEBHOOKS // hanging]][:hanging] if hanging else []
        rig.sql(
            "update dispatcher.webhooks set webhook_url = %s where account_id = any (%s)", [receiver.url("/hang"), ill]
        )
        command = [sys.executable, "-m", "bench.pacing", str(PER_SECOND), str(count), str(WEBHOOKS)]
        emitted = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
        healthy = rig.sql("select id::text from dispatcher.events where not account_id = any (%s)", [ill])
        wait_until("the healthy ones have got theirs", lambda: _delivered(rig) >= len(healthy))
        arrived = receiver.arrivals()
    keys = {
        str(event): str(key) for event, key in rig.sql("select event_id, idempotency_key from dispatcher.deliveries")
    }
    return [(arrived[keys[event]] - emitted[event][1]) * 1000 for (event,) in healthy if event in emitted]


def _delivered(rig: Rig) -> int:
    return int(rig.sql("select count(*) from dispatcher.deliveries where state = 'delivered'")[0][0])
