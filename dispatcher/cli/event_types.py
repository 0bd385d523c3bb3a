"""`dispatcher event-type`: event types that are stored in the database, for producers in any language."""

from typing import IO, Any

import click

from dispatcher import event_types as use_cases
from dispatcher.cli.options import json_option
from dispatcher.cli.output import print_json, show, show_list
from dispatcher.cli.yaml_file import read_yaml
from dispatcher.current import current_container
from dispatcher.errors import EventTypeNotFound
from dispatcher.representations import event_type_json
from dispatcher.schemas import EventType, active

_name = click.argument("name")


@click.group("event-type")
def event_type() -> None:
    """Manage event types that are stored in the database, beside those of DISPATCHER_CATALOGUE."""


@event_type.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List every event type, also those of catalogues in code."""
    current_container().event_types.load()
    columns = {
        "name": "name", "version": "version", "catalogue": "catalogue", "group": "group", "deprecated": "deprecated_at",
        "description": "description",
    }  # fmt: skip
    types = [event_type_json(event) for _, event in sorted(active().events.items())]
    show_list(types, as_json, columns, empty="no event types")


@event_type.command("show")
@_name
@click.option("--version", type=click.IntRange(1), metavar="N", help="Default: the newest.")
def show_(name: str, version: int | None) -> None:
    """Print an event type as JSON, with its schema and example."""
    current_container().event_types.load()
    event = _find(name)
    print_json(event_type_json(event if version is None else event.at(version)))


@event_type.command()
@_name
@click.option(
    "-f", "--file", "file", type=click.File(encoding="utf-8"), required=True,
    help="Its attributes as JSON or YAML, such as `schema` and `example`; - is standard input.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Store a schema although it breaks receivers of this version.")
@json_option
def put(name: str, file: IO[str], force: bool, as_json: bool) -> None:
    """Create an event type or a new version of it, or change a version. What the file does not name stays."""
    attributes, _ = read_yaml(file)
    if not isinstance(attributes, dict):
        raise click.ClickException(f"{file.name}: must be an object with attributes such as `schema`")
    _put(name, attributes, as_json, force=force)


@event_type.command()
@_name
@click.option("--undo", is_flag=True, help="It is not deprecated any more.")
@json_option
def deprecate(name: str, undo: bool, as_json: bool) -> None:
    """Mark an event type as deprecated: it is shown, and goes on to be emitted."""
    current_container().event_types.load()
    _find(name)
    _put(name, {"deprecated": not undo}, as_json)


@event_type.command()
@_name
def delete(name: str) -> None:
    """Delete an event type to which no webhook subscribes by name. What was emitted is still delivered."""
    use_cases.delete(current_container().storage, name)
    print(f"event type {name} deleted")


def _put(name: str, attributes: dict[str, Any], as_json: bool, *, force: bool = False) -> None:
    container = current_container()
    stored, is_new = use_cases.put(container.storage, name, attributes, force=force)
    container.event_types.load()
    event_type = event_type_json(_find(name).at(stored.version))
    show(event_type, as_json, f"event type {name} version {stored.version} {'created' if is_new else 'stored'}")


def _find(name: str) -> EventType:
    if name not in active().events:
        raise EventTypeNotFound(name)
    return active().events[name]
