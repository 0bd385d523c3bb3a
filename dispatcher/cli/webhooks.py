"""`dispatcher webhook`: who wants which events."""

from typing import Any

import click

from dispatcher.cli.backend import JSON, account_option, backend
from dispatcher.cli.output import json_option, print_json, print_table
from dispatcher.model.webhook import Ordering, PayloadVersion, Signing
from schemas.api.signing import DAY_S

_version = click.option(
    "--payload-version",
    type=click.Choice([str(version) for version in PayloadVersion]),
    help="`legacy` is the flat payload used before v2.",
)
_description = click.option("--description", metavar="TEXT", help="A note for people.")
_rate_limit = click.option("--rate-limit", type=int, metavar="N", help="Maximum requests per second.")
_signing = click.option(
    "--signing",
    type=click.Choice([str(signing) for signing in Signing]),
    help="`none` omits the Standard Webhooks headers.",
)
_ordering = click.option(
    "--ordering",
    type=click.Choice([str(ordering) for ordering in Ordering]),
    help="`resource` sends the deliveries of one resource one at a time, in the order of their events.",
)
_superseding = click.option(
    "--superseding/--no-superseding",
    default=None,
    help="Whether a newer update of a resource supersedes a pending one.",
)


@click.group()
def webhook() -> None:
    """Manage webhooks."""


@webhook.command()
@account_option
@click.option("--url", required=True, help="Where to POST, http:// or https://.")
@click.option("--event", "events", multiple=True, metavar="NAME", help="An event to subscribe to. May be repeated.")
@click.option("--auth-header", help="Value of the `Authorization` header.")
@_version
@_description
@_rate_limit
@_signing
@_ordering
@_superseding
@click.option("--inactive", is_flag=True, help="Create the webhook inactive.")
@json_option
def create(
    slug: str | None, url: str, events: tuple[str, ...], auth_header: str | None, inactive: bool, as_json: bool,
    **extras: Any,
) -> None:  # fmt: skip
    """Create a webhook and print its signing secret."""
    given = {
        "webhook_url": url,
        "events": list(events),
        "auth_header": auth_header,
        "active": not inactive,
        **{name: value for name, value in extras.items() if value is not None},
    }
    _print(backend().create_webhook(slug, given), as_json)


@webhook.command("list")
@account_option
@json_option
def list_(slug: str | None, as_json: bool) -> None:
    """List an account's webhooks, without their signing secrets."""
    found = backend().webhooks(slug)
    if as_json:
        print_json(found)
        return
    print_table(
        ["id", "url", "active", "payload", "events"],
        [
            (one["id"], one["webhook_url"], one["active"], one["payload_version"], ", ".join(one["events"]))
            for one in found
        ],
        empty="no webhooks",
    )


@webhook.command()
@click.argument("webhook_id", type=int)
@account_option
@json_option
def show(webhook_id: int, slug: str | None, as_json: bool) -> None:
    """Show one webhook, with its signing secret."""
    _print(backend().webhook(slug, webhook_id), as_json)


@webhook.command()
@click.argument("webhook_id", type=int)
@account_option
@click.option("--url", help="Where to POST.")
@click.option("--event", "events", multiple=True, metavar="NAME", help="Replaces all events. May be repeated.")
@click.option("--auth-header", help='Value of the `Authorization` header; "" removes it.')
@_version
@_description
@_rate_limit
@_signing
@_ordering
@_superseding
@click.option("--active/--inactive", default=None, help="Activate or deactivate the webhook.")
@json_option
def edit(
    webhook_id: int, slug: str | None, url: str | None, events: tuple[str, ...], auth_header: str | None,
    active: bool | None, as_json: bool, **extras: Any,
) -> None:  # fmt: skip
    """Change the given attributes of a webhook."""
    given = {"webhook_url": url, "events": list(events) or None, "active": active, **extras}
    changes = {name: value for name, value in given.items() if value is not None}
    if auth_header is not None:
        changes["auth_header"] = auth_header or None
    _print(backend().edit_webhook(slug, webhook_id, changes), as_json)


@webhook.command()
@click.argument("webhook_id", type=int)
@account_option
def delete(webhook_id: int, slug: str | None) -> None:
    """Delete a webhook and cancel its pending deliveries."""
    backend().delete_webhook(slug, webhook_id)
    print(f"webhook {webhook_id} deleted")


@webhook.command()
@click.argument("webhook_id", type=int)
@account_option
@json_option
def ping(webhook_id: int, slug: str | None, as_json: bool) -> None:
    """Send a signed `ping` event and print the response."""
    pinged = backend().ping(slug, webhook_id)
    if as_json:
        print_json(pinged)
        return
    print(f"{pinged['response_status']} after {pinged['duration_ms']} ms")
    for line in (pinged["reason"], pinged["response_body"]):
        if line:
            print(line)


@webhook.command("rotate-secret")
@click.argument("webhook_id", type=int)
@account_option
@click.option(
    "--previous-valid-for-s",
    type=click.IntRange(0, 7 * DAY_S),
    default=DAY_S,
    show_default=True,
    metavar="S",
    help="Seconds during which the previous secret also signs.",
)
@json_option
def rotate_secret(webhook_id: int, slug: str | None, previous_valid_for_s: int, as_json: bool) -> None:
    """Create a new signing secret and print it."""
    _print(backend().rotate_secret(slug, webhook_id, previous_valid_for_s), as_json)


def _print(shown: JSON, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    for name, value in shown.items():
        print(f"{name:24}{', '.join(value) if isinstance(value, list) else value}")
