"""`dispatcher account`: whose events and webhooks these are, and who may agree to what clients ask for."""

import re

import click
from marshmallow import ValidationError

from dispatcher.access import tenants as access
from dispatcher.access.accounts import create_account, edit_account, list_accounts
from dispatcher.cli.options import email, json_option, name, option_group
from dispatcher.cli.output import show, show_attributes, show_list
from dispatcher.current import current_container
from dispatcher.model.account import Account
from dispatcher.settings import check_time_zone
from dispatcher.storage.admin import tenants
from dispatcher.storage.admin.users import User

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")


def _new_slug(text: str) -> str:
    if not _SLUG.match(text):
        raise click.BadParameter("must have 1 to 63 lower-case letters, digits, - or _")
    return text


def _time_zone(text: str) -> str:
    try:
        check_time_zone(text)
    except ValidationError as error:
        raise click.BadParameter(str(error.messages[0])) from None
    return text


_attributes = option_group(
    click.option("--time-zone", type=_time_zone, metavar="ZONE", help="IANA name, used for the datetimes in payloads."),
    click.option("--owner-email", type=email, help="E-mail of the owner, who may grant access to clients."),
    click.option("--owner-name", type=name, help="The owner's name."),
    json_option,
)


@click.group()
def account() -> None:
    """Manage accounts."""


@account.command()
@click.argument("slug", type=_new_slug, metavar="SLUG")
@_attributes
def create(slug: str, time_zone: str | None, owner_email: str | None, owner_name: str | None, as_json: bool) -> None:
    """Create the account SLUG (lower-case letters, digits, - and _) and its owner.

    The time zone defaults to DISPATCHER_TIME_ZONE or the catalogue's, the owner's e-mail to SLUG@dispatcher.example,
    and the owner's name to SLUG.
    """
    container = current_container()
    zone = time_zone or container.settings.time_zone
    created, owner = create_account(container.storage, slug, zone, owner_email=owner_email, owner_name=owner_name)
    sentence = f"account {created.slug} created, time zone {created.time_zone}, owner {owner.email}"
    show(_record(created, owner), as_json, sentence)


@account.command()
@click.argument("slug")
@_attributes
def edit(slug: str, time_zone: str | None, owner_email: str | None, owner_name: str | None, as_json: bool) -> None:
    """Change the given attributes of account SLUG and its owner. Events emitted earlier keep their datetimes."""
    if time_zone is None and owner_email is None and owner_name is None:
        raise click.UsageError("Nothing to change. Use --time-zone, --owner-email or --owner-name.")
    edited, owner = edit_account(
        current_container().storage, slug, time_zone=time_zone, owner_email=owner_email, owner_name=owner_name
    )
    sentence = f"account {edited.slug} changed: time zone {edited.time_zone}, owner {owner.full_name} {owner.email}"
    show(_record(edited, owner), as_json, sentence)


@account.command()
@click.argument("account_id", metavar="ACCOUNT")
@click.option(
    "--frame-ancestor",
    "frame_ancestors",
    multiple=True,
    metavar="ORIGIN",
    help="Origin whose pages may frame the portal, such as https://app.example.com. May be repeated; '' for none.",
)
@click.option("--company", help="The name that the portal shows.")
@click.option("--logo-url", metavar="URL", help="An image beside the name.")
@click.option("--accent", metavar="#RRGGBB", help="The colour of links and buttons.")
@click.option("--accent-dark", metavar="#RRGGBB", help="The same, in the dark.")
@json_option
def portal(account_id: str, frame_ancestors: tuple[str, ...], as_json: bool, **theme: str | None) -> None:
    """Show how the portal of ACCOUNT looks and who may frame it, with the given attributes changed.

    ACCOUNT is your own id of it, or its slug if it has none. An empty value removes an attribute.
    """
    container = current_container()
    before = container.storage.read(tenants.find, account_id).portal
    changes = {name: value for name, value in theme.items() if value is not None}
    chosen = {name: value for name, value in ({**before.get("theme", {}), **changes}).items() if value}
    origins = [one for one in frame_ancestors or before.get("frame_ancestors", ()) if one]
    after = {"frame_ancestors": origins, "theme": chosen}
    if frame_ancestors or changes:
        access.edit(container.storage, container.settings, account_id, {"portal": after})
    show_attributes(after, as_json)


@account.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List all accounts with their owners."""
    show_list(
        [_record(one, owner) for one, owner in list_accounts(current_container().storage)],
        as_json,
        {
            "account": "slug",
            "time zone": "time_zone",
            "owner": lambda one: one["owner"]["email"],
            "name": lambda one: one["owner"]["full_name"],
        },
        empty="no accounts",
    )


def _record(account: Account, owner: User) -> dict[str, object]:
    return {
        "id": account.id,
        "slug": account.slug,
        "time_zone": account.time_zone,
        "owner": {"email": owner.email, "full_name": owner.full_name},
    }
