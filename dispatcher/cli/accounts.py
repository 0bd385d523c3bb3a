"""`dispatcher account`: whose events and webhooks these are."""

import re

import click
from marshmallow import ValidationError

from dispatcher.cli.output import json_option, print_json, print_table
from dispatcher.services import services
from dispatcher.settings import check_time_zone
from dispatcher.storage import accounts

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")


@click.group()
def account() -> None:
    """Accounts."""


@account.command()
@click.argument("slug")
@click.option("--time-zone", help="IANA name; datetimes in payloads are written in it. Default: DISPATCHER_TIME_ZONE.")
@json_option
def create(slug: str, time_zone: str | None, as_json: bool) -> None:
    """Create the account SLUG (lower-case letters, digits, - and _)."""
    if not _SLUG.match(slug):
        raise click.BadParameter("1 to 63 lower-case letters, digits, - and _", param_hint="SLUG")
    zone = time_zone or services().settings.time_zone
    try:
        check_time_zone(zone)
    except ValidationError as error:
        raise click.BadParameter(str(error.messages[0]), param_hint="--time-zone") from None
    made = services().storage.run(lambda connection: accounts.create(connection, slug, zone))
    if as_json:
        print_json(made)
    else:
        print(f"account {made.slug} created, time zone {made.time_zone}")


@account.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List all accounts."""
    found = services().storage.run(accounts.all_of_them)
    if as_json:
        print_json(found)
    else:
        print_table(["account", "time zone"], [(one.slug, one.time_zone) for one in found], empty="no accounts")
