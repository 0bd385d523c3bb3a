"""`env` in the folder of servers that run: where they are, and what else was set where they were started.

Other commands in that folder take it, so that a `webhook ping` in another terminal allows what `up` allows. It is a
file for shells too.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path

from dispatcher.local.folder import is_in_use, write_private

IDENTITY = ("SECRET_KEYS", "DATABASE_URL", "REDIS_URL")
"""The variables that tell one installation from another."""


def write_env_file(folder: Path, environment: Mapping[str, str]) -> None:
    """For other commands; only this user's can read it."""
    write_private(folder / "env", "".join(f"{name}={shlex.quote(value)}\n" for name, value in environment.items()))


def remove_env_file(folder: Path) -> None:
    """Once the servers have ended."""
    (folder / "env").unlink(missing_ok=True)


def running_environment(folder: Path) -> dict[str, str]:
    """The variables of the `embedded(folder)` that lives now, in whichever process; empty when there is none."""
    if not is_in_use(folder):
        return {}
    try:
        words = shlex.split((folder / "env").read_text())
    except OSError:
        return {}
    return {name: value for name, _, value in (word.partition("=") for word in words)}
