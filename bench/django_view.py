"""What an emit adds to a view of Django's: two views of one process, asked in turn over HTTP, of which one emits.

Both store a row in a transaction, on psycopg 3. A worker fans the events out meanwhile; nobody subscribed to them.
`python -m bench.django_view` measures just this.
"""

import http.client
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench import load
from bench.latency import percentile
from bench.receiver import free_port
from bench.rig import Rig, running, say, wait_until
from tests.support.ports import status

REQUESTS = 1_500
"""To each view."""
KEPT, NEW = "connections kept", "a connection for each request"


@dataclass(frozen=True, kw_only=True, slots=True)
class DjangoView:
    """Sorted milliseconds from request to response, of the view that emits and of the other one."""

    name: str
    emitting_ms: list[float]
    plain_ms: list[float]

    def added_ms(self, share: float) -> float:
        """What the emit adds to that percentile."""
        return percentile(self.emitting_ms, share) - percentile(self.plain_ms, share)


def measure(rig: Rig, share: float) -> list[DjangoView]:
    """On empty tables, after a warm-up: with connections that Django keeps, and with a new one for each request."""
    rig.empty()
    load.make_accounts(rig, 1, [], "shop")
    rig.sql("create table if not exists shop_order (id bigserial primary key, total int not null)")
    with rig.workers(1):
        return [_measure(name, max(200, int(count * share))) for name, count in ((KEPT, REQUESTS), (NEW, 500))]


def _measure(name: str, count: int) -> DjangoView:
    port, kept_s = free_port(), "600" if name == KEPT else "0"
    with running([sys.executable, "-m", "bench.django_shop", str(port)], {"CONN_MAX_AGE": kept_s}) as process:
        wait_until("Django answers", lambda: status(f"http://127.0.0.1:{port}/plain") == 200, processes=[process])
        client = http.client.HTTPConnection("127.0.0.1", port)
        _ask(client, 100)
        spans = _ask(client, count)
    result = DjangoView(name=name, emitting_ms=sorted(spans["/emitting"]), plain_ms=sorted(spans["/plain"]))
    percentiles = ", ".join(f"p{at * 100:.0f} {result.added_ms(at):.2f} ms" for at in (0.5, 0.95))
    say(f"an emit in a view of Django's adds, {name}: {percentiles}")
    return result


def _ask(client: http.client.HTTPConnection, count: int) -> dict[str, list[float]]:
    spans: dict[str, list[float]] = {"/emitting": [], "/plain": []}
    for _ in range(count):
        for path, ms in spans.items():
            began_s = time.monotonic()
            client.request("POST", path)
            response = client.getresponse()
            response.read()
            client.close()
            ms.append((time.monotonic() - began_s) * 1000)
            if response.status != 200:
                raise RuntimeError(f"{path} answered {response.status}")
    return spans


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory(prefix="dispatcher-bench-") as folder, Rig(Path(folder)) as rig:
        for result in measure(rig, 1.0):
            for name, ms in (("with the emit", result.emitting_ms), ("without it", result.plain_ms)):
                percentiles = ", ".join(f"p{at * 100:.0f} {percentile(ms, at):.2f} ms" for at in (0.5, 0.95, 0.99))
                print(f"{result.name}, {name}: {percentiles}")


if __name__ == "__main__":
    main()
