"""`dispatcher user`: who may sign in to the console. An account's people see it alone; operators see all accounts."""

from collections.abc import Callable
from typing import Any

import click

from dispatcher.access import users as access
from dispatcher.cli.output import json_option, print_json, print_table
from dispatcher.cli.people import is_email, is_text, read_password
from dispatcher.container import current_container
from dispatcher.storage.admin import accounts, sessions, users


@click.group()
def user() -> None:
    """Manage users of the console."""


def _whose(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--account` or `--operator`: exactly one of them."""
    for option in (
        click.option("--operator", is_flag=True, help="A user who sees all accounts."),
        click.option("--account", "slug", metavar="SLUG", help="The account of the user."),
    ):
        command = option(command)
    return command


_password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
)


@user.command()
@_whose
@click.argument("email")
@click.option("--name", help="Full name. Default: the e-mail.")
@click.option("--read-only", is_flag=True, help="Give read-only access.")
@_password_stdin
def create(
    slug: str | None, operator: bool, email: str, name: str | None, read_only: bool, password_stdin: bool
) -> None:
    """Create a user who signs in with EMAIL and a password, which is prompted for."""
    _check_one(slug, operator)
    if not is_email(email):
        raise click.BadParameter("must be an e-mail address", param_hint="EMAIL")
    if name is not None and not is_text(name):
        raise click.BadParameter("must have 1 to 320 printable characters", param_hint="--name")
    if operator and read_only:
        raise click.UsageError("--operator and --read-only are mutually exclusive")
    _check_account(slug)
    permission = "operator" if operator else "read" if read_only else "write"
    chosen = read_password(password_stdin)
    access.create_user(
        current_container().storage, slug, email, full_name=name or email, permission=permission, password=chosen
    )
    print(f"{email} can sign in" + (" and see all accounts" if operator else f" to {slug}"))


@user.command("list")
@click.option("--account", "slug", metavar="SLUG", help="Only this account's.")
@json_option
def list_(slug: str | None, as_json: bool) -> None:
    """List users, operators first."""
    found = current_container().storage.transact(users.list_all, slug)
    if as_json:
        print_json(found)
        return
    print_table(
        ["account", "e-mail", "name", "permission", "password", "created"],
        [
            (one.account_slug, one.email, one.full_name, one.permission, one.has_password, one.created_at)
            for one in found
        ],
        empty="no users",
    )


@user.command()
@_whose
@click.argument("email")
@_password_stdin
def password(slug: str | None, operator: bool, email: str, password_stdin: bool) -> None:
    """Set the password of EMAIL and end all of their sessions."""
    _check_one(slug, operator)
    _check_account(slug)
    access.set_password(current_container().storage, slug, email, read_password(password_stdin))
    print(f"password of {email} set")


@user.command("sessions")
@click.option("--account", "slug", metavar="SLUG", help="Only this account's users.")
@json_option
def sessions_(slug: str | None, as_json: bool) -> None:
    """List the sessions of the console with their addresses, most recently used first."""
    container = current_container()
    found = container.storage.transact(sessions.list_all, container.access.session_idle, slug=slug)
    if as_json:
        print_json(found)
        return
    print_table(
        ["session", "account", "e-mail", "signed in", "last used", "address", "browser"],
        [
            (one.id, one.account_slug, one.email, one.created_at, one.last_used_at, one.address, one.agent)
            for one in found
        ],
        empty="no sessions",
    )


@user.command("sign-out")
@_whose
@click.option("--session", "session_id", type=click.IntRange(0, 2**31 - 1), help="End only this session.")
@click.argument("email", required=False)
def sign_out(slug: str | None, operator: bool, session_id: int | None, email: str | None) -> None:
    """End all sessions of EMAIL, or the one session with the id that `user sessions` shows."""
    storage = current_container().storage
    if session_id is not None:
        if slug or operator or email:
            raise click.UsageError("--session cannot be combined with other options.")
        if not storage.transact(sessions.end, session_id):
            raise click.ClickException(f"session {session_id} does not exist")
        print(f"session {session_id} ended")
        return
    _check_one(slug, operator)
    if email is None:
        raise click.UsageError("Enter an EMAIL or --session.")
    count = access.sign_out(storage, slug, email)
    print(f"{email} signed out of {count} session{'' if count == 1 else 's'}")


@user.command()
@_whose
@click.argument("email")
def delete(slug: str | None, operator: bool, email: str) -> None:
    """Delete the user EMAIL and end all of their sessions. An account's owner cannot be deleted."""
    _check_one(slug, operator)
    access.delete_user(current_container().storage, slug, email)
    print(f"{email} deleted")


def _check_one(slug: str | None, operator: bool) -> None:
    if bool(slug) == operator:
        raise click.UsageError("Enter either --account SLUG or --operator.")


def _check_account(slug: str | None) -> None:
    """Raises AccountNotFound, before anybody types a password."""
    if slug is not None:
        current_container().storage.read(accounts.find, slug)
