"""`dispatcher demo`: the whole thing at work, on a bare machine, in half a minute."""

import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
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
from dispatcher.cli.up import procfile, take_ports, this_command
from dispatcher.container import Container
from dispatcher.current import current_container
from dispatcher.environment import program_environment, set_unset_variables, set_variables
from dispatcher.errors import AccountExists, DispatcherError, ServiceStartFailed, UserNotFound
from dispatcher.local.demo import DEMO_WEBHOOKS, FAILURES_OF_FLAKY, SETTINGS, SLUG, Arrivals, demo_events
from dispatcher.local.embedded import embedded
from dispatcher.local.folder import is_in_use, open_private
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
STARTED_WITHIN_S, FINISHED_WITHIN_S = 45.0, 60.0


@click.command()
@click.option("--once", is_flag=True, help="Exit when every delivery has finished, with 0 only if all checks passed.")
def demo(once: bool) -> None:
    """Run a demonstration: events from signals to four webhooks, one flaky, one dead, one legacy."""
    set_variables({"DISPATCHER_CATALOGUE": "api_v3"})  # whose events these are
    if is_in_use(FOLDER):
        raise ServiceStartFailed("a demo is already running in this folder; stop it first")
    shutil.rmtree(FOLDER, ignore_errors=True)
    commands = parse_procfile(procfile().read_text())
    commands.pop("release", None)
    take_ports(commands)
    with embedded(FOLDER, SETTINGS) as servers:
        set_unset_variables(servers.environment)
        access, sign_in = flower_access(FOLDER)
        set_variables(access)
        container, arrivals = current_container(), Arrivals()
        migrate.upgrade(container.storage)
        with suppress(KeyboardInterrupt), Receiver(arrivals.answer) as receiver:
            this = _Demo(container, receiver.url, arrivals)
            try:
                with this.processes(commands.values()):
                    passed = this.run()
                    if not once:
                        this.stay(sign_in)
            finally:
                this.remove()
                container.close()
            if once and not passed:
                sys.exit(1)


class _Demo:
    def __init__(self, container: Container, url: str, arrivals: Arrivals) -> None:
        self._container = container
        self._storage = container.storage
        self._arrivals = arrivals
        self._console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
        self._webhooks: dict[int, Webhook] = {}
        with suppress(AccountExists):
            create_account(self._storage, SLUG, container.settings.time_zone)
        for hook in DEMO_WEBHOOKS:
            attributes = {
                "webhook_url": url + hook.path,
                "events": list(hook.events),
                "auth_header": hook.auth_header,
                "payload_version": hook.payload_version,
            }
            webhook = edit.create_webhook(self._storage, SLUG, attributes)
            arrivals.keys_by_path[hook.path] = [signing_key(webhook.signing_secret)]
            self._webhooks[webhook.id] = webhook

    @contextmanager
    def processes(self, commands: Iterable[str]) -> Iterator[None]:
        """The Procfile's processes; their lines go to a file, the screen belongs to the table."""
        started: list[subprocess.Popen[bytes]] = []
        try:
            with open_private(FOLDER / "log") as output:
                for command in commands:
                    started.append(
                        child.start_line(
                            command, env=program_environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
                        )
                    )
            yield
        finally:
            self._console.print("\nStopping ...")
            child.end_all(started, within_s=10.0)

    def run(self) -> bool:
        """Emits, follows the deliveries to their ends, and reports whether all checks passed."""
        self._console.print("Postgres, Valkey, two workers, the API and Flower are starting ...")
        self._wait_for_workers()
        names = [name for name, _ in demo_events()]
        for name, body in demo_events():
            getattr(signals, name).send(SLUG, **body)
        self._console.print(f"Emitted by signals of account {SLUG}: {', '.join(names)}\n")
        expected = sum(name in webhook.events for name in names for webhook in self._webhooks.values())
        return self._report(self._follow(expected))

    def stay(self, flower_sign_in: str) -> None:
        """Prints what there is to see, and waits for Ctrl-C."""
        email, password = self._guest()
        command, web = this_command(), url_of(*web_address())
        failed = [one for one in self._deliveries() if one.state == "failed"]
        lines = [
            f"\nRunning until you press Ctrl-C. API: {web}/api/v3 · logs: {FOLDER / 'log'}",
            f"Flower: {url_of(*flower_address())}/ · {flower_sign_in}",
            f"Console: {web}/console · {email} · password {password}",
            "Try these commands in another terminal, in this folder:\n",
            f"  {command} status",
            f"  {command} deliveries list --account {SLUG}",
            f"  {command} client create --account {SLUG}   (for the API; next: docs/quickstart.md)",
            *(f"  {command} deliveries show {one.id}   (a failed delivery)" for one in failed[:1]),
            f"""  echo '{{"inbox_files": {{"count": 3}}}}' | {command} emit inbox_file_removed_all --account {SLUG}""",
        ]
        self._console.print("\n".join(lines), soft_wrap=True)
        threading.Event().wait()

    def remove(self) -> None:
        """Removes the demo's webhooks and its guest, which must not stay in a database of the user's own."""
        with suppress(DispatcherError):
            self._remove_guest()
            for webhook_id in self._webhooks:
                edit.delete_webhook(self._storage, SLUG, webhook_id)

    def _wait_for_workers(self) -> None:
        end_s = clock.monotonic() + STARTED_WITHIN_S
        while len(self._container.schedule.workers.names()) < 2:
            if clock.monotonic() > end_s:
                raise ServiceStartFailed(
                    f"the workers did not start within {STARTED_WITHIN_S:g} s; see {FOLDER / 'log'}"
                )
            threading.Event().wait(0.1)

    def _follow(self, expected: int) -> list[DeliveryRow]:
        """Shows the deliveries until all have finished: a table that changes on a terminal, the last one elsewhere."""
        end_s = clock.monotonic() + FINISHED_WITHIN_S
        rows: list[DeliveryRow] = []
        with Live(console=self._console, auto_refresh=False) as live:
            while clock.monotonic() < end_s:
                rows = self._deliveries()
                live.update(self._table(rows), refresh=self._console.is_terminal)
                if len(rows) == expected and all(one.state != "pending" for one in rows):
                    break
                threading.Event().wait(0.25)
        return rows

    def _deliveries(self) -> list[DeliveryRow]:
        rows = self._storage.transact(deliveries.deliveries, slug=SLUG, limit=100)
        return sorted((one for one in rows if one.webhook_id in self._webhooks), key=lambda one: one.id)

    def _table(self, rows: list[DeliveryRow]) -> Table:
        table = Table("event", "receiver", "state", "attempts", "results", "next at", box=None, header_style="bold")
        table.columns[0].no_wrap = True
        colours = {"delivered": "green", "failed": "red", "pending": "yellow"}
        for one in rows:
            colour = colours.get(one.state, "")
            path = self._webhooks[one.webhook_id].webhook_url.rpartition("/")[2].partition("?")[0]
            due = f"{one.next_attempt_at.astimezone():%H:%M:%S}" if one.next_attempt_at and one.attempts else ""
            runs = [(status, len(list(run))) for status, run in groupby(one.status for one in reversed(one.attempts))]
            results = ", ".join(status if count == 1 else f"{count} × {status}" for status, count in runs)
            state = f"[{colour}]{one.state}[/]" if colour else one.state
            table.add_row(one.event_name, path, state, str(len(one.attempts)), results, due)
        return table

    def _report(self, rows: list[DeliveryRow]) -> bool:
        """Prints what was expected and whether it held."""
        by_path = {
            hook.path: [one for one in rows if self._webhooks[one.webhook_id].webhook_url.endswith(hook.path)]
            for hook in DEMO_WEBHOOKS
        }

        def all_ended(path: str, state: str, attempts: int) -> bool:
            rows = by_path[path]
            return bool(rows) and all(one.state == state and len(one.attempts) == attempts for one in rows)

        legacy = [arrival.json() for arrival in self._arrivals.on(DEMO_WEBHOOKS[3].path)]
        keys = {path: {arrival.key for arrival in self._arrivals.on(path)} for path in by_path}
        checks = {
            "the healthy receiver got every event at the first attempt": all_ended("/healthy", "delivered", 1)
            and len(by_path["/healthy"]) == len(list(demo_events())),
            f"the flaky receiver failed {FAILURES_OF_FLAKY} times, was retried, and got its events": all_ended(
                "/flaky", "delivered", FAILURES_OF_FLAKY + 1
            ),
            "the dead receiver got 1 + 5 attempts, then the delivery failed": all_ended("/dead", "failed", 6),
            "every attempt of a delivery carried the same Idempotency-Key": all(
                keys[path] == {str(one.idempotency_key) for one in ones} for path, ones in by_path.items()
            ),
            "every POST was signed, and every signature was valid": self._arrivals.all_signed,
            "the legacy webhook got the flat payload": bool(legacy)
            and all(payload.get("event_name") == "invoice_paid" and "invoice_id" in payload for payload in legacy),
            "the Authorization header was sent exactly where one was set": all(
                arrival.headers.get("authorization") == hook.auth_header
                for hook in DEMO_WEBHOOKS
                for arrival in self._arrivals.on(hook.path)
            ),
        }
        self._console.print()
        for sentence, held in checks.items():
            self._console.print(f"[green]ok[/]   {sentence}" if held else f"[red]NOT[/]  {sentence}")
        return all(checks.values())

    def _guest(self) -> tuple[str, str]:
        """A user of the console until the demo ends: e-mail and password."""
        password = secrets.token_urlsafe(9)
        self._remove_guest()
        passwords = self._container.access.passwords
        guest = {"full_name": "Demo guest", "permission": "write", "password": password}
        create_user(self._storage, passwords, SLUG, GUEST, **guest)
        return GUEST, password

    def _remove_guest(self) -> None:
        with suppress(UserNotFound):
            delete_user(self._storage, SLUG, GUEST)
