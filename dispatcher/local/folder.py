"""A server's own folder: who owns it, its password and its port. It starts no process.

Two locks, both `flock`, both gone the moment their holders die, however they die:

- `owner` is held by the process that started the server; its content is that process's id;
- `server` is held by the server's own processes only (they inherit it), so that a successor waits for the last of them.
"""

import contextlib
import fcntl
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from dispatcher.errors import ServiceStartFailed

# Below the range from which the kernel takes the local ports of outgoing connections: a port that one of those has
# taken while the server was down could not be listened on again.
PORTS = range(20_000, 32_000)
POLL_S = 0.02


def make_folder(folder: Path) -> None:
    """Makes the folder, unless it is there. Only its user reads it; root's can be passed through by a server's user."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)


def write_private(path: Path, text: str) -> None:
    """Writes the whole file or nothing; nobody else may read it, not even for a moment."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def open_private(path: Path) -> BinaryIO:
    """The file to append to. Nobody else may read it, also where it was made when others could."""
    file = os.fdopen(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600), "ab")
    os.fchmod(file.fileno(), 0o600)
    return file


def stored_secret(path: Path, generate: Callable[[], str]) -> str:
    """The secret in the file; generated at the first call."""
    if not path.is_file():
        write_private(path, generate())
    return path.read_text().strip()


def stored_password(folder: Path) -> str:
    """The password of what is in the folder."""
    return stored_secret(folder / "password", lambda: secrets.token_hex(24))


def stored_port(folder: Path) -> int:
    """The port kept in the folder, if it is free; else a new one, which is kept from now on."""
    path = folder / "port"
    try:
        port = int(path.read_text())
    except (OSError, ValueError):
        port = 0
    if port in PORTS and is_port_free(port):
        return port
    while not is_port_free(port := secrets.choice(PORTS)):
        pass
    write_private(path, str(port))
    return port


def is_port_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server can listen at this port of this machine now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do: TIME_WAIT is no obstacle
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


class Lock:
    """An exclusive `flock` on a file, with a process id as its content."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd: int | None = None

    def take(self, within_s: float) -> bool:
        """Whether the lock is ours now. Asks until the time is over; says nothing of why not."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        end = time.monotonic() + within_s
        while not _lock(fd, fcntl.LOCK_EX):
            if time.monotonic() > end:
                os.close(fd)
                return False
            time.sleep(POLL_S)
        self.fd = fd
        return True

    def write_pid(self, pid: int) -> None:
        """Leaves a process id in the file."""
        if self.fd is not None:
            os.ftruncate(self.fd, 0)
            os.pwrite(self.fd, str(pid).encode(), 0)

    def read_pid(self) -> int | None:
        """The process id left in the file."""
        try:
            return int(self.path.read_text())
        except (OSError, ValueError):
            return None

    def release(self) -> None:
        """Gives our hold of the lock back; processes that inherited it still hold it."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


def _lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_folder(folder: Path) -> Lock:
    """The folder's `owner` lock, signed; raises ServiceStartFailed while another process has it.

    The short patience is for `is_in_use`, which holds the lock for an instant.
    """
    lock = Lock(folder / "owner")
    if not lock.take(within_s=0.2):
        holder = lock.read_pid()
        raise ServiceStartFailed(f"{folder} is in use by process {holder}; stop it, or use another folder")
    lock.write_pid(os.getpid())
    return lock


def is_in_use(folder: Path) -> bool:
    """Whether a live process owns the folder."""
    try:
        fd = os.open(folder / "owner", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _lock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def take_over(folder: Path, stop_signal: signal.Signals) -> Lock:
    """The folder's `server` lock, once the processes of a server whose owner died are gone.

    They end by themselves (see child.py) but take their time; where the system has no such service, or the server is
    stopped by SIGSTOP, it is sent the signal. Raises ServiceStartFailed when it does not end within 20 s.
    """
    lock = Lock(folder / "server")
    if lock.take(within_s=0.1):
        return lock
    leftover = lock.read_pid()
    if leftover:
        for number in (stop_signal, signal.SIGCONT):
            with contextlib.suppress(ProcessLookupError):  # its own children may hold the lock a moment longer
                os.kill(leftover, number)
    if lock.take(within_s=20):
        return lock
    raise ServiceStartFailed(f"{folder}: the previous server (process {leftover}) does not stop; kill it")
