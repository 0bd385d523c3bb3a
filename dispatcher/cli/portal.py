"""`dispatcher portal-link`: links that open the portal of an account, without a password."""

from typing import Any

import click

from dispatcher.access import portal
from dispatcher.cli.options import json_option, named_options
from dispatcher.cli.output import show
from dispatcher.current import current_container
from dispatcher.model.portal import ROLES
from dispatcher.schemas.api.portal import SESSION_MAX_S, SESSION_MIN_S


@click.command("portal-link")
@click.argument("account", metavar="ACCOUNT")
@click.option("--role", type=click.Choice(ROLES), help="Default: read.")
@click.option(
    "--expires-in",
    type=click.IntRange(SESSION_MIN_S, SESSION_MAX_S),
    metavar="S",
    help="Seconds that the session lasts. Default: 3600.",
)
@click.option("--label", help="Whose session it is, for the audit log.")
@click.option("--return-url", metavar="URL", help="Where the portal leads back to.")
@click.option("--revoke", is_flag=True, help="End all links and sessions of the account instead.")
@json_option
def portal_link(account: str, revoke: bool, as_json: bool, **attributes: Any) -> None:
    """Print a link that opens the portal of ACCOUNT, once and within an hour.

    ACCOUNT is your own id of it, or its slug if it has none.
    """
    container, requested = current_container(), named_options(attributes)
    if revoke:
        if requested:
            raise click.UsageError("--revoke cannot be combined with other options.")
        count = portal.revoke(container.storage, account)
        show({"revoked": count}, as_json, f"links and sessions of {account} ended: {count}")
        return
    settings = container.settings
    created, token = portal.create(container.storage, account, requested)
    url = portal.link(settings.public_url or f"http://{settings.host}:{settings.port}", token)
    record = {"id": created.id, "role": created.role, "ends_at": created.ends_at, "url": url}
    show(record, as_json, url)
