"""`dispatcher outbox`: databases of services, from which the workers take events in."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from dispatcher.cli.options import json_option
from dispatcher.cli.output import Column, show_list
from dispatcher.current import current_container
from dispatcher.errors import OutboxNotFound
from dispatcher.settings import Outbox
from dispatcher.storage.outboxes import registry
from dispatcher.storage.outboxes.database import OutboxDatabase
from dispatcher.storage.outboxes.tables import INSTALL

_SHOWN = 1_000


@click.group()
def outbox() -> None:
    """Manage outboxes: databases of services, from which the workers take events in."""


@outbox.command()
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--database-url", metavar="URL", help="The service's database, instead of that of NAME.")
@click.option("--sql", is_flag=True, help="Print the statements instead, for your own migrations.")
def install(name: str | None, database_url: str | None, sql: bool) -> None:
    """Create the outbox's two tables in the service's database. It is safe to run this again.

    NAME is one of DISPATCHER_OUTBOXES.
    """
    if sql:
        print(INSTALL, end="")
        return
    if (name is None) == (database_url is None):
        raise click.UsageError("give NAME, --database-url or --sql")
    source = Outbox(name="new", url=database_url) if database_url else _configured(name or "")
    with closing(OutboxDatabase(source)) as database:
        database.install()
        print(f"outbox is at version {database.version()}")


@outbox.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the outboxes, with what is pending in each."""
    columns: dict[str, Column] = {
        "name": "name",
        "up": "is_up",
        "pending": "pending",
        "oldest": lambda one: None if one.oldest_age_s is None else f"{one.oldest_age_s:.0f} s",
        "failed": "failed",
        "checked": "checked_at",
        "error": "error",
    }
    statuses = current_container().storage.read(registry.statuses)
    show_list(statuses, as_json, columns, empty="no outbox; set DISPATCHER_OUTBOXES for the workers")


@outbox.command()
@click.argument("name")
@json_option
def failed(name: str, as_json: bool) -> None:
    """List the events of outbox NAME that were set aside, each with its reason."""
    columns = {
        "id": "id",
        "account": "account",
        "event": "name",
        "created": "created_at",
        "failed": "failed_at",
        "reason": "reason",
    }
    with _opened(name) as database:
        show_list(database.failed(_SHOWN), as_json, columns, empty="no event was set aside")


@outbox.command()
@click.argument("name")
@click.argument("event_id", type=int, metavar="[ID]", required=False)
def retry(name: str, event_id: int | None) -> None:
    """Put the events of outbox NAME that were set aside, or the one with this ID, into the outbox again."""
    with _opened(name) as database:
        print(f"{database.retry(event_id)} events are pending again")


@outbox.command()
@click.argument("name")
def remove(name: str) -> None:
    """Forget the outbox NAME, after it was removed from DISPATCHER_OUTBOXES. Its database is left as it is."""
    current_container().storage.transact(registry.remove, name)
    print(f"outbox {name} removed")


@contextmanager
def _opened(name: str) -> Iterator[OutboxDatabase]:
    with closing(OutboxDatabase(_configured(name))) as database:
        yield database


def _configured(name: str) -> Outbox:
    for one in current_container().settings.outboxes:
        if one.name == name:
            return one
    raise OutboxNotFound(name)
