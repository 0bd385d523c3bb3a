"""The servers that nobody named by DATABASE_URL and REDIS_URL, in one folder. For development, demo, tests, bench."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cryptography.fernet import Fernet

from dispatcher.environment import variable
from dispatcher.local.env_file import IDENTITY, remove_env_file, write_env_file
from dispatcher.local.folder import lock_folder, make_folder, stored_secret
from dispatcher.local.postgres import Postgres
from dispatcher.local.valkey import Valkey
from dispatcher.setting_fields import describe
from dispatcher.settings import Settings

_FOR_TESTS = ("DISPATCHER_TESTING", "DISPATCHER_FAILPOINT")


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedded:
    """The variables that every process needs, and the servers that were started for them."""

    environment: dict[str, str]
    postgres: Postgres | None
    valkey: Valkey | None

    def revive(self) -> None:
        """Starts a server again that has ended by itself or was killed; on the same port, with what it had stored."""
        for server in (self.postgres, self.valkey):
            if server is not None and server.pid is None:
                server.restart()


@contextmanager
def embedded(folder: Path, defaults: Mapping[str, str] = MappingProxyType({})) -> Iterator[Embedded]:
    """Starts what is unset in the environment, and ends it; raises ServiceStartFailed, also while `folder` is in use.

    Meanwhile other commands find the variables in a file (see env_file.py): IDENTITY, and every other setting, from
    the environment or else from `defaults`. Enter it in the main thread.
    """
    folder = folder.resolve()
    make_folder(folder)
    with ExitStack() as stack:
        stack.callback(lock_folder(folder).release)
        remove_env_file(folder)  # a killed owner's: from here on it would be taken for ours
        postgres = None if variable("DATABASE_URL") else Postgres(folder / "postgres")
        valkey = None if variable("REDIS_URL") else Valkey(folder / "valkey")
        keys = variable("SECRET_KEYS") or stored_secret(folder / "secret_keys", lambda: Fernet.generate_key().decode())
        environment = {"SECRET_KEYS": keys}
        for name, server in (("DATABASE_URL", postgres), ("REDIS_URL", valkey)):
            if server is not None:
                stack.callback(server.stop)
            environment[name] = server.start() if server is not None else variable(name)
        environment |= _settings(defaults)
        stack.callback(remove_env_file, folder)
        write_env_file(folder, environment)
        yield Embedded(environment=environment, postgres=postgres, valkey=valkey)


def _settings(defaults: Mapping[str, str]) -> dict[str, str]:
    """Every other setting that is not at its own default; not those that kill a process on purpose."""
    names = {each.name for each in describe(Settings)} - {*IDENTITY, *_FOR_TESTS}
    return {name: value for name in sorted(names) if (value := variable(name) or defaults.get(name, ""))}
