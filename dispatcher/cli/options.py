"""Options and types of arguments that several commands have; a wrong value is a usage error (exit code 2)."""

import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Any, TypeVar

import click

from dispatcher.environment import variable
from dispatcher.errors import InvalidSetting
from dispatcher.schemas import active
from dispatcher.schemas.active_catalogues import active_with
from dispatcher.schemas.wire.choices import did_you_mean

Command = TypeVar("Command", bound=Callable[..., Any])

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\Z")
_PASSWORD_MIN, _PASSWORD_MAX = 8, 1_024

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
account_option = click.option(
    "--account", "slug", metavar="SLUG", help="The account. With DISPATCHER_API it defaults to the client's own."
)
only_account_option = click.option("--account", "slug", metavar="SLUG", help="Only this account's.")
password_stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
)


def option_group(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Several options or arguments as one decorator, in the order in which the help lists them."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def named_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """The options with a value, as JSON; an option that may be repeated is a list."""
    named = {name: value for name, value in values.items() if value is not None and value != ()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in named.items()}


def one_of(words: type[StrEnum]) -> click.Choice[str]:
    """The type of an argument that is one of an enumeration's words."""
    return click.Choice([str(word) for word in words])


def is_known(event_name: str) -> bool:
    """Whether a webhook can subscribe to it; a remote dispatcher has event types of its own, and says so itself."""
    if variable("DISPATCHER_API") or event_name in active().names:
        return True
    from dispatcher.current import current_container  # noqa: PLC0415 -- a command starts with what it needs

    with suppress(InvalidSetting):  # that the name is unknown is to be said first
        current_container()
    return event_name in active_with(event_name).names


class EventName(click.ParamType[str]):
    """The type of an argument that is an event a webhook can subscribe to; looked up when it is used."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Fails with the nearest names where there is none such."""
        if not is_known(value):
            self.fail(f"{value!r} is not an event of the catalogue; {did_you_mean(value, active().names)}", param, ctx)
        return str(value)


def name(text: str) -> str:
    """The type of an argument that is somebody's name: 1 to 320 printable characters."""
    if not 1 <= len(text) <= 320 or not text.isprintable():
        raise click.BadParameter("must have 1 to 320 printable characters")
    return text


def email(text: str) -> str:
    """The type of an argument that is an e-mail address, as far as its form tells."""
    if not _EMAIL.match(name(text)):
        raise click.BadParameter("must be an e-mail address")
    return text


def read_password(from_stdin: bool) -> str:
    """A new password, typed twice, or the first line of standard input; it is never printed."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if not _PASSWORD_MIN <= len(password) <= _PASSWORD_MAX:
        raise click.ClickException(f"the password must have {_PASSWORD_MIN} to {_PASSWORD_MAX} characters")
    return str(password)
