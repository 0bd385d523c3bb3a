"""The results: bars with what was measured, a table for people, JSON for programs."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import outside
from bench.django_view import DjangoView
from bench.http_emits import Emits
from bench.idle import Idle
from bench.isolation import WEBHOOKS, Isolation
from bench.latency import Latency, percentile
from bench.memory import Memory
from bench.outside import LOADS, Outside
from bench.throughput import Throughput
from bench.yardsticks import Yardstick

_SHARES = (0.5, 0.95, 0.99)


@dataclass(kw_only=True, slots=True)
class Results:
    """Everything one run measured."""

    quick: bool
    machine: dict[str, str]
    throughput: list[Throughput]
    bare_loop: Yardstick
    one_task: list[Yardstick]
    latency: list[Latency]
    idle: Idle
    memory: Memory | None
    emits: list[Emits]
    isolation: list[Isolation]
    django_view: list[DjangoView]
    outside: list[Outside] = dataclasses.field(default_factory=list)
    chain: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    took_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One promise: `measured` is to be at least, or with `at_most` at most, `target`."""

    what: str
    measured: float
    target: float
    unit: str
    at_most: bool = False

    @property
    def passed(self) -> bool:
        """Whether the promise is kept."""
        return self.measured <= self.target if self.at_most else self.measured >= self.target


def bars(results: Results) -> Iterator[Bar]:
    """The promises: first what is seen over HTTP. The other throughput is that of 20,000 events × 3 webhooks."""
    yield from _outside_bars(results.outside)
    main = results.throughput[1].per_second
    yield Bar(
        what=f"recorded, signed deliveries ({results.throughput[1].name})", measured=main, target=8_000, unit="/s"
    )
    yield Bar(
        what=f"beside {results.one_task[0].name}", measured=main / results.one_task[0].per_second, target=15, unit=" ×"
    )
    yield Bar(
        what=f"beside the {results.bare_loop.name}",
        measured=main / results.bare_loop.per_second,
        target=0.18,
        unit=" ×",
    )
    for latency in results.latency:
        for share, target_ms in ((0.5, 20.0), (0.95, 40.0)):
            what = f"commit to arrival at {latency.per_second} events/s, p{share * 100:.0f}"
            yield Bar(what=what, measured=latency.percentile(share), target=target_ms, unit=" ms", at_most=True)
    healthy = results.isolation[0].p95_ms
    for isolation, target in zip(results.isolation[1:], (1.1, 1.25), strict=True):
        yield Bar(
            what=f"p95 of the others while {isolation.hanging} of {WEBHOOKS} webhooks hang, beside none",
            measured=isolation.p95_ms / healthy,
            target=target,
            unit=" ×",
            at_most=True,
        )
    for emits in results.emits:
        yield Bar(
            what=f"events accepted by HTTP, {emits.name}", measured=emits.per_second, target=emits.target, unit="/s"
        )
    view = results.django_view[0]
    what = f"an emit in a view of Django's adds to its p50, {view.name}"
    yield Bar(what=what, measured=view.added_ms(0.5), target=1.5, unit=" ms", at_most=True)
    idle = results.idle
    yield Bar(what="idle worker, Redis commands", measured=idle.redis_per_second, target=10, unit="/s", at_most=True)
    yield Bar(
        what="idle worker, Postgres transactions", measured=idle.postgres_per_second, target=2, unit="/s", at_most=True
    )


def _outside_bars(results: Sequence[Outside]) -> Iterator[Bar]:
    for load, each in zip(LOADS, results, strict=True):
        if load.others and load.target:
            what = f"{each.name}: beside {load.others:,}/s of the best other system"
            yield Bar(what=what, measured=each.per_second / load.others, target=load.target, unit=" ×")
    burst, steady = results[0], results[-1]
    for what, measured, target_ms in (
        (f"{steady.name}: POST, p95", percentile(steady.post_ms, 0.95), 10.0),
        (f"{steady.name}: publish to arrival, p50", percentile(steady.arrival_ms, 0.5), 8.0),
        (f"{steady.name}: publish to arrival, p95", percentile(steady.arrival_ms, 0.95), 20.0),
        (f"{steady.name}: CPU an event", steady.cpu_ms, 1.5),
        (f"{burst.name}: CPU an event", burst.cpu_ms, 1.2),
    ):
        yield Bar(what=what, measured=measured, target=target_ms, unit=" ms", at_most=True)


def show(results: Results) -> None:
    """Prints it all."""
    console = Console(width=None if Console().is_terminal else 140, highlight=False)
    console.print()
    for name, value in results.machine.items():
        console.print(f"[dim]{name:12}[/] {value}")
    console.print()
    console.print(outside.table(results.outside))
    console.print()
    console.print(_figures(results))
    console.print()
    console.print(_promises(results))
    console.print()
    console.print(
        "Throughput: the backlog was in the outbox beforehand; the clock ran from the nudge of idle, running workers\n"
        "until the last attempt was committed in Postgres. The first version's tasks were published beforehand, and\n"
        "its clock ran from its first record to its last. The bare loop neither signs nor stores."
    )
    if results.quick:
        console.print("[yellow]--quick: a tenth of the load; too short for figures to quote.[/]")
    console.print(f"took {results.took_s:.0f} s")


def write(results: Results, folder: Path) -> list[Path]:
    """results.json in `folder`; samples of latency are cut to percentiles."""
    folder.mkdir(parents=True, exist_ok=True)
    report = dataclasses.asdict(results)
    for of, values in zip(report["throughput"], results.throughput, strict=True):
        of["per_second"] = values.per_second
    for of, latency in zip(report["latency"], results.latency, strict=True):
        for name in ("ms", "emit_ms"):
            of[name] = {f"p{share * 100:.0f}": percentile(getattr(latency, name), share) for share in _SHARES}
    for of, each in zip(report["outside"], results.outside, strict=True):
        of |= {"per_second": each.per_second, "cpu_ms": each.cpu_ms}
        for name in ("post_ms", "arrival_ms"):
            ms = getattr(each, name)
            of[name] = {f"p{share * 100:.0f}": percentile(ms, share) for share in _SHARES} if ms else {}
    for of, emits in zip(report["emits"], results.emits, strict=True):
        of["per_second"] = emits.per_second
    for of, isolation in zip(report["isolation"], results.isolation, strict=True):
        of["ms"] = {f"p{share * 100:.0f}": percentile(isolation.ms, share) for share in _SHARES}
    for of, view in zip(report["django_view"], results.django_view, strict=True):
        for name in ("emitting_ms", "plain_ms"):
            of[name] = {f"p{share * 100:.0f}": percentile(getattr(view, name), share) for share in _SHARES}
    report["bars"] = [dataclasses.asdict(bar) | {"passed": bar.passed} for bar in bars(results)]
    path = folder / "results.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return [path]


def _figures(results: Results) -> Table:
    table = Table("measure", "figure", "note", box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for each in results.throughput:
        cost = f"{each.cpu_seconds / each.deliveries * 1e6:.0f} µs of the workers' CPU each" if each.cpu_seconds else ""
        note = cost if each.complete else "NOT COMPLETE: some were not delivered, or twice"
        table.add_row(f"recorded deliveries, {each.name}", f"{each.per_second:,.0f}/s", note)
    for yardstick in (*results.one_task, results.bare_loop):
        table.add_row(yardstick.name, f"{yardstick.per_second:,.0f}/s", f"{yardstick.count:,} POSTs")
    for latency in results.latency:
        percentiles = ", ".join(f"p{share * 100:.0f} {latency.percentile(share):.1f}" for share in _SHARES)
        emit = f"one emit with its commit: {percentile(latency.emit_ms, 0.5):.1f} ms"
        table.add_row(f"commit to arrival, {latency.per_second} events/s", f"{percentiles} ms", f"1 worker; {emit}")
    for isolation in results.isolation:
        percentiles = f"p50 {percentile(isolation.ms, 0.5):.1f}, p95 {isolation.p95_ms:.1f} ms"
        table.add_row(
            f"the same, {isolation.hanging} of {WEBHOOKS} webhooks hanging", percentiles, "1 worker, 1 slow worker"
        )
    for emits in results.emits:
        note = "committed; the workers stopped" if emits.complete else "NOT COMPLETE: some were lost, or stored twice"
        table.add_row(f"emits by HTTP, {emits.name}", f"{emits.per_second:,.0f}/s", note)
    for view in results.django_view:
        note = f"p50 {percentile(view.plain_ms, 0.5):.2f} ms without it; {view.name}"
        table.add_row("a view of Django's that emits", f"+{view.added_ms(0.5):.2f} ms", note)
    memory = results.memory
    if memory:
        note = f"{memory.idle_mb:.0f} MB idle; {memory.drained:,} delivered while watched"
        table.add_row(f"worker's memory, {memory.backlog:,} waiting", f"{memory.peak_mb:.0f} MB at most", note)
    return table


def _promises(results: Results) -> Table:
    table = Table(
        "promise", "measured", "target", "", box=None, pad_edge=False, header_style="bold", title_justify="left"
    )
    for bar in bars(results):
        sign = "≤" if bar.at_most else "≥"
        verdict = "[green]pass[/]" if bar.passed else "[red]miss[/]"
        table.add_row(bar.what, f"{_short(bar.measured)}{bar.unit}", f"{sign} {_short(bar.target)}{bar.unit}", verdict)
    return table


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
