"""`dispatcher client`: the programs that may call the API."""

from typing import Any

import click

from dispatcher.access.clients import create_client, revoke_client
from dispatcher.cli.options import json_option, only_account_option
from dispatcher.cli.output import show_attributes, show_list
from dispatcher.current import current_container
from dispatcher.storage.admin import clients
from dispatcher.storage.admin.clients import SCOPES, Client


@click.group()
def client() -> None:
    """Manage clients of the API."""


@client.command()
@click.option(
    "--account",
    "slug",
    required=True,
    metavar="SLUG",
    help="The account that the client belongs to, and acts for without --redirect-uri.",
)
@click.option("--name", help="Shown when access is requested. Default: SLUG.")
@click.option(
    "--redirect-uri",
    "redirect_uris",
    multiple=True,
    metavar="URI",
    help="Act for users of any account who grant access, and redirect them here. May be repeated.",
)
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="Default: all. May be repeated.")
@json_option
def create(slug: str, name: str | None, redirect_uris: tuple[str, ...], scopes: tuple[str, ...], as_json: bool) -> None:
    """Create a client and print its id and its secret, which is shown only once."""
    created, secret = create_client(
        current_container().storage, slug, slug if name is None else name, redirect_uris, scopes or SCOPES
    )
    record = _record(created, slug)
    show_attributes({"client_id": record.pop("client_id"), "client_secret": secret, **record}, as_json)


@client.command("list")
@only_account_option
@json_option
def list_(slug: str | None, as_json: bool) -> None:
    """List clients, including revoked ones."""
    show_list(
        [
            _record(one, account) | {"revoked_at": one.revoked_at}
            for one, account in current_container().storage.read(clients.list_all, slug=slug)
        ],
        as_json,
        {
            "client id": "client_id",
            "account": "account",
            "name": "name",
            "grant": lambda one: "authorization code" if one["redirect_uris"] else "client credentials",
            "scopes": "scopes",
            "created": "created_at",
            "revoked": "revoked_at",
        },
        empty="no clients",
    )


@client.command()
@click.argument("client_id")
def revoke(client_id: str) -> None:
    """Revoke a client: delete its tokens and webhooks, and cancel their pending deliveries."""
    deleted = revoke_client(current_container().storage, client_id)
    print(f"client {client_id} revoked, {deleted} of its webhooks deleted")


def _record(client: Client, slug: str) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "account": slug,
        "name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "scopes": list(client.scopes),
        "created_at": client.created_at,
    }
