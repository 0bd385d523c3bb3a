"""`dispatcher replay`: one delivery once more, or many as a job that the workers carry on and this follows."""

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dispatcher.cli.backend import JSON, Backend, account_option, backend
from dispatcher.cli.output import json_option, print_json, print_table
from schemas import EVENT_TYPES
from schemas.api.replay import STATES
from schemas.wire.catalogue import OPERATIONAL_EVENTS

POLL_S = 0.5
_NAMES = click.Choice([*EVENT_TYPES, *sorted(OPERATIONAL_EVENTS)])
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
    type=_NAMES,
    multiple=True,
    metavar="NAME",
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
    resume: int | None, as_list: bool, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Redeliver DELIVERY (id or Idempotency-Key) with the same key and a new series of attempts.

    With --since, replay many deliveries: the failed ones of an account, or those selected by the options. Workers do
    this in the background; live deliveries take priority. Ctrl-C stops following the replay, not the replay itself.
    """
    _check_one_thing_is_asked(delivery, follow, stop, resume, as_list or None, given["since"])
    _check_options(given, new=given["since"] is not None, dry_run=dry_run)
    acting = backend()
    if delivery is not None:
        found = acting.replay(slug, delivery)
        print_json(found) if as_json else print(f"delivery {found['id']} is pending again")
    elif as_list:
        _list(acting.replays(slug), as_json)
    elif stop is not None:
        _show(acting.stop_replay(slug, stop), as_json)
    elif dry_run:
        matched = acting.count_replay(slug, _given(given))
        print_json({"matched": matched}) if as_json else print(f"{matched} deliveries would be replayed")
    else:
        found = _found(acting, slug, follow, resume, given)
        if no_wait:
            print_json(found) if as_json else _show(found, as_json=False)
        else:
            _follow(acting, slug, found, as_json)


def _check_one_thing_is_asked(*values: object) -> None:
    asked = [name for name, value in zip(_EXCLUDING, values, strict=True) if value is not None]
    if not asked:
        raise click.UsageError("Missing argument 'DELIVERY', or option '--since'.")
    if len(asked) > 1:
        raise click.UsageError(f"{asked[0]} and {asked[1]} are mutually exclusive.")


def _check_options(given: dict[str, Any], *, new: bool, dry_run: bool) -> None:
    if not new and (dry_run or any(given.values())):
        raise click.UsageError("Options that select deliveries require --since.")


def _given(options: dict[str, Any]) -> JSON:
    """The options as a replay's attributes (schemas.api.replay); those that were not given are left out."""
    given = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    return {name: value for name, value in given.items() if value is not None and value != []}


def _found(backend: Backend, slug: str | None, follow: int | None, resume: int | None, given: dict[str, Any]) -> JSON:
    if follow is not None:
        return backend.replay_job(slug, follow)
    if resume is not None:
        return backend.resume_replay(slug, resume)
    return backend.start_replay(slug, _given(given))


def _follow(backend: Backend, slug: str | None, found: JSON, as_json: bool) -> None:
    """Shows the replay whenever it got on, until it has ended; Ctrl-C leaves it running (exit code 130)."""
    bar = _Bar(found) if is_terminal() and not as_json else None
    show: Callable[[JSON], None] = bar.show if bar else _Lines(as_json).show
    try:
        show(found)
        while found["state"] == "running":
            time.sleep(POLL_S)
            found = backend.replay_job(slug, found["id"])
            show(found)
    except KeyboardInterrupt:
        account = f" --account {slug}" if slug else ""
        print(
            f"replay {found['id']} continues. Follow it: dispatcher replay{account} --follow {found['id']};"
            f" stop it: dispatcher replay{account} --stop {found['id']}",
            file=sys.stderr,
        )
        sys.exit(130)
    finally:
        if bar:
            bar.end()


def is_terminal() -> bool:
    """Whether somebody looks on."""
    return sys.stdout.isatty()


class _Bar:
    """For a terminal."""

    def __init__(self, found: JSON) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns)
        self._task = self._progress.add_task(f"replay {found['id']}", total=found["matched"])
        self._progress.start()

    def show(self, found: JSON) -> None:
        self._progress.update(self._task, completed=found["sent"], description=f"replay {found['id']} {found['state']}")

    def end(self) -> None:
        self._progress.stop()


class _Lines:
    """For a file: a line, of text or JSON, whenever something has changed."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._last: tuple[object, object] | None = None

    def show(self, found: JSON) -> None:
        if self._last != (now := (found["sent"], found["state"])):
            self._last = now
            _show(found, self._as_json)


def _show(found: JSON, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, ensure_ascii=False), flush=True)
    else:
        print(f"replay {found['id']} {found['state']}: {found['sent']} of {found['matched']} sent", flush=True)


def _list(found: list[JSON], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    print_table(
        ["id", "state", "sent", "matched", "webhook", "events", "of", "since", "until", "created"],
        [
            (
                one["id"],
                one["state"],
                one["sent"],
                one["matched"],
                one["webhook_id"] or "all",
                ", ".join(one["event_names"] or ["all"]),
                "missed" if one["missed"] else ", ".join(one["states"]),
                *(datetime.fromisoformat(one[name]) for name in ("since", "until", "created_at")),
            )
            for one in found
        ],
        empty="no replays",
    )
