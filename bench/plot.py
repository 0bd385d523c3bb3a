"""The results as a picture: throughput beside the yardsticks, latency, memory."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # draws into a file; no screen is needed

from matplotlib import pyplot

from bench.report import Results

_LABEL = {"facecolor": "white", "edgecolor": "none", "pad": 1}
_OURS, _OTHERS, _PROMISE, _TAKEN = "#1f6f8b", "#a9a9a9", "#c0392b", "#7fb069"


def draw(results: Results, folder: Path) -> Path:
    """bench.png in `folder`."""
    figure, (left, middle, right) = pyplot.subplots(
        1, 3, figsize=(16, 4.8), layout="constrained", width_ratios=(1.4, 1, 1)
    )
    _throughput(left, results)
    _latency(middle, results)
    _memory(right, results)
    machine = results.machine
    figure.suptitle(f"{machine['CPU']}, {machine['cores']} cores for everything · Postgres {machine['Postgres']}")
    path = folder / "bench.png"
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def _throughput(axes: Any, results: Results) -> None:
    rows = [(each.name, each.per_second, _OURS) for each in results.throughput]
    rows += [(each.name.replace(", ", ",\n", 1), each.per_second, _OTHERS) for each in results.one_task]
    rows.append(("bare libcurl loop,\nstores nothing", results.bare_loop.per_second, _OTHERS))
    rows += [(f"accepted by HTTP,\n{each.name}", each.per_second, _TAKEN) for each in results.emits]
    rows.reverse()
    drawn = axes.barh([name for name, _, _ in rows], [rate for _, rate, _ in rows], color=[color for *_, color in rows])
    axes.bar_label(drawn, labels=[f"{rate:,.0f}" for _, rate, _ in rows], padding=3, bbox=_LABEL)
    axes.axvline(8_000, color=_PROMISE, linestyle="--", linewidth=1)
    axes.margins(x=0.18)
    axes.set(title="Deliveries a second (dashed: promise), and events accepted")


def _latency(axes: Any, results: Results) -> None:
    for latency, color in zip(results.latency, (_OTHERS, _OURS), strict=True):
        count = len(latency.ms)
        reached = [100 * (n + 1) / count for n in range(count)]
        axes.plot(latency.ms, reached, color=color, label=f"{latency.per_second} events/s")
    for share, target in ((50, 20), (95, 40)):
        axes.plot([target], [share], marker="v", color=_PROMISE)
        axes.annotate(f"p{share} ≤ {target} ms", (target, share), xytext=(8, -10), textcoords="offset points")
    axes.set(title="Commit to arrival", xlabel="ms", ylabel="% arrived")
    axes.set_xlim(0, max(60, results.latency[-1].percentile(0.99) * 1.1))
    axes.legend(loc="lower right")


def _memory(axes: Any, results: Results) -> None:
    memory = results.memory
    if memory is None:
        axes.set_axis_off()
        return
    axes.plot([at_s for at_s, _ in memory.samples], [mb for _, mb in memory.samples], color=_OURS, label="draining")
    axes.axhline(memory.idle_mb, color=_OTHERS, linestyle="--", label="idle")
    axes.set(title=f"A worker's memory, {memory.backlog:,} waiting", xlabel="s", ylabel="MB resident")
    axes.set_ylim(0, memory.peak_mb * 1.3)
    axes.legend(loc="lower right")


def draw_growth(history: list[Any], webhooks: list[Any], folder: Path) -> Path:
    """growth.png in `folder`: deliveries a second, and a claim's time, over what is stored."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for axes, steps, what in ((left, history, "attempts"), (right, webhooks, "webhooks")):
        names = [f"{getattr(step, what):,}" for step in steps]
        drawn = axes.bar(names, [step.per_second for step in steps], color=_OURS)
        axes.bar_label(drawn, labels=[f"claim p95\n{step.claim_p95_ms:.1f} ms" for step in steps], padding=3)
        axes.margins(y=0.2)
        axes.set(title=f"Deliveries a second, by stored {what}")
    path = folder / "growth.png"
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path
