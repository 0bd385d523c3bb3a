"""The servers that nobody named by DATABASE_URL and REDIS_URL, in one folder. For development, demo, tests, bench."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

from dispatcher.dev.folder import is_owned, make_folder, own, write_private
from dispatcher.dev.postgres import Postgres
from dispatcher.dev.valkey import Valkey


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedded:
    """The variables that every process of ours needs, and the servers that were started for them."""

    environment: dict[str, str]
    postgres: Postgres | None
    valkey: Valkey | None

    def revive(self) -> None:
        """Starts a server again that has ended by itself or was killed; on the same port, with what it had stored."""
        for server in (self.postgres, self.valkey):
            if server is not None and server.pid is None:
                server.restart()


@contextmanager
def embedded(folder: Path) -> Iterator[Embedded]:
    """Starts what is unset in the environment, and ends it; raises ServiceFailed, also while `folder` is in use.

    Meanwhile `<folder>/env` tells other commands the variables (see running_environment). Enter it in the main thread.
    """
    folder = folder.resolve()
    make_folder(folder)
    with ExitStack() as stack:
        stack.callback(own(folder).release)
        shared = folder / "env"
        shared.unlink(missing_ok=True)  # a killed owner's: from here on it would be taken for ours
        postgres = None if _set("DATABASE_URL") else Postgres(folder / "postgres")
        valkey = None if _set("REDIS_URL") else Valkey(folder / "valkey")
        environment = {"SECRET_KEYS": _set("SECRET_KEYS") or _kept_key(folder)}
        for name, server in (("DATABASE_URL", postgres), ("REDIS_URL", valkey)):
            if server is not None:
                stack.callback(server.stop)
            environment[name] = server.start() if server is not None else _set(name)
        stack.callback(shared.unlink, missing_ok=True)
        write_private(shared, "".join(f"{name}={value}\n" for name, value in environment.items()))
        yield Embedded(environment=environment, postgres=postgres, valkey=valkey)


def running_environment(folder: Path) -> dict[str, str]:
    """The variables of the `embedded(folder)` that lives now, in whichever process; empty when there is none."""
    if not is_owned(folder):
        return {}
    try:
        lines = (folder / "env").read_text().splitlines()
    except OSError:
        return {}
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _set(variable: str) -> str:
    """The variable's value; `X=` in an .env file means "not set"."""
    return os.environ.get(variable, "").strip()


def _kept_key(folder: Path) -> str:
    path = folder / "secret_keys"
    if not path.is_file():
        write_private(path, Fernet.generate_key().decode())
    return path.read_text().strip()
