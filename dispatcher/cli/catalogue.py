"""`dispatcher catalogue`: the events that can be emitted, checked, compared and written down."""

import json
import sys
from collections.abc import Iterator
from typing import TextIO

import click

from dispatcher.cli.options import json_option
from dispatcher.cli.output import print_json
from dispatcher.cli.remote import published
from dispatcher.connections.adapter import completed
from dispatcher.connections.errors import sqlstate
from dispatcher.connections.pool import ConnectionPool
from dispatcher.connections.recognise import adapter_for
from dispatcher.environment import variable
from dispatcher.pipeline.event_types import refresh_by
from dispatcher.producer_settings import read_database_settings, read_producer_settings
from dispatcher.schemas import EventType, InvalidEvent, active
from dispatcher.schemas.changes import changes
from dispatcher.schemas.documents import FORMATS, from_openapi, json_schema
from dispatcher.schemas.errors import DowngradeFailed
from dispatcher.schemas.located import SchemaPart, problem_of_path

_NO_TABLE = "42P01"


def _load_stored(_context: click.Context, _option: click.Parameter, is_on: bool) -> None:
    """Adds the event types of the database, where there is one."""
    if not is_on or not variable("DATABASE_URL"):
        return
    pool = ConnectionPool(read_database_settings().database_url, 1, read_producer_settings().schema)
    try:
        pool.autocommit(lambda connection: completed(refresh_by(adapter_for(connection))))
    except Exception as error:  # whatever the driver raises
        if sqlstate(error) != _NO_TABLE:
            raise
        text = "the database has no event types; run `dispatcher migrate`, or give --no-stored"
        raise click.ClickException(text) from None


_stored = click.option(
    "--stored/--no-stored", default=True, expose_value=False, callback=_load_stored,
    help="Whether event types that are stored in DATABASE_URL are among them.",
)  # fmt: skip


@click.group()
def catalogue() -> None:
    """Check, compare and export the catalogues in DISPATCHER_CATALOGUE, and of the database."""


@catalogue.command()
@_stored
@click.option("--filters", "with_filters", is_flag=True, help="Also that webhooks' filters fit the newest versions.")
@json_option
def check(with_filters: bool, as_json: bool) -> None:
    """Check that every event has a JSON Schema, and an example that can be emitted and downgraded."""
    problems = [f"{name}: {problem}" for name, event in active().versions.items() for problem in _problems(event)]
    if with_filters:
        from dispatcher.current import current_container  # noqa: PLC0415 -- the rest needs no database
        from dispatcher.webhooks.preview import unfit_filters  # noqa: PLC0415 -- the same

        problems += unfit_filters(current_container().storage)
    sound = [f"{one.name}: {len(one.events)} events, no problems" for one in active().catalogues]
    if as_json:
        print_json(problems)
    else:
        print("\n".join(problems or sound))
    sys.exit(1 if problems else 0)


@catalogue.command()
@click.argument("base", type=click.File(encoding="utf-8"), required=False)
@click.option(
    "--against", metavar="URL", help="Instead of BASE: a running dispatcher, such as https://hooks.example.com."
)
@_stored
@json_option
def diff(base: TextIO | None, against: str | None, as_json: bool) -> None:
    """Show what has changed since BASE, the output of an earlier `export`; exit with 1 if it breaks receivers."""
    if (base is None) == (against is None):
        raise click.UsageError("Give either BASE or --against.")
    try:
        before = json.load(base) if base else from_openapi(published(against or ""))
        differences = changes(before, json_schema(active()))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise click.BadParameter("is no output of `dispatcher catalogue export`", param_hint="BASE") from error
    if as_json:
        print_json([change._asdict() for change in differences])
    else:
        print("\n".join(map(str, differences)) or "no changes")
    sys.exit(1 if any(change.breaks for change in differences) else 0)


@catalogue.command()
@click.option("--format", "as_format", type=click.Choice(list(FORMATS)), default="json-schema", show_default=True)
@_stored
def export(as_format: str) -> None:
    """Print what receivers get as one document."""
    print(json.dumps(FORMATS[as_format](active()), indent=2, ensure_ascii=False))


def _problems(event: EventType) -> Iterator[str]:
    try:
        schema, _ = event.schema, event.example
    except Exception as error:  # whatever a schema's own code raises
        yield f"cannot be described: {error}"
        return
    try:
        event.check_example()
    except DowngradeFailed as error:  # it stops at the first, which those before it go through
        yield f"its example: {error}"
    except InvalidEvent as error:
        whose = "the example" if event.declared_example else "an example that was made up (give one: `example=`)"
        for path, reason in error.problems:
            yield f"{whose} is refused: {path}: {reason}"
    about = schema["properties"].get(event.resource, {})
    about = schema["$defs"].get(about.get("$ref", "").rpartition("/")[2], about)
    if event.about.id is not None and event.about.id not in about.get("required", ()):
        yield f"{event.resource}.{event.about.id} identifies it, but is not required"
    for what, paths in (("subjects", event.subjects), ("personal", event.personal)):
        for path in paths:
            if problem := problem_of_path(path, [SchemaPart(schema, schema)]):
                yield f"{what}: {path}: {problem}"
