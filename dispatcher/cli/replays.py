"""`dispatcher replay`: one delivery again, or many as a job that workers run and this command follows."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dispatcher.cli.backend import Backend, backend
from dispatcher.cli.options import EventName, account_option, json_option, named_options
from dispatcher.cli.output import Column, show, show_list, time_of
from dispatcher.schemas.api.replay import STATES

JSON = dict[str, Any]

POLL_S = 0.5
_EXCLUDING = ("DELIVERY", "--follow", "--stop", "--resume", "--list", "--since")


@click.command()
@click.argument("delivery", required=False)
@account_option
@click.option("--since", metavar="T", help="Deliveries created at or after this time (ISO 8601 with an offset).")
@click.option("--until", metavar="T", help="Deliveries created before this time. Default: now.")
@click.option("--webhook", "webhook_id", type=int, metavar="ID", help="Only this webhook's.")
@click.option(
    "--event",
    "event_names",
    type=EventName(),
    multiple=True,
    help="Only deliveries of this event. May be repeated.",
)
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Default: failed. May be repeated.")
@click.option("--rate", type=int, metavar="N", help="Maximum deliveries per second.")
@click.option(
    "--new-key", is_flag=True, help="Create new deliveries of the same events, each with a new Idempotency-Key."
)
@click.option("--missed", is_flag=True, help="Replay events that the webhook subscribes to but has no delivery for.")
@click.option("--dry-run", is_flag=True, help="Only count the matching deliveries.")
@click.option("--no-wait", is_flag=True, help="Return without following the replay.")
@click.option("--follow", type=int, metavar="ID", help="Show the progress of a replay until it ends.")
@click.option("--stop", type=int, metavar="ID", help="Stop a replay.")
@click.option("--resume", type=int, metavar="ID", help="Resume a stopped replay and follow it.")
@click.option("--list", "as_list", is_flag=True, help="List the account's newest replays.")
@json_option
def replay(
    delivery: str | None, slug: str | None, dry_run: bool, no_wait: bool, follow: int | None, stop: int | None,
    resume: int | None, as_list: bool, as_json: bool, **criteria: Any,
) -> None:  # fmt: skip
    """Redeliver DELIVERY (id or Idempotency-Key) with the same key and a new series of attempts.

    With --since, replay many deliveries: the failed ones of an account, or those selected by the options. Workers do
    this in the background; live deliveries take priority. Ctrl-C stops following the replay, not the replay itself.
    """
    _check_exclusive(delivery, follow, stop, resume, as_list or None, criteria["since"])
    if criteria["since"] is None and (dry_run or any(criteria.values())):
        raise click.UsageError("Options that select deliveries require --since.")
    target = backend()
    if delivery is not None:
        redelivered = target.redeliver(slug, delivery)
        show(redelivered, as_json, f"delivery {redelivered['id']} is pending again")
    elif as_list:
        show_list(target.replays(slug), as_json, _COLUMNS, empty="no replays")
    elif stop is not None:
        _print_progress(target.stop_replay(slug, stop), as_json)
    elif dry_run:
        matched = target.count_replay(slug, named_options(criteria))
        show({"matched": matched}, as_json, f"{matched} deliveries would be replayed")
    else:
        job = _job(target, slug, follow, resume, criteria)
        if no_wait:
            show(job, as_json, _progress(job))
        else:
            _follow(target, slug, job, as_json)


def _check_exclusive(*values: object) -> None:
    present = [name for name, value in zip(_EXCLUDING, values, strict=True) if value is not None]
    if not present:
        raise click.UsageError("Missing argument 'DELIVERY', or option '--since'.")
    if len(present) > 1:
        raise click.UsageError(f"{present[0]} and {present[1]} are mutually exclusive.")


def _job(target: Backend, slug: str | None, follow: int | None, resume: int | None, criteria: dict[str, Any]) -> JSON:
    if follow is not None:
        return target.replay(slug, follow)
    if resume is not None:
        return target.resume_replay(slug, resume)
    return target.start_replay(slug, named_options(criteria))


def _follow(target: Backend, slug: str | None, job: JSON, as_json: bool) -> None:
    """Shows the job's progress until it has ended; Ctrl-C leaves it running (exit code 130)."""
    bar = _Bar(job) if is_terminal() and not as_json else None
    update: Callable[[JSON], None] = bar.show if bar else _Lines(as_json).show
    try:
        update(job)
        while job["state"] == "running":
            time.sleep(POLL_S)
            job = target.replay(slug, job["id"])
            update(job)
    except KeyboardInterrupt:
        account = f" --account {slug}" if slug else ""
        print(
            f"replay {job['id']} continues. Follow it: dispatcher replay{account} --follow {job['id']};"
            f" stop it: dispatcher replay{account} --stop {job['id']}",
            file=sys.stderr,
        )
        sys.exit(130)
    finally:
        if bar:
            bar.end()


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


class _Bar:
    """For a terminal."""

    def __init__(self, job: JSON) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns)
        self._task = self._progress.add_task(f"replay {job['id']}", total=job["matched"])
        self._progress.start()

    def show(self, job: JSON) -> None:
        self._progress.update(self._task, completed=job["sent"], description=f"replay {job['id']} {job['state']}")

    def end(self) -> None:
        self._progress.stop()


class _Lines:
    """For a file: a line, of text or JSON, for each change."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._last: tuple[object, object] | None = None

    def show(self, job: JSON) -> None:
        if self._last != (now := (job["sent"], job["state"])):
            self._last = now
            _print_progress(job, self._as_json)


def _print_progress(job: JSON, as_json: bool) -> None:
    print(json.dumps(job, ensure_ascii=False) if as_json else _progress(job), flush=True)


def _progress(job: JSON) -> str:
    return f"replay {job['id']} {job['state']}: {job['sent']} of {job['matched']} sent"


_COLUMNS: dict[str, Column] = {
    "id": "id",
    "state": "state",
    "sent": "sent",
    "matched": "matched",
    "webhook": lambda job: job["webhook_id"] or "all",
    "events": lambda job: ", ".join(job["event_names"] or ["all"]),
    "of": lambda job: "missed" if job["missed"] else ", ".join(job["states"]),
    "since": time_of("since"),
    "until": time_of("until"),
    "created": time_of("created_at"),
}
