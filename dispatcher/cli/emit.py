"""`dispatcher emit`: an event from the shell."""

import json
from typing import TextIO

import click

from dispatcher.cli.backend import backend
from dispatcher.cli.options import account_option, is_known, json_option
from dispatcher.cli.output import show
from dispatcher.schemas import active
from dispatcher.schemas.catalogue import OPERATIONAL_EVENTS


@click.command()
@click.argument("name")
@account_option
@click.option("--body", type=click.File(encoding="utf-8"), default="-", help="A JSON file, or - for standard input.")
@click.option("--idempotency-key", metavar="K", help="Emitting it again returns the first event.")
@json_option
def emit(name: str, slug: str | None, body: TextIO, idempotency_key: str | None, as_json: bool) -> None:
    """Emit the event NAME with a JSON object as its body, such as {"invoice": {...}, "payment": {...}}."""
    if name in OPERATIONAL_EVENTS or not is_known(name):
        raise click.BadParameter(f"{name!r} {active().unknown(name)}", param_hint="NAME")
    event = backend().emit(slug, name, _read(body), idempotency_key)
    outcome = "accepted" if event["new"] else "was already accepted"
    show(event, as_json, f"event {event['id']} {event['name']} {outcome}")


def _read(file: TextIO) -> dict[str, object]:
    try:
        body = json.load(file)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"is not valid JSON: {error}", param_hint="--body") from None
    if not isinstance(body, dict):
        raise click.BadParameter("must be a JSON object", param_hint="--body")
    return body
