"""`dispatcher client`: the programs that may call the API."""

from typing import Any

import click

from dispatcher.access import clients as edit_client
from dispatcher.cli.output import json_option, print_json, print_table
from dispatcher.container import current_container
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
    made, secret = edit_client.create_client(
        current_container().storage, slug, slug if name is None else name, redirect_uris, scopes or SCOPES
    )
    shown = {"client_id": made.client_id, "client_secret": secret, **_shown(made, slug)}
    if as_json:
        print_json(shown)
        return
    for attribute, value in shown.items():
        print(f"{attribute:16}{' '.join(value) or '-' if isinstance(value, list) else value}")


@client.command("list")
@click.option("--account", "slug", metavar="SLUG", help="Only this account's.")
@json_option
def list_(slug: str | None, as_json: bool) -> None:
    """List clients, including revoked ones."""
    found = current_container().storage.transact(clients.list_all, slug=slug)
    if as_json:
        print_json(
            [
                {"client_id": one.client_id, **_shown(one, account), "revoked_at": one.revoked_at}
                for one, account in found
            ]
        )
        return
    print_table(
        ["client id", "account", "name", "grant", "scopes", "created", "revoked"],
        [
            (
                one.client_id,
                account,
                one.name,
                "authorization code" if one.redirect_uris else "client credentials",
                " ".join(one.scopes),
                one.created_at,
                one.revoked_at,
            )
            for one, account in found
        ],
        empty="no clients",
    )


@client.command()
@click.argument("client_id")
def revoke(client_id: str) -> None:
    """Revoke a client: delete its tokens and webhooks, and cancel their pending deliveries."""
    deleted = edit_client.revoke_client(current_container().storage, client_id)
    print(f"client {client_id} revoked, {deleted} of its webhooks deleted")


def _shown(made: Client, slug: str) -> dict[str, Any]:
    return {
        "account": slug,
        "name": made.name,
        "redirect_uris": list(made.redirect_uris),
        "scopes": list(made.scopes),
        "created_at": made.created_at,
    }
