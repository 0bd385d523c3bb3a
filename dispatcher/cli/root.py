"""The command's root: its groups, the servers of a running `dispatcher up`, and errors as one plain line.

A command's module is loaded when the command is called: most need libraries that take a second to load all together.
"""

import getpass
import os
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import click

from dispatcher import log
from dispatcher.environment import set_unset_variables, variable
from dispatcher.errors import DispatcherError
from dispatcher.local.env_file import IDENTITY, running_environment
from dispatcher.model.audit import Actor, acting
from dispatcher.version import VERSION

_COMMANDS = {
    "account": ("accounts", "Manage accounts."),
    "alert-channel": ("alerts", "Manage alert channels: e-mail, Slack and webhooks, for accounts and operators."),
    "apply": ("apply", "Create and change event types, accounts and webhooks as a YAML file describes them."),
    "bench": ("bench", "Measure throughput, latency and idle cost on this machine, with two baselines."),
    "catalogue": (
        "catalogue",
        "Check, compare and export the catalogues in DISPATCHER_CATALOGUE, and of the database.",
    ),
    "client": ("clients", "Manage clients of the API."),
    "deliveries": (
        "deliveries",
        "Show deliveries (one event for one webhook) and their attempts; attempt a pending one now.",
    ),
    "demo": ("demo", "Run a demonstration: events from signals to four webhooks, one flaky, one dead, one legacy."),
    "emit": (
        "emit",
        'Emit the event NAME with a JSON object as its body, such as {"invoice": {...}, "payment": {...}}.',
    ),
    "erase": ("erase", "Erase the payloads of a person: bodies of events, and responses."),
    "event-type": (
        "event_types",
        "Manage event types that are stored in the database, beside those of DISPATCHER_CATALOGUE.",
    ),
    "flower": ("flower", "Run Flower, the web interface for workers and tasks, at http://127.0.0.1:5555."),
    "listen": ("listen", "Receive webhooks on loopback, print them, and verify their signatures."),
    "migrate": ("operate", "Apply all pending migrations to the database."),
    "outbox": ("outbox", "Manage outboxes: databases of services, from which the workers take events in."),
    "portal-link": ("portal", "Print a link that opens the portal of ACCOUNT, once and within an hour."),
    "reconcile": ("operate", "Rebuild the schedule in Redis from Postgres now."),
    "repair": (
        "operate",
        "Delete the keys of Celery and the schedule, which may make workers crash, and rebuild the schedule.",
    ),
    "replay": ("replays", "Redeliver DELIVERY (id or Idempotency-Key) with the same key and a new series of attempts."),
    "secrets": ("secrets", "Manage the keys in SECRET_KEYS."),
    "serve": ("serve", "Serve the HTTP API at http://127.0.0.1:8000."),
    "service-token": ("service_tokens", "Manage service tokens, which act for all accounts."),
    "status": ("operate", "Show the backlog and its age, the live workers, and the health of the webhooks."),
    "up": (
        "up",
        "Run the dispatcher here, with embedded Postgres and Valkey unless DATABASE_URL and REDIS_URL are set.",
    ),
    "user": ("users", "Manage users of the console."),
    "webhook": ("webhooks", "Manage webhooks."),
}
"""Command → its module here, which holds it under its own name, and the first sentence of its help."""
_ON_THE_DATABASE = (
    "account",
    "alert-channel",
    "apply",
    "client",
    "erase",
    "event-type",
    "migrate",
    "outbox",
    "portal-link",
    "reconcile",
    "repair",
    "service-token",
    "status",
    "user",
)
"""Commands without a remote form. Beside the wrong database they would print as if all were well."""
_WITH_OWN_SERVERS = ("demo", "up")


class _Commands(click.Group):
    """Expected errors are a line on standard error and exit code 1, never a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, from its module; None for an unknown name."""
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"dispatcher.cli.{_COMMANDS[cmd_name][0]}")
        return cast(click.Command, getattr(module, cmd_name.replace("-", "_")))

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
    """Errors without a traceback; loaded only where something was raised."""
    from dispatcher.schemas import InvalidEvent  # noqa: PLC0415 -- a command starts with what it needs

    return DispatcherError, InvalidEvent


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="dispatcher")
@click.pass_context
def main(context: click.Context) -> None:
    """A self-hosted webhook dispatcher: it turns events into signed deliveries, retries them, and loses none.

    Commands use DATABASE_URL and REDIS_URL, or the servers of a `dispatcher up` running in this folder. With
    DISPATCHER_API, `emit`, `webhook`, `deliveries` and `replay` use a remote dispatcher instead.
    """
    log.set_up(variable("DISPATCHER_LOG_LEVEL") or "warning", variable("DISPATCHER_LOG_FORMAT") or "text")
    before = acting.set(Actor(kind="command", name=_user()))
    context.call_on_close(lambda: acting.reset(before))  # where a command is one of a program's calls, as in tests
    command = context.invoked_subcommand
    if command in _ON_THE_DATABASE and variable("DISPATCHER_API"):
        raise click.ClickException(
            f"`{command}` needs a database, but DISPATCHER_API points to a remote dispatcher. "
            f"Run it there, or unset the variable: env -u DISPATCHER_API dispatcher {command} ..."
        )
    if command not in _WITH_OWN_SERVERS:
        _use_running_servers()


def _user() -> str:
    """Who runs the command: the name on this machine, or its number where it has none, as in a container."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return f"{os.getuid()}@{socket.gethostname()}"


def _use_running_servers() -> None:
    """Sets the variables of an `up` or demo that runs in this folder; those that are set already stay."""
    for folder in (Path(".dispatcher"), Path(".dispatcher/demo")):
        running = running_environment(folder)
        # Another DATABASE_URL in the environment is another installation: its Redis is not the one that runs here.
        if all(variable(name) in ("", running[name]) for name in IDENTITY if name in running):
            set_unset_variables(running)
