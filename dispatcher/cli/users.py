"""`dispatcher user`: who may sign in to the console. An account's people see it alone; operators see all accounts."""

import secrets

import click

from dispatcher.access import users as access
from dispatcher.cli.options import email as email_type
from dispatcher.cli.options import (
    json_option,
    name,
    only_account_option,
    option_group,
    password_stdin_option,
    read_password,
)
from dispatcher.cli.output import show_list
from dispatcher.current import current_container
from dispatcher.storage.admin import accounts, sessions, users


@click.group()
def user() -> None:
    """Manage users of the console."""


_account_or_operator = option_group(
    click.option("--account", "slug", metavar="SLUG", help="The account of the user."),
    click.option("--operator", is_flag=True, help="A user who sees all accounts."),
)


@user.command()
@_account_or_operator
@click.argument("email", type=email_type, metavar="EMAIL")
@click.option("--name", type=name, help="Full name. Default: the e-mail.")
@click.option("--read-only", is_flag=True, help="Give read-only access.")
@password_stdin_option
def create(
    slug: str | None, operator: bool, email: str, name: str | None, read_only: bool, password_stdin: bool
) -> None:
    """Create a user who signs in with EMAIL and a password, which is prompted for."""
    _check(slug, operator)
    if operator and read_only:
        raise click.UsageError("--operator and --read-only are mutually exclusive")
    permission = "operator" if operator else "read" if read_only else "write"
    password = read_password(password_stdin)
    container = current_container()
    access.create_user(
        container.storage,
        container.access.passwords,
        slug,
        email,
        full_name=name or email,
        permission=permission,
        password=password,
    )
    print(f"{email} can sign in" + (" and see all accounts" if operator else f" to {slug}"))


@user.command("list")
@only_account_option
@json_option
def list_(slug: str | None, as_json: bool) -> None:
    """List users, operators first."""
    show_list(
        current_container().storage.read(users.list_all, slug),
        as_json,
        {
            "account": "account_slug",
            "e-mail": "email",
            "name": "full_name",
            "permission": "permission",
            "password": "has_password",
            "personal fields": "sees_personal",
            "created": "created_at",
        },
        empty="no users",
    )


@user.command()
@_account_or_operator
@click.argument("email", required=False)
@password_stdin_option
@click.option("--generate", is_flag=True, help="Generate a password and print it.")
def password(slug: str | None, operator: bool, email: str | None, password_stdin: bool, generate: bool) -> None:
    """Set the password of EMAIL, by default of the account's owner, and end all of their sessions."""
    _check(slug, operator)
    if operator and email is None:
        raise click.UsageError("Enter an EMAIL.")
    if password_stdin and generate:
        raise click.UsageError("--password-stdin and --generate are mutually exclusive")
    new_password = secrets.token_urlsafe(18) if generate else read_password(password_stdin)
    container = current_container()
    user_email = access.set_password(container.storage, container.access.passwords, slug, email, new_password)
    print(new_password if generate else f"password of {user_email} set")


@user.command()
@_account_or_operator
@click.argument("email")
@click.option("--allow/--deny", default=None, help="Default: owners and who may write do, others do not.")
def personal(slug: str | None, operator: bool, email: str, allow: bool | None) -> None:
    """Let EMAIL see personal fields of payloads, or mask them."""
    _check(slug, operator)
    access.show_personal(current_container().storage, slug, email, allow)
    print(
        f"{email} " + {True: "sees personal fields", False: "sees no personal fields", None: "has the default"}[allow]
    )


@user.command("sessions")
@only_account_option
@json_option
def sessions_(slug: str | None, as_json: bool) -> None:
    """List the sessions of the console with their addresses, most recently used first."""
    container = current_container()
    show_list(
        container.storage.read(sessions.list_all, container.access.session_idle, slug=slug),
        as_json,
        {
            "session": "id",
            "account": "account_slug",
            "e-mail": "email",
            "signed in": "created_at",
            "last used": "last_used_at",
            "address": "address",
            "browser": "agent",
        },
        empty="no sessions",
    )


@user.command("sign-out")
@_account_or_operator
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
    _check(slug, operator)
    if email is None:
        raise click.UsageError("Enter an EMAIL or --session.")
    count = access.sign_out(storage, slug, email)
    print(f"{email} signed out of {count} session{'' if count == 1 else 's'}")


@user.command()
@_account_or_operator
@click.argument("email")
def delete(slug: str | None, operator: bool, email: str) -> None:
    """Delete the user EMAIL and end all of their sessions. An account's owner cannot be deleted."""
    _check(slug, operator)
    access.delete_user(current_container().storage, slug, email)
    print(f"{email} deleted")


def _check(slug: str | None, operator: bool) -> None:
    """Raises click.UsageError unless one of them is given, and AccountNotFound before anybody types a password."""
    if bool(slug) == operator:
        raise click.UsageError("Enter either --account SLUG or --operator.")
    if slug is not None:
        current_container().storage.read(accounts.find, slug)
