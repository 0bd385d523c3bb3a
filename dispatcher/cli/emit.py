"""`dispatcher emit`: an event from the shell."""

import json
import sys
from pathlib import Path

import click

from dispatcher.cli.backend import backend
from dispatcher.cli.options import account_option, json_option
from dispatcher.cli.output import show
from schemas import EVENT_TYPES
from schemas.wire.choices import did_you_mean


@click.command()
@click.argument("name")
@account_option
@click.option("--body", type=click.Path(dir_okay=False), default="-", help="A JSON file, or - for standard input.")
@click.option("--idempotency-key", metavar="K", help="Emitting it again returns the first event.")
@json_option
def emit(name: str, slug: str | None, body: str, idempotency_key: str | None, as_json: bool) -> None:
    """Emit the event NAME with a JSON object as its body, such as {"invoice": {...}, "payment": {...}}."""
    if name not in EVENT_TYPES:
        hint = did_you_mean(name, EVENT_TYPES)
        raise click.BadParameter(f"{name!r} is not an event of the catalogue; {hint}", param_hint="NAME")
    event = backend().emit(slug, name, _read(body), idempotency_key)
    outcome = "accepted" if event["new"] else "was already accepted"
    show(event, as_json, f"event {event['id']} {event['name']} {outcome}")


def _read(source: str) -> dict[str, object]:
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
        body = json.loads(text)
    except FileNotFoundError:
        raise click.BadParameter(f"file {source} does not exist", param_hint="--body") from None
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"is not valid JSON: {error}", param_hint="--body") from None
    if not isinstance(body, dict):
        raise click.BadParameter("must be a JSON object", param_hint="--body")
    return body
