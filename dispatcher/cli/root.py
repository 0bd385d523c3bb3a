"""The command's root: its groups, the servers of a running `dispatcher up`, and errors as one plain line."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from dispatcher import log
from dispatcher.cli import (
    accounts,
    bench,
    clients,
    deliveries,
    demo,
    emit,
    flower,
    listen,
    operate,
    replays,
    secrets,
    serve,
    up,
    users,
    webhooks,
)
from dispatcher.dev.embedded import running_environment
from dispatcher.errors import DispatcherError
from schemas import EventInvalid


class _Commands(click.Group):
    """Expected errors are a line on standard error and exit code 1, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (DispatcherError, EventInvalid) as error:
            print(f"error: {error}", file=sys.stderr)
            ctx.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fakturoid-webhook-dispatcher", prog_name="dispatcher")
def main() -> None:
    """A self-hosted webhook dispatcher: an event in, signed deliveries out, retried, and nothing lost.

    Commands act on DATABASE_URL and REDIS_URL, or on the servers of a `dispatcher up` that runs in this folder. With
    DISPATCHER_API, `emit`, `webhook`, `deliveries` and `replay` act on another machine's dispatcher.
    """
    log.set_up(os.environ.get("DISPATCHER_LOG_LEVEL") or "warning", os.environ.get("DISPATCHER_LOG_FORMAT") or "text")
    for folder in (Path(".dispatcher"), Path(".dispatcher/demo")):
        running = running_environment(folder)
        # Another DATABASE_URL in the environment is another installation: its Redis is not the one that runs here.
        if all(os.environ.get(name) in (None, "", value) for name, value in running.items()):
            os.environ.update(running)


for command in (
    up.up,
    demo.demo,
    serve.serve,
    operate.migrate,
    operate.status,
    operate.reconcile,
    operate.repair,
    emit.emit,
    listen.listen,
    accounts.account,
    users.user,
    clients.client,
    webhooks.webhook,
    deliveries.deliveries,
    replays.replay,
    secrets.secrets,
    flower.flower,
    bench.bench,
):
    main.add_command(command)
