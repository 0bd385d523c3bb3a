"""`dispatcher catalogue`: the events that can be emitted, checked, compared and written down."""

import json
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import click

from dispatcher.cli.options import json_option
from dispatcher.cli.output import print_json
from dispatcher.schemas import EventType, InvalidEvent, active
from dispatcher.schemas.changes import changes
from dispatcher.schemas.documents import FORMATS, json_schema, versions
from dispatcher.schemas.errors import DowngradeFailed


@click.group()
def catalogue() -> None:
    """Check, compare and export the catalogues in DISPATCHER_CATALOGUE."""


@catalogue.command()
@json_option
def check(as_json: bool) -> None:
    """Check that every event has a JSON Schema, and an example that can be emitted and downgraded."""
    events = versions(active())
    problems = [f"{name}: {problem}" for name, event in events.items() for problem in _problems(event)]
    sound = [f"{one.name}: {len(one.events)} events, no problems" for one in active().catalogues]
    if as_json:
        print_json(problems)
    else:
        print("\n".join(problems or sound))
    sys.exit(1 if problems else 0)


@catalogue.command()
@click.argument("base", type=click.File(encoding="utf-8"))
@json_option
def diff(base: TextIO, as_json: bool) -> None:
    """Show what has changed since BASE, the output of an earlier `export`; exit with 1 if it breaks receivers."""
    try:
        found = changes(json.load(base), json_schema(active()))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise click.BadParameter("is no output of `dispatcher catalogue export`", param_hint="BASE") from error
    if as_json:
        print_json([change._asdict() for change in found])
    else:
        print("\n".join(map(str, found)) or "no changes")
    sys.exit(1 if any(change.breaks for change in found) else 0)


@catalogue.command()
@click.option("--format", "as_format", type=click.Choice(list(FORMATS)), default="json-schema", show_default=True)
def export(as_format: str) -> None:
    """Print what receivers get as one document."""
    print(json.dumps(FORMATS[as_format](active()), indent=2, ensure_ascii=False))


def _problems(event: EventType) -> Iterator[str]:
    try:
        example: dict[str, Any] = event.example
        schema = event.schema
    except Exception as error:  # whatever a schema's own code raises
        yield f"cannot be described: {error}"
        return
    try:
        event.render(example, "UTC")
    except InvalidEvent as error:
        whose = "the example" if event.given_example else "an example that was made up (give one: `example=`)"
        for path, reason in error.problems:
            yield f"{whose} is refused: {path}: {reason}"
    else:
        yield from _downgrade_problems(event)
    about = schema["properties"].get(event.resource, {})
    about = schema["$defs"].get(about.get("$ref", "").rpartition("/")[2], about)
    if event.about.id is not None and event.about.id not in about.get("required", ()):
        yield f"{event.resource}.{event.about.id} identifies it, but is not required"


def _downgrade_problems(event: EventType) -> Iterator[str]:
    """What the example shows, of each older version to which it may be downgraded."""
    body, _ = event.render(event.example, "UTC")
    try:
        for version in reversed(range(1, event.version)):
            event.downgraded(body.decode(), version, "UTC")
    except DowngradeFailed as error:  # it stops at the first, which those before it go through
        yield f"its example: {error}"
