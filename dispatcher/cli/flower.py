"""`dispatcher flower`: Celery's own web page on the workers, read-only and behind a password.

Loopback is no reason to ask for none: every user and every program of the machine reaches it, and so does a proxy that
somebody puts before it. Whoever wants it open there says so (FLOWER_WITHOUT_PASSWORD).
"""

import ipaddress
import os
import sys
from pathlib import Path

import click

from dispatcher import log
from dispatcher.cli.address import flower_address, url_of
from dispatcher.environment import program_environment, variable
from dispatcher.local.folder import make_folder, stored_password

USER = "operator"
"""Who signs in where the password is generated."""


@click.command()
def flower() -> None:
    """Run Flower, the web interface for workers and tasks, at http://127.0.0.1:5555.

    Requires FLOWER_BASIC_AUTH=user:password, or FLOWER_WITHOUT_PASSWORD=1 to allow every user of this machine.
    FLOWER_ADDRESS and FLOWER_PORT change the address. Put a TLS proxy in front of it if other machines reach it.
    """
    address, port = flower_address()
    password = variable("FLOWER_BASIC_AUTH")
    wrong = _what_is_wrong(address, password)
    if wrong:
        print(f"error: {wrong}", file=sys.stderr)
        raise SystemExit(2)
    log.announce("flower.started", address=url_of(address, port), password=bool(password))
    command = _command(address, port)
    os.execvpe(command[0], command, _environment(password))  # noqa: S606 -- a known program with a list of arguments


def flower_access(folder: Path) -> tuple[dict[str, str], str]:
    """For `up` and `demo`: the variables that guard Flower, and how to sign in, for people.

    A password is generated once and kept in the folder, unless the environment has one or wants none. It is
    not printed, because a screen may be a log.
    """
    if variable("FLOWER_BASIC_AUTH"):
        return {}, "user and password from FLOWER_BASIC_AUTH"
    if _is_open():
        return {}, "no password: FLOWER_WITHOUT_PASSWORD is set"
    flower = folder / "flower"  # as each server has a folder with its password
    make_folder(flower)
    access = {"FLOWER_BASIC_AUTH": f"{USER}:{stored_password(flower)}"}
    return access, f"user {USER}, password: cat {flower / 'password'}"


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches the address. No name is looked up: all but localhost count as public."""
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_open() -> bool:
    return variable("FLOWER_WITHOUT_PASSWORD") not in ("", "0")


def _what_is_wrong(address: str, password: str) -> str:
    """Why Flower does not start; empty where it may."""
    if variable("FLOWER_WITHOUT_PASSWORD") not in ("", "0", "1"):
        return "FLOWER_WITHOUT_PASSWORD: must be 0 or 1"
    if not password:
        if not is_loopback(address):
            return f"FLOWER_ADDRESS={address} is reachable from other machines; set FLOWER_BASIC_AUTH=user:password"
        if not _is_open():
            return (
                "FLOWER_BASIC_AUTH: required, as user:password; "
                "set FLOWER_WITHOUT_PASSWORD=1 to allow every user of this machine without one"
            )
    elif not all(name and word for name, _, word in (one.partition(":") for one in password.split(","))):
        return "FLOWER_BASIC_AUTH: must be user:password"
    return ""


def _command(address: str, port: int) -> list[str]:
    """The command line, which every user of the machine sees: no password in it. It outranks FLOWER_ variables.

    `--quiet` leaves out Flower's banner with the broker's address and the list of tasks; the line above stands for it.
    """
    return [
        "celery", "--quiet", "-A", "dispatcher.tasks.flower", "flower",
        f"--address={address}",
        f"--port={port}",
        "--unix_socket=",  # one would be open to every user of the machine
        "--read_only=true",
        "--max_tasks=10000",
        "--persistent=false",  # its file is a pickle, and what it shows is kept in Postgres anyway
        "--debug=false",
        "--logging=info",
    ]  # fmt: skip


def _environment(password: str) -> dict[str, str]:
    """Ours without what Flower does not need: the database and the keys to secrets.

    Without a password Flower's API answers 401, unless its own variable opens it; an empty password is none.
    """
    env = program_environment()
    # The last is ours; Flower crashes on a variable of its prefix that it does not know.
    for name in (
        "DATABASE_URL", "SECRET_KEYS", "FLOWER_UNAUTHENTICATED_API", "FLOWER_BASIC_AUTH", "FLOWER_WITHOUT_PASSWORD",
    ):  # fmt: skip
        env.pop(name, None)
    return env | ({"FLOWER_BASIC_AUTH": password} if password else {})
