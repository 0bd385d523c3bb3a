"""What a user gets: `dispatcher up` as it comes, one POST an event, and the clock of the one who receives.

Bursts to 1, 5 and 50 webhooks, batches of 100 events, and a steady 200 events a second. `up` runs in an empty folder
with its defaults, but for the quota and for receivers on this machine. This process posts, nginx receives; where each
arrival is timed it is a receiver of ours. A burst's clock runs from its first POST to its last arrival, that of a
steady rate from the moment a POST was due. `python -m bench.outside` prints the table by itself.
"""

import json
import signal
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import load
from bench.http_emits import Api
from bench.latency import percentile
from bench.receiver import Receiver, free_port
from bench.rig import say, wait_until
from tests.support.ports import status
from tests.support.processes import PROGRAMS, Program, clean_environment, cpu_s

_SETTINGS = {"DISPATCHER_ALLOWED_NETWORKS": "127.0.0.0/8", "DISPATCHER_EMIT_QUOTA": "1000000000"}
# A word in the command line of one of `up`'s processes → its name; the one with none of them is the web server.
_NAMES = {"postgres": "Postgres", "valkey": "Valkey", "flower": "Flower", ".slow": "slow worker", "celery": "worker"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """So many requests of `batch` events each, for an account with so many `webhooks`; as fast as may be, or evenly.

    `others`: deliveries a second of the best other system in docs/comparison.md, which means something on a machine
    like that one only; `target`: the promise, in multiples of it.
    """

    name: str
    requests: int
    others: int | None = None
    target: int | None = None
    webhooks: int = 1
    batch: int = 1
    per_second: int | None = None


LOADS = (
    Load(name="burst, 1 webhook", requests=10_000, others=881, target=3),
    Load(name="burst, 5 webhooks", requests=3_000, webhooks=5, others=1_535, target=4),
    Load(name="burst, 50 webhooks", requests=400, webhooks=50, others=2_692, target=4),
    Load(name="batches of 100, 1 webhook", requests=300, batch=100, others=881, target=15),
    Load(name="steady 200/s, 1 webhook", requests=4_000, per_second=200),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outside:
    """One load's figures. `complete`: each delivery arrived. `cpu_s`: one of `up`'s processes → seconds.

    Sorted milliseconds: `post_ms` until the 202, `arrival_ms` until the delivery was there, where that was timed.
    """

    name: str
    events: int
    deliveries: int
    seconds: float
    complete: bool
    cpu_s: dict[str, float]
    post_ms: list[float]
    arrival_ms: list[float]

    @property
    def per_second(self) -> float:
        """Deliveries a second."""
        return self.deliveries / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Of all processes, for one event with its deliveries."""
        return sum(self.cpu_s.values()) * 1000 / self.events


class Up:
    """A `dispatcher up` that runs, as somebody on this machine sees it: commands, HTTP and /proc."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        variables = _SETTINGS | {"PORT": str(port), "FLOWER_PORT": str(free_port())}
        self._program = Program([PROGRAMS / "dispatcher", "up"], cwd=folder, env=variables, log=folder / "up.log")

    def is_ready(self) -> bool:
        """Whether it takes requests; raises RuntimeError where it has ended."""
        if self._program.ended:
            raise RuntimeError(f"`dispatcher up` ended: {self._program.output[-2000:]}")
        return status(f"http://127.0.0.1:{self.port}/readyz") == 200

    def account(self, slug: str, urls: Sequence[str]) -> Api:
        """A new account with a webhook for each of `urls`."""
        self._call("account", "create", slug)
        client = json.loads(self._call("client", "create", "--account", slug, "--json"))
        root = f"http://127.0.0.1:{self.port}/api/v3"
        api = Api(self._program.pid, root, slug, client["client_id"], client["client_secret"])
        for url in urls:
            api.create_webhook(url)
        return api

    def cpu_s(self) -> dict[str, float]:
        """Process → CPU seconds used so far; empty where the system has no /proc."""
        used: defaultdict[str, float] = defaultdict(float)
        for task in Path(f"/proc/{self._program.pid}/task").glob("*/children"):
            for pid in task.read_text().split():
                words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
                used[next((name for word, name in _NAMES.items() if word in words), "web")] += cpu_s(int(pid))
        return used

    def stop(self) -> None:
        """Ends it in order."""
        self._program.send(signal.SIGTERM)
        self._program.wait(60)

    def _call(self, *arguments: str) -> str:
        command = [str(PROGRAMS / "dispatcher"), *arguments]
        done = subprocess.run(command, cwd=self.folder, env=clean_environment(), check=True, stdout=subprocess.PIPE)
        return done.stdout.decode()


@contextmanager
def up(folder: Path) -> Iterator[Up]:
    """It runs for the time of the block."""
    folder.chmod(0o711)  # as root, Postgres runs as another user, who must get through to its data
    started = Up(folder, free_port())
    try:
        wait_until("`dispatcher up` is ready", started.is_ready)
        yield started
    finally:
        started.stop()


def measure(folder: Path, share: float = 1.0) -> list[Outside]:
    """Each load, one after the other, on one installation."""
    with up(folder) as running:
        return [_run(running, each, share, f"account{number}") for number, each in enumerate(LOADS)]


def _run(running: Up, each: Load, share: float, slug: str) -> Outside:
    """After a warm-up of a tenth."""
    requests = max(64, int(each.requests * share))
    with Receiver(running.folder, stamping=each.per_second is not None, logging=True) as receiver:
        api = running.account(slug, [receiver.url()] * each.webhooks)
        _post(api, receiver, each, range(requests, requests + requests // 10))
        earlier, used, began_s = receiver.arrivals(), running.cpu_s(), time.monotonic()
        stamps = _post(api, receiver, each, range(requests))
        used = {name: after_s - used.get(name, 0.0) for name, after_s in running.cpu_s().items()}
        arrivals = {key: at_s for key, at_s in receiver.arrivals().items() if key not in earlier}
    done = Outside(
        name=each.name,
        events=requests * each.batch,
        deliveries=requests * each.batch * each.webhooks,
        seconds=max(arrivals.values()) - began_s,
        complete=len(arrivals) == requests * each.batch * each.webhooks,
        cpu_s=used,
        post_ms=sorted((answered_s - due_s) * 1000 for due_s, answered_s in stamps),
        arrival_ms=sorted((arrivals[_mark(number)] - stamps[number][0]) * 1000 for number in range(requests))
        if each.per_second
        else [],
    )
    say(f"from outside, {each.name}: {done.per_second:,.0f}/s, {done.cpu_ms:.2f} ms of CPU an event")
    return done


def _post(api: Api, receiver: Receiver, each: Load, numbers: range) -> list[tuple[float, float]]:
    """Posts a request for each number and waits until all that it leads to has arrived."""
    expected = receiver.arrived() + len(numbers) * each.batch * each.webhooks
    invoice = {**load.body()["invoice"], "private_note": _mark(0)}
    one = json.dumps({"name": load.EVENT, "body": {**load.body(), "invoice": invoice}})
    body = (one if each.batch == 1 else f"[{','.join([one] * each.batch)}]").encode()
    stamps = api.post(
        lambda sent: body.replace(_mark(0).encode(), _mark(numbers[sent]).encode()) if each.per_second else body,
        len(numbers),
        per_second=each.per_second,
    )
    wait_until("all have arrived", lambda: receiver.arrived() >= expected, within_s=120.0, every_s=0.2)
    return stamps


def _mark(number: int) -> str:
    """What tells one request's event from another's, in the body: our receiver notes it."""
    return f"bench {number}"


def table(results: Sequence[Outside]) -> Table:
    """A row for each load; CPU in milliseconds for an event, of all processes and of each."""
    of_loads = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    processes = sorted({name for each in results for name in each.cpu_s})
    for title in (
        "over HTTP, from outside",
        "deliveries/s",
        "POST p50 / p95",
        "to arrival p50 / p95",
        "CPU ms",
        *processes,
    ):
        of_loads.add_column(title, justify="left" if title.startswith("over") else "right")
    for each in results:
        of_loads.add_row(
            each.name if each.complete else f"{each.name}: NOT COMPLETE",
            f"{each.per_second:,.0f}",
            _span(each.post_ms),
            _span(each.arrival_ms),
            f"{each.cpu_ms:.2f}",
            *(f"{each.cpu_s.get(name, 0.0) * 1000 / each.events:.2f}" for name in processes),
        )
    return of_loads


def _span(ms: list[float]) -> str:
    return f"{percentile(ms, 0.5):.1f} / {percentile(ms, 0.95):.1f} ms" if ms else ""


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory(prefix="dispatcher-bench-") as folder:
        Console(width=150).print(table(measure(Path(folder))))


if __name__ == "__main__":
    main()
