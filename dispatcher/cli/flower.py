"""`dispatcher flower`: Celery's own web page on the workers, read-only, never open to others without a password."""

import ipaddress
import os
import sys

import click

from dispatcher import log
from dispatcher.dev.supervisor import environment_of


@click.command()
def flower() -> None:
    """Run Flower, the web page on workers and tasks, at http://127.0.0.1:5555.

    FLOWER_ADDRESS and FLOWER_PORT put it elsewhere. An address that other machines reach needs
    FLOWER_BASIC_AUTH=user:password, and a TLS proxy before it.
    """
    address, port = flower_place()
    password = os.environ.get("FLOWER_BASIC_AUTH", "").strip()
    if not is_loopback(address) and not password:
        print(
            f"error: FLOWER_ADDRESS={address} can be reached from other machines; "
            "set FLOWER_BASIC_AUTH=user:password first",
            file=sys.stderr,
        )
        raise SystemExit(2)
    if password and not all(name and word for name, _, word in (one.partition(":") for one in password.split(","))):
        print("error: FLOWER_BASIC_AUTH: must be user:password", file=sys.stderr)
        raise SystemExit(2)
    where = f"http://{f'[{address}]' if ':' in address else address}:{port}"
    log.announce("flower.started", address=where, password=bool(password))
    command = _command(address, port)
    os.execvpe(command[0], command, _environment(password))  # noqa: S606 -- a program of ours with a list of arguments


def flower_place() -> tuple[str, int]:
    """Address and port where Flower listens; raises click.UsageError (exit code 2) for a port that is none."""
    address = os.environ.get("FLOWER_ADDRESS", "").strip() or "127.0.0.1"
    port = os.environ.get("FLOWER_PORT", "").strip() or "5555"
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise click.UsageError("FLOWER_PORT: must be a port, 1 to 65535")
    return address, int(port)


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches the address. No name is looked up: all but localhost count as public."""
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _command(address: str, port: int) -> list[str]:
    """The command line, which every user of the machine sees: no password in it. It outranks FLOWER_ variables.

    `--quiet` leaves out Flower's banner with the broker's address and the list of tasks; the line above stands for it.
    """
    return [
        "celery", "--quiet", "-A", "tasks", "flower",
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
    """Without a password Flower's API answers 401, unless this variable opens it; an empty password is none."""
    env = environment_of(os.environ)
    env.pop("FLOWER_UNAUTHENTICATED_API", None)
    env.pop("FLOWER_BASIC_AUTH", None)
    return env | ({"FLOWER_BASIC_AUTH": password} if password else {})
