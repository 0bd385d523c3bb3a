"""`dispatcher webhook`: who subscribes to which events."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import click

from dispatcher.cli.backend import backend
from dispatcher.cli.options import EventName, account_option, json_option, named_options, one_of, option_group
from dispatcher.cli.output import print_json, show_attributes, show_list
from dispatcher.errors import InvalidFile
from dispatcher.model.webhook import Ordering, PayloadVersion, Signing
from dispatcher.schemas.api.headers import read_lines
from dispatcher.schemas.api.options import RETRY_SCHEDULES, read_number, read_schedule, read_words
from dispatcher.schemas.api.signatures import SCHEMES
from dispatcher.schemas.api.signing import DAY_S
from dispatcher.webhooks.versions import NEWEST

_EVENT = "An event to subscribe to, or a wildcard such as `order.*`. May be repeated."
_REMOVABLE = (
    "auth_header",
    "oauth2",
    "client_certificate",
    "filter",
    "payload_limit",
    "timeout_s",
    "retry_schedule",
    "success_codes",
    "signature_header",
    "destination",
    "credentials",
)
"""Attributes that `edit` sets to null for an empty value."""
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----\n?", re.DOTALL)


def _json(text: str) -> Any:
    try:
        return json.loads(_read(text[1:]) if text.startswith("@") else text) if text else ""
    except ValueError:
        raise click.BadParameter("must be JSON") from None


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise click.BadParameter("cannot be read") from None


def _certificate(path: str) -> Any:
    """What a file in PEM holds: its keys, and what else there is."""
    if not path:
        return ""
    text = _read(path)
    keys = "".join(_PRIVATE_KEY.findall(text))
    return {"certificate": _PRIVATE_KEY.sub("", text), "private_key": keys or None}


def _or_empty(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """What `read` makes of a text; "" stays, which removes the attribute."""
    return lambda text: read(text) or ""


def _headers(_context: click.Context, _option: click.Parameter, lines: tuple[str, ...]) -> dict[str, str] | None:
    return read_lines(lines) if lines else None


def _secret_headers(
    context: click.Context, option: click.Parameter, lines: tuple[str, ...]
) -> dict[str, str | None] | None:
    headers = _headers(context, option, lines)
    return None if headers is None else {name: value or None for name, value in headers.items()}


def _metadata(_context: click.Context, _option: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str] | None:
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs if pair)} if pairs else None


def _pairs(context: click.Context, option: click.Parameter, pairs: tuple[str, ...]) -> object:
    """Pairs; of an empty one "", which removes the attribute."""
    return "" if pairs == ("",) else _metadata(context, option, pairs)


def _credentials(context: click.Context, option: click.Parameter, pairs: tuple[str, ...]) -> object:
    """The same; a value of `@FILE` is what is in that file."""
    values = _pairs(context, option, pairs)
    if not isinstance(values, dict):
        return values
    return {name: _read(value[1:]) if value[:1] == "@" else value for name, value in values.items()}


def _words(_context: click.Context, _option: click.Parameter, words: tuple[str, ...]) -> list[str] | None:
    return [word for word in words if word] if words else None


def _versions(_context: click.Context, _option: click.Parameter, pins: tuple[str, ...]) -> object:
    if pins == (NEWEST,):
        return NEWEST
    pairs = [pin.partition("=") for pin in pins]
    if not all(version.isdecimal() for _, _, version in pairs):
        raise click.BadParameter(f"must be such as order.shipped=2, or {NEWEST}")
    return {name: int(version) for name, _, version in pairs} or None


def _previous_valid_for(about: str) -> Callable[[Any], Any]:
    return click.option(
        "--previous-valid-for-s",
        type=click.IntRange(0, 7 * DAY_S),
        default=DAY_S,
        show_default=True,
        metavar="S",
        help=about,
    )


_webhook = option_group(click.argument("webhook_id", type=int), account_option)
_extras = option_group(
    click.option("--payload-version", type=one_of(PayloadVersion), help="`legacy` is the flat payload used before v2."),
    click.option("--description", metavar="TEXT", help="A note for people."),
    click.option(
        "--tag", "tags", multiple=True, callback=_words, help='May be repeated, and replaces all; "" removes them.'
    ),
    click.option(
        "--metadata", multiple=True, callback=_metadata, metavar="NAME=VALUE",
        help='For your own programs. May be repeated, and replaces all; "" removes them.',
    ),
    click.option("--uid", metavar="ID", help="Your own id of it, one of each in an account."),
    click.option("--rate-limit", type=int, metavar="N", help="Maximum requests per second."),
    click.option("--signing", type=one_of(Signing), help="`none` omits the Standard Webhooks headers."),
    click.option(
        "--ordering",
        type=one_of(Ordering),
        help="`resource` sends the deliveries of one resource one at a time, in the order of their events.",
    ),
    click.option(
        "--superseding/--no-superseding",
        default=None,
        help="Whether a newer update of a resource supersedes a pending one.",
    ),
    click.option(
        "--filter", type=_json, metavar="JSON", help='Send only events whose bodies match; "" removes the filter.'
    ),
    click.option("--timeout", "timeout_s", type=_or_empty(read_number), metavar="S", help="Seconds for one attempt."),
    click.option(
        "--retry-schedule",
        type=_or_empty(read_schedule),
        metavar="NAME|S,S,...",
        help=f"When failed attempts are retried: {', '.join(RETRY_SCHEDULES)}, or the seconds before each retry.",
    ),
    click.option(
        "--success-codes", type=_or_empty(read_words), metavar="CODE,...", help="What means success, such as `2xx,409`."
    ),
    click.option(
        "--only-field", "only_fields", multiple=True, metavar="PATH", callback=_words,
        help='Send only this attribute of bodies, such as `invoice.lines.name`. May be repeated; "" means all.',
    ),
    click.option(
        "--exclude-field", "excluded_fields", multiple=True, metavar="PATH", callback=_words,
        help='Never send this attribute of bodies. May be repeated; "" means none.',
    ),
    click.option(
        "--payload-limit", type=_or_empty(read_number), metavar="BYTES",
        help='Of a larger payload send a URL (a claim check); "" removes the limit.',
    ),
    click.option(
        "--header", "headers", multiple=True, callback=_headers, metavar="'NAME: VALUE'",
        help='Sent with every request. May be repeated, and replaces all; "" removes them.',
    ),
    click.option(
        "--secret-header", "secret_headers", multiple=True, callback=_secret_headers, metavar="'NAME: VALUE'",
        help="The same, encrypted and never shown. A name without a value keeps the one it has.",
    ),
    click.option(
        "--oauth2", type=_json, metavar="JSON",
        help="OAuth 2.0 client credentials, whose access token is sent: an object of `token_url`, `client_id`, "
        "`client_secret`, and `scopes`, `parameters`, `auth_method` (basic|post); @FILE reads it from a file; "
        '"" removes it.',
    ),
    click.option(
        "--client-certificate", type=_certificate, metavar="FILE",
        help='A file in PEM with a certificate, its chain and its key, for mutual TLS; "" removes it.',
    ),
    click.option(
        "--destination", multiple=True, callback=_pairs, metavar="NAME=VALUE",
        help='Where the URL is not HTTP, such as `routing_key={event}`. May be repeated, and replaces all.',
    ),
    click.option(
        "--credential", "credentials", multiple=True, callback=_credentials, metavar="NAME=VALUE",
        help="For that, such as `username=events`; `password=@FILE` reads a file. Encrypted and never shown.",
    ),
    click.option(
        "--signature-scheme", "signature_schemes", multiple=True, callback=_words, metavar="|".join(SCHEMES),
        help='How requests are signed. May be repeated, and replaces all; "" means v1.',
    ),
    click.option(
        "--signature-prefix", "signature_prefixes", multiple=True, callback=_words, metavar="TEXT",
        help='Of the headers of v1 and v1a, such as `svix-`. May be repeated, and replaces all; "" means `webhook-`.',
    ),
    click.option(
        "--signature-header", metavar="NAME", help='Of another company\'s signature; "" means its own.'
    ),
    click.option(
        "--event-version", "event_versions", multiple=True, callback=_versions, metavar="NAME=N",
        help="Pins an event to a version of its body; `newest` pins all. May be repeated.",
    ),
)  # fmt: skip


@click.group()
def webhook() -> None:
    """Manage webhooks."""


@webhook.command()
@account_option
@click.option("--url", "webhook_url", help="Where to POST, http:// or https://.")
@click.option("--poll", "is_polled", is_flag=True, help="Keep deliveries until they are fetched; there is no URL.")
@click.option("--event", "events", multiple=True, metavar="NAME", help=_EVENT)
@click.option("--auth-header", help="Value of the `Authorization` header.")
@_extras
@click.option("--inactive", is_flag=True, help="Create the webhook inactive.")
@json_option
def create(
    slug: str | None, events: tuple[str, ...], inactive: bool, is_polled: bool, as_json: bool, **options: Any
) -> None:
    """Create a webhook and print its signing secret."""
    if not is_polled and options["webhook_url"] is None:
        raise click.UsageError("Missing option '--url'.")
    attributes = {**named_options(options), "events": list(events), "active": not inactive}
    if is_polled:
        attributes["delivery"] = "poll"
    show_attributes(backend().create_webhook(slug, attributes), as_json)


@webhook.command("list")
@account_option
@click.option("--tag", help="Only those with this tag.")
@json_option
def list_(slug: str | None, tag: str | None, as_json: bool) -> None:
    """List an account's webhooks, without their signing secrets."""
    columns = {
        "id": "id",
        "url": "webhook_url",
        "active": "active",
        "payload": "payload_version",
        "events": "events",
        "tags": "tags",
    }
    show_list(backend().webhooks(slug, tag), as_json, columns, empty="no webhooks")


@webhook.command()
@_webhook
@json_option
def show(webhook_id: int, slug: str | None, as_json: bool) -> None:
    """Show one webhook, with its signing secret."""
    show_attributes(backend().webhook(slug, webhook_id), as_json)


@webhook.command()
@_webhook
@click.option("--url", "webhook_url", help="Where to POST.")
@click.option("--event", "events", multiple=True, metavar="NAME", help=f"{_EVENT} Replaces all.")
@click.option("--auth-header", help='Value of the `Authorization` header; "" removes it.')
@_extras
@click.option("--active/--inactive", default=None, help="Activate or deactivate the webhook.")
@json_option
def edit(webhook_id: int, slug: str | None, as_json: bool, **options: Any) -> None:
    """Change the given attributes of a webhook."""
    changes = {
        name: None if value == "" and name in _REMOVABLE else value for name, value in named_options(options).items()
    }
    show_attributes(backend().edit_webhook(slug, webhook_id, changes), as_json)


@webhook.command()
@_webhook
def delete(webhook_id: int, slug: str | None) -> None:
    """Delete a webhook and cancel its pending deliveries."""
    backend().delete_webhook(slug, webhook_id)
    print(f"webhook {webhook_id} deleted")


@webhook.command("rotate-poll-token")
@click.argument("webhook_id", type=int)
@click.option("--account", "slug", required=True, metavar="SLUG", help="The webhook's account.")
@_previous_valid_for("Seconds for which the previous token goes on.")
def rotate_poll_token(webhook_id: int, slug: str, previous_valid_for_s: int) -> None:
    """Create a token with which a polled webhook's deliveries are fetched, and print it."""
    from dispatcher.current import current_container  # noqa: PLC0415 -- the other commands may do without a database
    from dispatcher.storage.admin import accounts  # noqa: PLC0415
    from dispatcher.webhooks import polling  # noqa: PLC0415

    storage = current_container().storage
    options = {"previous_valid_for_s": previous_valid_for_s}
    print(polling.rotate_token(storage, storage.read(accounts.find, slug).id, webhook_id, options).token)


@webhook.command("import")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option(
    "--from", "origin", type=click.Choice(["svix", "convoy"]), required=True, help="Whose endpoints they are."
)
@click.option("--account", "slug", required=True, metavar="SLUG", help="The account that gets them.")
def import_(file: IO[str], origin: str, slug: str) -> None:
    """Create webhooks of endpoints in a JSON file, with the secrets that their receivers have."""
    from dispatcher.current import current_container  # noqa: PLC0415 -- the other commands may do without a database
    from dispatcher.webhooks.importing import import_from_convoy, import_from_svix  # noqa: PLC0415

    read = import_from_convoy if origin == "convoy" else import_from_svix

    try:
        document = json.load(file)
        webhooks = read(current_container().storage, slug, document)
    except ValueError:
        raise click.ClickException(f"{file.name}: must be JSON") from None
    except InvalidFile as error:
        raise click.ClickException(f"{file.name}: {error}") from None
    for one in webhooks:
        print(f"webhook {one.id} ({one.uid}) created")
    print(f"{len(webhooks)} created")


@webhook.command()
@_webhook
@click.option("--event", "event_name", type=EventName(), help="Send the example of this event, marked as a test.")
@json_option
def ping(webhook_id: int, slug: str | None, event_name: str | None, as_json: bool) -> None:
    """Send a signed `ping` event, or the example of an event, and print the response."""
    response = backend().ping(slug, webhook_id, event_name)
    if as_json:
        print_json(response)
        return
    print(f"{response['response_status']} after {response['duration_ms']} ms")
    for line in (response["reason"], response["response_body"]):
        if line:
            print(line)


@webhook.command("rotate-secret")
@_webhook
@_previous_valid_for("Seconds during which the previous secret also signs.")
@json_option
def rotate_secret(webhook_id: int, slug: str | None, previous_valid_for_s: int, as_json: bool) -> None:
    """Create a new signing secret and print it."""
    show_attributes(backend().rotate_secret(slug, webhook_id, previous_valid_for_s), as_json)
