"""`dispatcher alert-channel`: alerts to people, by e-mail, in Slack or by a webhook."""

from typing import Any

import click

from dispatcher.alerts import channels
from dispatcher.cli.options import json_option, named_options, one_of, option_group
from dispatcher.cli.output import show_attributes, show_list, time_of
from dispatcher.current import current_container
from dispatcher.errors import DispatcherError
from dispatcher.model.alert import AlertChannel, AlertKind, ChannelType
from dispatcher.representations import alert_channel_json
from dispatcher.storage.admin import accounts, alert_channels

_whose = option_group(
    click.option("--account", "slug", metavar="SLUG", help="The account whose channel it is."),
    click.option("--operators", is_flag=True, help="It is the operators'."),
)
_one = option_group(click.argument("channel_id", type=int, metavar="ID"), _whose)
_extras = option_group(
    click.option(
        "--alert",
        "alerts",
        multiple=True,
        type=one_of(AlertKind),
        help="An alert that it gets; may be repeated. Default: all that concern it.",
    ),
    click.option(
        "--failing-after-minutes",
        type=int,
        metavar="N",
        help=f"Minutes of nothing but failures, before a webhook counts as failing. Default: "
        f"{channels.FAILING_AFTER_MINUTES}.",
    ),
    click.option("--active/--paused", default=None, help="A paused channel gets nothing."),
)


@click.group("alert-channel")
def alert_channel() -> None:
    """Manage alert channels: e-mail, Slack and webhooks, for accounts and operators."""


@alert_channel.command()
@_whose
@click.option("--name", required=True, help="For people.")
@click.option("--type", required=True, type=one_of(ChannelType), help="How it is reached.")
@click.option("--target", required=True, metavar="ADDRESS", help="An e-mail address, or a URL.")
@_extras
@json_option
def create(slug: str | None, operators: bool, as_json: bool, **attributes: Any) -> None:
    """Create a channel. The signing secret of a webhook is printed only now."""
    storage = current_container().storage
    created = channels.create_channel(storage, _account_id(slug, operators), named_options(attributes))
    show_attributes({**_record(created), "signing_secret": created.signing_secret}, as_json)


@alert_channel.command("list")
@_whose
@json_option
def list_(slug: str | None, operators: bool, as_json: bool) -> None:
    """List channels."""
    storage = current_container().storage
    some = storage.read(alert_channels.list_all, storage.secrets, _account_id(slug, operators))
    columns = {
        "id": "id", "name": "name", "type": "type", "target": "target", "alerts": "alerts", "active": "active",
        "last sent": time_of("last_sent_at"), "last error": "last_error",
    }  # fmt: skip
    show_list([_record(one) for one in some], as_json, columns, empty="no alert channels")


@alert_channel.command()
@_one
@click.option("--name", help="For people.")
@click.option("--target", metavar="ADDRESS", help="An e-mail address, or a URL.")
@_extras
@json_option
def edit(channel_id: int, slug: str | None, operators: bool, as_json: bool, **attributes: Any) -> None:
    """Change a channel."""
    changes = named_options(attributes)
    storage = current_container().storage
    show_attributes(_record(channels.edit_channel(storage, _account_id(slug, operators), channel_id, changes)), as_json)


@alert_channel.command()
@_one
def delete(channel_id: int, slug: str | None, operators: bool) -> None:
    """Delete a channel."""
    channels.delete_channel(current_container().storage, _account_id(slug, operators), channel_id)
    print(f"alert channel {channel_id} deleted")


@alert_channel.command()
@_one
def test(channel_id: int, slug: str | None, operators: bool) -> None:
    """Send a test to a channel, at most once a minute."""
    container = current_container()
    account_id = _account_id(slug, operators)
    if error := channels.send_test(container.storage, container.senders, container.settings, account_id, channel_id):
        raise DispatcherError(f"the test was not taken: {error}")
    print("sent")


def _account_id(slug: str | None, operators: bool) -> int | None:
    if (slug is None) != operators:
        raise click.UsageError("Use either --account or --operators.")
    return None if slug is None else current_container().storage.read(accounts.find, slug).id


def _record(channel: AlertChannel) -> dict[str, Any]:
    return alert_channel_json(channel, "UTC")
