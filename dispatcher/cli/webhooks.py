"""`dispatcher webhook`: who wants which events."""

from typing import Any

import click

from dispatcher.cli.output import json_option, print_json, print_table
from dispatcher.flow import edit_webhook
from dispatcher.model.webhook import PayloadVersion, Webhook
from dispatcher.services import services
from dispatcher.storage import accounts, webhooks

_account = click.option("--account", "slug", required=True, metavar="SLUG", help="The account.")
_version = click.option(
    "--payload-version",
    type=click.Choice([str(version) for version in PayloadVersion]),
    help="`legacy`: the flat payload from before v2.",
)


@click.group()
def webhook() -> None:
    """Webhooks."""


@webhook.command()
@_account
@click.option("--url", required=True, help="Where to POST, http:// or https://.")
@click.option("--event", "events", multiple=True, metavar="NAME", help="An event it wants; may be repeated.")
@click.option("--auth-header", help="Sent as the `Authorization` header, as it is.")
@_version
@click.option("--inactive", is_flag=True, help="Create it switched off.")
@json_option
def create(
    slug: str,
    url: str,
    events: tuple[str, ...],
    auth_header: str | None,
    payload_version: str | None,
    inactive: bool,
    as_json: bool,
) -> None:
    """Create a webhook; prints its signing secret."""
    given = {
        "webhook_url": url,
        "events": list(events),
        "auth_header": auth_header,
        "active": not inactive,
        "payload_version": payload_version or PayloadVersion.V3,
    }
    _print(edit_webhook.create_webhook(services().storage, slug, given), as_json)


@webhook.command("list")
@_account
@json_option
def list_(slug: str, as_json: bool) -> None:
    """List an account's webhooks."""
    storage = services().storage
    found = storage.run(
        lambda connection: webhooks.of_account(connection, storage.secrets, accounts.find(connection, slug).id)
    )
    if as_json:
        print_json([_shown(one) for one in found])
        return
    print_table(
        ["id", "url", "active", "payload", "events"],
        [(one.id, one.webhook_url, one.active, one.payload_version, ", ".join(one.events)) for one in found],
        empty=f"account {slug} has no webhooks",
    )


@webhook.command()
@click.argument("webhook_id", type=int)
@_account
@json_option
def show(webhook_id: int, slug: str, as_json: bool) -> None:
    """Show one webhook, with its signing secret."""
    storage = services().storage
    _print(
        storage.run(
            lambda connection: webhooks.find(
                connection, storage.secrets, accounts.find(connection, slug).id, webhook_id
            )
        ),
        as_json,
    )


@webhook.command()
@click.argument("webhook_id", type=int)
@_account
@click.option("--url", help="Where to POST.")
@click.option("--event", "events", multiple=True, metavar="NAME", help="Replaces all events; may be repeated.")
@click.option("--auth-header", help='The `Authorization` header; "" removes it.')
@_version
@click.option("--active/--inactive", default=None, help="Switch it on or off.")
@json_option
def edit(
    webhook_id: int,
    slug: str,
    url: str | None,
    events: tuple[str, ...],
    auth_header: str | None,
    payload_version: str | None,
    active: bool | None,
    as_json: bool,
) -> None:
    """Change what is given, leave the rest."""
    changes: dict[str, Any] = {
        "webhook_url": url,
        "events": list(events) or None,
        "payload_version": payload_version,
        "active": active,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    if auth_header is not None:
        changes["auth_header"] = auth_header or None
    own = services()
    _print(edit_webhook.edit_webhook(own.storage, own.schedule, slug, webhook_id, changes), as_json)


@webhook.command()
@click.argument("webhook_id", type=int)
@_account
def delete(webhook_id: int, slug: str) -> None:
    """Delete a webhook; what waits for it is cancelled."""
    edit_webhook.delete_webhook(services().storage, slug, webhook_id)
    print(f"webhook {webhook_id} deleted")


def _print(webhook_: Webhook, as_json: bool) -> None:
    if as_json:
        print_json(_shown(webhook_))
        return
    for name, value in _shown(webhook_).items():
        print(f"{name:24}{', '.join(value) if isinstance(value, list) else value}")


def _shown(webhook_: Webhook) -> dict[str, Any]:
    """API v3's object and our extras. The secret is shown: who may run this command may read the database too."""
    return {
        "id": webhook_.id,
        "failed_deliveries_uuid": str(webhook_.failed_deliveries_uuid),
        "webhook_url": webhook_.webhook_url,
        "auth_header": webhook_.auth_header,
        "active": webhook_.active,
        "events": list(webhook_.events),
        "created_at": webhook_.created_at.isoformat(timespec="milliseconds"),
        "updated_at": webhook_.updated_at.isoformat(timespec="milliseconds"),
        "payload_version": str(webhook_.payload_version),
        "signing_secret": webhook_.signing_secret,
    }
