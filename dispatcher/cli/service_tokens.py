"""`dispatcher service-token`: the company's own programs, which act for all accounts below /api/v1."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from dispatcher.access import service_tokens
from dispatcher.cli.options import json_option
from dispatcher.cli.output import show_attributes, show_list
from dispatcher.current import current_container
from dispatcher.storage.admin.service_tokens import FULL, LIMITS, READ_ONLY, SCOPES, ServiceToken

_id = click.argument("token_id", type=int, metavar="ID")


def _limits(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options `--requests-per-minute` and `--emits-per-minute`."""
    for name, what in (("emits", "Emits"), ("requests", "Other requests")):
        sentence = f"{what} that it may make in a minute; 0: no limit."
        option = click.option(f"--{name}-per-minute", type=click.IntRange(0, 10_000_000), metavar="N", help=sentence)
        function = option(function)
    return function


@click.group("service-token")
def service_token() -> None:
    """Manage service tokens, which act for all accounts."""


@service_token.command()
@click.option("--name", required=True, help="What uses it, for people.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="Default: all. May be repeated.")
@click.option("--read-only", is_flag=True, help="The scopes that read, and no other.")
@click.option("--expires-in-days", type=click.IntRange(1, 3_650), metavar="N", help="Default: never.")
@_limits
@json_option
def create(
    name: str,
    scopes: tuple[str, ...],
    read_only: bool,
    expires_in_days: int | None,
    as_json: bool,
    **limits: int | None,
) -> None:
    """Create a token and print it. It is shown only once."""
    if scopes and read_only:
        raise click.UsageError("Use either --scope or --read-only.")
    lifetime = None if expires_in_days is None else timedelta(days=expires_in_days)
    scopes = scopes or (READ_ONLY if read_only else FULL)
    new_limits = {name: limit or None for name, limit in limits.items()}
    created, token = service_tokens.create(current_container().storage, name, scopes, lifetime, new_limits)
    show_attributes({"token": token, **_record(created)}, as_json)


@service_token.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List tokens, including those that have ended."""
    columns = {
        "id": "id", "name": "name", "scopes": "scopes", "created": "created_at", "expires": "expires_at",
        "revoked": "revoked_at", "last used": "last_used_at", "requests/min": "requests_per_minute",
        "emits/min": "emits_per_minute",
    }  # fmt: skip
    tokens = service_tokens.list_all(current_container().storage)
    show_list([_record(one) for one in tokens], as_json, columns, empty="no service tokens")


@service_token.command()
@_id
@_limits
@json_option
def edit(token_id: int, as_json: bool, **limits: int | None) -> None:
    """Change the limits of a token."""
    new_limits = {name: limit or None for name, limit in limits.items() if limit is not None}
    show_attributes(_record(service_tokens.edit(current_container().storage, token_id, new_limits)), as_json)


@service_token.command()
@_id
@click.option(
    "--overlap-hours",
    type=click.IntRange(0, 720),
    default=24,
    show_default=True,
    metavar="N",
    help="Hours until the old token ends.",
)
@json_option
def rotate(token_id: int, overlap_hours: int, as_json: bool) -> None:
    """Create a token with the same name, scopes, limits and lifetime. The old one ends after the overlap."""
    overlap = timedelta(hours=overlap_hours)
    created, token = service_tokens.rotate(current_container().storage, token_id, overlap)
    show_attributes({"token": token, **_record(created)}, as_json)


@service_token.command()
@_id
def revoke(token_id: int) -> None:
    """Revoke a token. Web processes refuse it within 50 ms."""
    service_tokens.revoke(current_container().storage, token_id)
    print(f"service token {token_id} revoked")


def _record(token: ServiceToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "scopes": list(token.scopes),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "last_used_at": token.last_used_at,
        **{name: getattr(token, name) for name in LIMITS},
    }
