"""`dispatcher account`: whose events and webhooks these are, and who may agree to what clients ask for."""

import re
import secrets
from collections.abc import Callable

import click
from marshmallow import ValidationError

from dispatcher.access.accounts import create_account, edit_account, list_accounts
from dispatcher.access.users import set_password
from dispatcher.cli.output import json_option, print_json, print_table
from dispatcher.cli.people import is_email, is_text, read_password
from dispatcher.container import current_container
from dispatcher.settings import check_time_zone
from dispatcher.storage.admin import accounts
from dispatcher.storage.admin.users import User

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")


@click.group()
def account() -> None:
    """Manage accounts."""


_attributes = (
    click.option("--time-zone", help="IANA time zone name, used for the datetimes in payloads."),
    click.option("--owner-email", metavar="EMAIL", help="E-mail of the owner, who may grant access to clients."),
    click.option("--owner-name", metavar="NAME", help="The owner's name."),
)


def _with_attributes(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_attributes):
        command = option(command)
    return command


@account.command()
@click.argument("slug")
@_with_attributes
@json_option
def create(slug: str, time_zone: str | None, owner_email: str | None, owner_name: str | None, as_json: bool) -> None:
    """Create the account SLUG (lower-case letters, digits, - and _) and its owner.

    The time zone defaults to DISPATCHER_TIME_ZONE, the owner's e-mail to SLUG@dispatcher.example, and the owner's
    name to SLUG.
    """
    if not _SLUG.match(slug):
        raise click.BadParameter("must have 1 to 63 lower-case letters, digits, - or _", param_hint="SLUG")
    zone = time_zone or current_container().settings.time_zone
    _check(zone, owner_email, owner_name)
    made, owner = create_account(
        current_container().storage, slug, zone, owner_email=owner_email, owner_name=owner_name
    )
    if as_json:
        print_json(_shown(made, owner))
    else:
        print(f"account {made.slug} created, time zone {made.time_zone}, owner {owner.email}")


@account.command()
@click.argument("slug")
@_with_attributes
@json_option
def edit(slug: str, time_zone: str | None, owner_email: str | None, owner_name: str | None, as_json: bool) -> None:
    """Change the given attributes of account SLUG and its owner. Events emitted earlier keep their datetimes."""
    if time_zone is None and owner_email is None and owner_name is None:
        raise click.UsageError("Nothing to change. Use --time-zone, --owner-email or --owner-name.")
    _check(time_zone, owner_email, owner_name)
    changed, owner = edit_account(
        current_container().storage, slug, time_zone=time_zone, owner_email=owner_email, owner_name=owner_name
    )
    if as_json:
        print_json(_shown(changed, owner))
    else:
        print(f"account {changed.slug} changed: time zone {changed.time_zone}, owner {owner.full_name} {owner.email}")


def _check(time_zone: str | None, owner_email: str | None, owner_name: str | None) -> None:
    """Raises click.BadParameter (exit code 2), which names the option."""
    if time_zone is not None:
        try:
            check_time_zone(time_zone)
        except ValidationError as error:
            raise click.BadParameter(str(error.messages[0]), param_hint="--time-zone") from None
    if owner_email is not None and not is_email(owner_email):
        raise click.BadParameter("must be an e-mail address", param_hint="--owner-email")
    if owner_name is not None and not is_text(owner_name):
        raise click.BadParameter("must have 1 to 320 printable characters", param_hint="--owner-name")


@account.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List all accounts with their owners."""
    with_owner = list_accounts(current_container().storage)
    if as_json:
        print_json([_shown(one, owner) for one, owner in with_owner])
        return
    print_table(
        ["account", "time zone", "owner", "name"],
        [(one.slug, one.time_zone, owner.email, owner.full_name) for one, owner in with_owner],
        empty="no accounts",
    )


@account.command()
@click.argument("slug")
@click.option("--email", help="E-mail of the user. Default: the account's owner.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@click.option("--generate", is_flag=True, help="Generate a password and print it.")
def password(slug: str, email: str | None, password_stdin: bool, generate: bool) -> None:
    """Set the password of a user of account SLUG, for signing in and granting access to clients.

    All sessions of the user end.
    """
    if password_stdin and generate:
        raise click.UsageError("--password-stdin and --generate are mutually exclusive")
    storage = current_container().storage
    storage.read(accounts.find, slug)  # before anybody types a password
    chosen = secrets.token_urlsafe(18) if generate else read_password(password_stdin)
    whose = set_password(storage, slug, email, chosen)
    print(chosen if generate else f"password of {whose} set")


def _shown(made: accounts.Account, owner: User) -> dict[str, object]:
    return {
        "id": made.id,
        "slug": made.slug,
        "time_zone": made.time_zone,
        "owner": {"email": owner.email, "full_name": owner.full_name},
    }
