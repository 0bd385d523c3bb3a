"""`dispatcher up`: everything on one machine. Brings Postgres and Valkey along, then runs the Procfile's processes."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import click

from dispatcher.cli.address import flower_address, url_of, web_address
from dispatcher.cli.flower import flower_access
from dispatcher.environment import program_environment, set_variables, variable
from dispatcher.errors import ServiceStartFailed
from dispatcher.local.embedded import Embedded, embedded
from dispatcher.local.folder import PORTS, is_port_free, lock_folder, make_folder
from dispatcher.processes import child
from dispatcher.processes.procfile import parse_procfile
from dispatcher.processes.supervisor import Process, Supervisor

DEFAULT_FOLDER = Path(".dispatcher")


@click.command()
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=DEFAULT_FOLDER, show_default=True,
              help="Folder for data and passwords.")  # fmt: skip
@click.option("--scale", multiple=True, metavar="NAME=N", help="Number of instances of a process, such as worker=2.")
def up(folder: Path, scale: Sequence[str]) -> None:
    """Run the dispatcher here, with embedded Postgres and Valkey unless DATABASE_URL and REDIS_URL are set.

    Ctrl-C stops everything gracefully, a second Ctrl-C at once. Data stay in the folder.
    """
    commands = parse_procfile(procfile().read_text())
    release = commands.pop("release", None)
    counts = _counts(scale, commands)
    running = {name for name, count in counts.items() if count}
    make_folder(folder)
    lock_folder(folder).release()  # where another `up` has the folder, that is what there is to say, and not its ports
    take_ports(running)
    with embedded(folder) as servers:
        env = program_environment() | servers.environment
        access, sign_in = flower_access(folder)
        env |= access
        _introduce(servers, env, folder, sign_in, running)
        if release is not None and _call(release, env) != 0:
            raise SystemExit(1)
        supervisor = Supervisor(
            _processes(commands, counts, env), repair=lambda: _repair(supervisor, env), watch=servers.revive
        )
        code = supervisor.run()
    raise SystemExit(code)


def procfile() -> Path:
    """The Procfile of this folder; else the one that came with the package, or lies beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for path in (Path("Procfile"), package / "processes" / "Procfile", package.parent / "Procfile"):
        if path.is_file():
            return path
    raise ServiceStartFailed("Procfile not found; run this command in the checkout")


def _counts(scale: Sequence[str], commands: Mapping[str, str]) -> dict[str, int]:
    """How many of each process; one, unless `--scale` says otherwise."""
    counts = dict.fromkeys(commands, 1)
    for text in scale:
        name, _, number = text.partition("=")
        if name not in counts or not number.isdecimal() or int(number) > 100:
            raise click.BadParameter(
                f"{text}: expected NAME=N with NAME one of {', '.join(counts)}", param_hint="--scale"
            )
        counts[name] = int(number)
    return counts


def _processes(commands: Mapping[str, str], counts: Mapping[str, int], env: Mapping[str, str]) -> list[Process]:
    """DISPATCHER_PROCESS tells those of one name apart; the Procfile puts it into the worker's name."""
    return [
        Process(
            name=name if counts[name] == 1 else f"{name}.{number}",
            command=command,
            env={**env, "DISPATCHER_PROCESS": str(number)},
            repairable=name.startswith("worker"),
        )
        for name, command in commands.items()
        for number in range(1, counts[name] + 1)
    ]


def choose_ports(running: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """PORT and FLOWER_PORT for those that will run: variable, port, and what a person must know of it.

    Where the usual port is taken another one is chosen. One that was asked for is kept, and so is the address that
    people have written down elsewhere: raises ServiceStartFailed where it is taken.
    """
    free = (port for port in PORTS if is_port_free(port))
    for process, title, name, (host, port) in (
        ("web", "the API", "PORT", web_address()),
        ("flower", "Flower", "FLOWER_PORT", flower_address()),
    ):
        if process not in running or is_port_free(port, host):
            yield name, str(port), ""
        elif variable(name):
            reason = "the port is in use; stop the other program, or choose another port"
            if port < 1024 and os.geteuid() != 0:
                reason = "only root may listen on a port below 1024"
            raise ServiceStartFailed(f"{name}={port}: {reason}")
        else:
            chosen = next(free, port)
            place = f"{url_of(host, chosen)}{'/api/v3' if process == 'web' else ''}"
            yield name, str(chosen), f"Port {port} is in use by another program; {title} is at {place} instead."


def take_ports(running: Collection[str]) -> None:
    """Sets PORT and FLOWER_PORT (see choose_ports), and says where one is not the usual."""
    for name, port, notice in choose_ports(running):
        set_variables({name: port})
        if notice:
            print(notice, flush=True)


def this_command() -> str:
    """How this command is typed in another terminal in this folder."""
    return "dispatcher" if shutil.which("dispatcher") else os.path.relpath(Path(sys.executable).parent / "dispatcher")


def _introduce(
    servers: Embedded, env: Mapping[str, str], folder: Path, flower_sign_in: str, running: Collection[str]
) -> None:
    """Says what runs where; an address never holds a password."""
    postgres, valkey = servers.postgres, servers.valkey
    for title, name, data in (
        ("Postgres", "DATABASE_URL", postgres and postgres.data),  # not always in the folder (see postgres.py)
        ("Valkey", "REDIS_URL", valkey and valkey.folder),
    ):
        whose = f"data in {data}" if data is not None else f"from {name}"
        print(f"{title:<9} {_place(env[name])} ({whose})")
    print(f"URLs      {folder / 'env'}   (contains passwords; only you can read it)")
    if "web" in running:
        address = url_of(web_address()[0], int(env["PORT"]))
        print(f"API       {address}/api/v3")
        print(f"Console   {address}/console   (create a user with: {this_command()} user create --help)")
    if "flower" in running:
        print(f"Flower    {url_of(flower_address()[0], int(env['FLOWER_PORT']))}   ({flower_sign_in})")
    print(f"Emit      {this_command()} emit --help   (in another terminal, in this folder)")
    if folder.resolve() != DEFAULT_FOLDER.resolve():
        print(f"          first run: set -a; . {folder / 'env'}; set +a")
    print("Stop      Ctrl-C", flush=True)


def _place(url: str) -> str:
    """Host, port and database of a URL; user, password and options are left out."""
    return url.partition("://")[2].partition("?")[0].rpartition("@")[2]


def _call(command: str, env: Mapping[str, str]) -> int:
    """Runs a line of the Procfile to its end, with this process's output; returns its exit code."""
    process = child.start_line(command, env=dict(env))
    try:
        return process.wait()
    except BaseException:  # Ctrl-C does not reach the child, which has its own session
        child.end(process, (signal.SIGTERM, 5.0))
        raise


def _repair(supervisor: Supervisor, env: Mapping[str, str]) -> None:
    """A worker that crashes at once has often read something broken from the queue; the truth is in Postgres."""
    process = child.start_line(
        "dispatcher repair",
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = process.communicate()
    for line in output.decode(errors="replace").splitlines():
        supervisor.say(f"repair: {line}")
