"""What commands ask of people: an e-mail, a name, a password that is typed or read and never printed."""

import re
import sys

import click

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\Z")
_SHORTEST, _LONGEST = 8, 1_024


def read_password(from_stdin: bool) -> str:
    """A new password, typed twice, or the first line of standard input."""
    if from_stdin:
        chosen = sys.stdin.readline().rstrip("\r\n")
    else:
        chosen = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if not _SHORTEST <= len(chosen) <= _LONGEST:
        raise click.ClickException(f"the password must have {_SHORTEST} to {_LONGEST} characters")
    return chosen


def is_text(text: str) -> bool:
    """1 to 320 printable characters."""
    return 1 <= len(text) <= 320 and text.isprintable()


def is_email(text: str) -> bool:
    """As far as its form tells."""
    return is_text(text) and bool(_EMAIL.match(text))
