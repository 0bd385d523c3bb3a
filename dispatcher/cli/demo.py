"""`dispatcher demo`: the whole thing at work, on a bare machine, in half a minute."""

import secrets
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from dispatcher import clock, signals
from dispatcher.access.accounts import create_account
from dispatcher.access.users import create_user, delete_user
from dispatcher.cli.address import flower_address, url_of, web_address
from dispatcher.cli.flower import flower_access
from dispatcher.cli.up import own_command, procfile, take_ports
from dispatcher.container import Container, current_container
from dispatcher.environment import program_environment, set_unset_variables, set_variables
from dispatcher.errors import AccountExists, DispatcherError, ServiceStartFailed, UserNotFound
from dispatcher.local.demo import FAILURES_OF_FLAKY, HOOKS, SETTINGS, SLUG, Arrivals, emitted
from dispatcher.local.embedded import embedded
from dispatcher.local.folder import is_owned, open_private
from dispatcher.local.receiver import Receiver
from dispatcher.model.webhook import Webhook
from dispatcher.processes import child
from dispatcher.processes.procfile import parse_procfile
from dispatcher.storage import migrate
from dispatcher.storage.reads import deliveries
from dispatcher.storage.reads.deliveries import DeliveryRow
from dispatcher.storage.secrets import signing_key
from dispatcher.webhooks import edit

FOLDER = Path(".dispatcher/demo")
GUEST = "guest@dispatcher.example"
SETTLED_WITHIN_S = 60.0


@click.command()
@click.option("--once", is_flag=True, help="Exit when every delivery has finished, with 0 only if all checks passed.")
def demo(once: bool) -> None:
    """Run a demonstration: events from signals to four webhooks, one flaky, one dead, one legacy."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    if is_owned(FOLDER):
        raise ServiceStartFailed("a demo is already running in this folder; stop it first")
    shutil.rmtree(FOLDER, ignore_errors=True)  # each demo begins anew
    commands = parse_procfile(procfile().read_text())
    commands.pop("release", None)
    take_ports(commands)
    with embedded(FOLDER, SETTINGS) as servers:
        set_unset_variables(servers.environment)
        access, sign_in = flower_access(FOLDER)
        set_variables(access)
        container = current_container()
        migrate.upgrade(container.storage)
        arrivals = Arrivals()
        with suppress(KeyboardInterrupt), Receiver(arrivals.answer) as receiver:
            webhooks = _webhooks(container, receiver.url, arrivals)
            try:
                with _processes(console, commands, FOLDER / "log"):
                    as_expected = _run(console, container, webhooks, arrivals)
                    if not once:
                        _stay(console, container, webhooks, sign_in)
            finally:
                _remove(container, webhooks)
                container.close()
            if once and not as_expected:
                sys.exit(1)


@contextmanager
def _processes(console: Console, commands: Mapping[str, str], log: Path) -> Iterator[None]:
    """The Procfile's processes, quietly: their lines go to a file, the screen belongs to the table."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        with open_private(log) as output:
            for command in commands.values():
                started.append(
                    child.start(
                        ["/bin/sh", "-c", f"exec {command}"],
                        death_signal=signal.SIGKILL,
                        env=program_environment(),
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=output,
                    )
                )
        yield
    finally:
        console.print("\nStopping ...")
        child.end_all(started, within_s=10.0)


def _run(console: Console, container: Container, webhooks: Mapping[int, Webhook], arrivals: Arrivals) -> bool:
    console.print("Postgres, Valkey, two workers, the API and Flower are starting ...")
    _wait(lambda: len(container.schedule.workers()) >= 2, "the workers did not start", 45.0)
    names = [name for name, _ in emitted()]
    for name, body in emitted():
        getattr(signals, name).send(SLUG, **body)
    console.print(f"Emitted by signals of account {SLUG}: {', '.join(names)}\n")
    expected = sum(name in webhook.events for name in names for webhook in webhooks.values())
    found = _follow(console, container, webhooks, expected)
    return _report(console, found, webhooks, arrivals)


def _webhooks(container: Container, url: str, arrivals: Arrivals) -> dict[int, Webhook]:
    with suppress(AccountExists):
        create_account(container.storage, SLUG, container.settings.time_zone)
    made: dict[int, Webhook] = {}
    for hook in HOOKS:
        webhook = edit.create_webhook(
            container.storage,
            SLUG,
            {
                "webhook_url": url + hook.path,
                "events": list(hook.events),
                "auth_header": hook.auth_header,
                "payload_version": hook.payload_version,
            },
        )
        arrivals.keys_by_path[hook.path] = [signing_key(webhook.signing_secret)]
        made[webhook.id] = webhook
    return made


def _remove(container: Container, webhooks: Mapping[int, Webhook]) -> None:
    """In a database of the user's own the demo's webhooks must not stay, nor its guest."""
    with suppress(DispatcherError):
        with suppress(UserNotFound):
            delete_user(container.storage, SLUG, GUEST)
        for webhook_id in webhooks:
            edit.delete_webhook(container.storage, SLUG, webhook_id)


def _deliveries(container: Container, webhooks: Mapping[int, Webhook]) -> list[DeliveryRow]:
    found = container.storage.transact(deliveries.deliveries, slug=SLUG, limit=100)
    return sorted((one for one in found if one.webhook_id in webhooks), key=lambda one: one.id)


def _follow(
    console: Console, container: Container, webhooks: Mapping[int, Webhook], expected: int
) -> list[DeliveryRow]:
    """Shows the deliveries until all are settled; one table that changes on a terminal, the last one elsewhere."""
    end_s = clock.monotonic() + SETTLED_WITHIN_S
    found: list[DeliveryRow] = []
    with Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else _no_live() as live:
        while clock.monotonic() < end_s:
            found = _deliveries(container, webhooks)
            if live is not None:
                live.update(_table(found, webhooks), refresh=True)
            if len(found) == expected and all(one.state != "pending" for one in found):
                break
            threading.Event().wait(0.25)
    if not console.is_terminal:
        console.print(_table(found, webhooks))
    return found


@contextmanager
def _no_live() -> Iterator[None]:
    yield None


def _table(found: list[DeliveryRow], webhooks: Mapping[int, Webhook]) -> Table:
    table = Table("event", "receiver", "state", "attempts", "results", "next at", box=None, header_style="bold")
    table.columns[0].no_wrap = True
    colours = {"delivered": "green", "failed": "red", "pending": "yellow"}
    for one in found:
        colour = colours.get(one.state, "")
        path = webhooks[one.webhook_id].webhook_url.rpartition("/")[2].partition("?")[0]
        due = f"{one.next_attempt_at.astimezone():%H:%M:%S}" if one.next_attempt_at and one.attempts else ""
        runs = [(status, len(list(run))) for status, run in groupby(one.status for one in reversed(one.attempts))]
        results = ", ".join(status if count == 1 else f"{count} × {status}" for status, count in runs)
        table.add_row(
            one.event_name,
            path,
            f"[{colour}]{one.state}[/]" if colour else one.state,
            str(len(one.attempts)),
            results,
            due,
        )
    return table


def _report(console: Console, found: list[DeliveryRow], webhooks: Mapping[int, Webhook], arrivals: Arrivals) -> bool:
    """Prints what was expected and whether it held."""
    by_path = {
        hook.path: [one for one in found if webhooks[one.webhook_id].webhook_url.endswith(hook.path)] for hook in HOOKS
    }
    legacy = [arrival.json() for arrival in arrivals.on(HOOKS[3].path)]
    keys = {path: {arrival.key for arrival in arrivals.on(path)} for path in by_path}
    checks = {
        "the healthy receiver got every event at the first attempt": len(by_path["/healthy"]) == len(list(emitted()))
        and all(one.state == "delivered" and len(one.attempts) == 1 for one in by_path["/healthy"]),
        f"the flaky receiver failed {FAILURES_OF_FLAKY} times, was retried, and got its events": bool(by_path["/flaky"])
        and all(one.state == "delivered" and len(one.attempts) == FAILURES_OF_FLAKY + 1 for one in by_path["/flaky"]),
        "the dead receiver got 1 + 5 attempts, then the delivery failed": bool(by_path["/dead"])
        and all(one.state == "failed" and len(one.attempts) == 6 for one in by_path["/dead"]),
        "every attempt of a delivery carried the same Idempotency-Key": all(
            keys[path] == {str(one.idempotency_key) for one in ones} for path, ones in by_path.items()
        ),
        "every POST was signed, and every signature was valid": arrivals.all_signed,
        "the legacy webhook got the flat payload": bool(legacy)
        and all(payload.get("event_name") == "invoice_paid" and "invoice_id" in payload for payload in legacy),
        "the Authorization header was sent exactly where one was set": all(
            (arrival.headers.get("authorization") == hook.auth_header)
            for hook in HOOKS
            for arrival in arrivals.on(hook.path)
        ),
    }
    console.print()
    for sentence, held in checks.items():
        console.print(f"[green]ok[/]   {sentence}" if held else f"[red]NOT[/]  {sentence}")
    return all(checks.values())


def _guest(container: Container) -> tuple[str, str]:
    """Somebody who may sign in to the console until the demo ends: e-mail and password."""
    password = secrets.token_urlsafe(9)
    with suppress(UserNotFound):
        delete_user(container.storage, SLUG, GUEST)
    create_user(container.storage, SLUG, GUEST, full_name="Demo guest", permission="write", password=password)
    return GUEST, password


def _stay(console: Console, container: Container, webhooks: Mapping[int, Webhook], flower_sign_in: str) -> None:
    failed = next((one for one in _deliveries(container, webhooks) if one.state == "failed"), None)
    console.print(
        f"\nRunning until you press Ctrl-C. API: {url_of(*web_address())}/api/v3 · logs: {FOLDER / 'log'}",
        soft_wrap=True,
    )
    console.print(f"Flower: {url_of(*flower_address())}/ · {flower_sign_in}", soft_wrap=True)
    email, password = _guest(container)
    console.print(f"Console: {url_of(*web_address())}/console · {email} · password {password}", soft_wrap=True)
    console.print("Try these commands in another terminal, in this folder:\n")
    command = own_command()
    console.print(f"  {command} status", soft_wrap=True)
    console.print(f"  {command} deliveries list --account {SLUG}", soft_wrap=True)
    console.print(
        f"  {command} client create --account {SLUG}   (for the API; next: docs/quickstart.md)", soft_wrap=True
    )
    if failed is not None:
        console.print(f"  {command} deliveries show {failed.id}   (the failed delivery)", soft_wrap=True)
    console.print(
        f"""  echo '{{"inbox_files": {{"count": 3}}}}' | {command} emit inbox_file_removed_all --account {SLUG}""",
        soft_wrap=True,
    )
    threading.Event().wait()


def _wait(condition: Callable[[], bool], otherwise: str, within_s: float) -> None:
    end_s = clock.monotonic() + within_s
    while not condition():
        if clock.monotonic() > end_s:
            raise ServiceStartFailed(f"{otherwise} within {within_s:g} s; see {FOLDER / 'log'}")
        threading.Event().wait(0.1)
