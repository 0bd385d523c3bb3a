"""The command's root: its groups, the servers of a running `dispatcher up`, and errors as one plain line.

A command's module is loaded when the command is called: most need libraries that take a second to load all together.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from dispatcher import log
from dispatcher.errors import DispatcherError
from dispatcher.local.environment import PLACES, running_environment
from dispatcher.version import VERSION

_COMMANDS = {
    "account": ("accounts", "Accounts."),
    "bench": ("bench", "Measure throughput, latency and idle cost here, beside two yardsticks."),
    "client": ("clients", "Clients of the API."),
    "deliveries": ("deliveries", "Deliveries: one event for one webhook, with every attempt."),
    "demo": ("demo", "Show the whole thing: events from signals to four webhooks, one flaky, one dead, one legacy."),
    "emit": (
        "emit",
        'Emit the event NAME with a JSON object as its body, such as {"invoice": {...}, "payment": {...}}.',
    ),
    "flower": ("flower", "Run Flower, the web page on workers and tasks, at http://127.0.0.1:5555."),
    "listen": ("listen", "Receive webhooks on loopback, print them, and verify their signatures."),
    "migrate": ("operate", "Bring the database up to date."),
    "reconcile": ("operate", "Rebuild the clock in Redis from the rows, now; workers do it every 15 s."),
    "repair": ("operate", "Delete what may make workers crash, Celery's keys and the clock's, and rebuild the clock."),
    "replay": ("replays", "Send DELIVERY (id or Idempotency-Key) once more: the same key, its tries start anew."),
    "secrets": ("secrets", "Keys of SECRET_KEYS."),
    "serve": ("serve", "Serve the HTTP API at http://127.0.0.1:8000."),
    "status": ("operate", "Show what waits, how old it is, which workers live, and how the webhooks are."),
    "up": (
        "up",
        "Run the dispatcher here, with its own Postgres and Valkey unless DATABASE_URL and REDIS_URL name yours.",
    ),
    "user": ("users", "People who may sign in to the console."),
    "webhook": ("webhooks", "Webhooks."),
}
"""Command → its module here, which holds it under its own name, and the first sentence of its help."""
_ON_THE_DATABASE = ("account", "client", "migrate", "reconcile", "repair", "status", "user")
"""What DISPATCHER_API cannot be asked for. On the wrong machine they would answer as if all were well."""
_WITH_SERVERS_OF_THEIR_OWN = ("demo", "up")


class _Commands(click.Group):
    """Expected errors are a line on standard error and exit code 1, never a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, from its module; None for a name that is none."""
        if cmd_name not in _COMMANDS:
            return None
        found: click.Command = getattr(import_module(f"dispatcher.cli.{_COMMANDS[cmd_name][0]}"), cmd_name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Their list, from the sentences above: click would load every command for its own."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentence) for name, (_, sentence) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.exceptions.Exit:  # how `--help` ends
            raise
        except _expected() as error:
            print(f"error: {error}", file=sys.stderr)
            ctx.exit(1)


def _expected() -> tuple[type[Exception], ...]:
    """Asked for, and so loaded, only where something was raised."""
    from schemas import InvalidEvent

    return DispatcherError, InvalidEvent


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="dispatcher")
@click.pass_context
def main(context: click.Context) -> None:
    """A self-hosted webhook dispatcher: an event in, signed deliveries out, retried, and nothing lost.

    Commands act on DATABASE_URL and REDIS_URL, or on the servers of a `dispatcher up` that runs in this folder. With
    DISPATCHER_API, `emit`, `webhook`, `deliveries` and `replay` act on another machine's dispatcher.
    """
    log.set_up(os.environ.get("DISPATCHER_LOG_LEVEL") or "warning", os.environ.get("DISPATCHER_LOG_FORMAT") or "text")
    command = context.invoked_subcommand
    if command in _ON_THE_DATABASE and os.environ.get("DISPATCHER_API", "").strip():
        raise click.ClickException(
            f"`{command}` acts on a database, and DISPATCHER_API names the dispatcher of another machine: "
            f"run it there, or here without that variable (env -u DISPATCHER_API dispatcher {command} ...)"
        )
    if command not in _WITH_SERVERS_OF_THEIR_OWN:
        _join_what_runs_here()


def _join_what_runs_here() -> None:
    """Takes the variables of a dispatcher that runs in this folder, a demo too; what is set already stays."""
    for folder in (Path(".dispatcher"), Path(".dispatcher/demo")):
        running = running_environment(folder)
        # Another DATABASE_URL in the environment is another installation: its Redis is not the one that runs here.
        if all(os.environ.get(name) in (None, "", running[name]) for name in PLACES if name in running):
            for name, value in running.items():
                if not os.environ.get(name):
                    os.environ[name] = value
