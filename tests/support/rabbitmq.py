"""A RabbitMQ of the tests' own around Debian's program: with folders, ports, node, cookie and epmd of its own."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
from pathlib import Path

from dispatcher.local.folder import is_port_free
from dispatcher.processes import child
from tests.support.ports import free_ports
from tests.support.waiting import eventually

_PROGRAMS = Path("/usr/lib/rabbitmq/bin")  # what is in /usr/sbin changes the user, and with it the folders
_CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
disk_free_limit.absolute = 50MB
log.console.level = warning
"""


class RabbitMQ:
    """`start`, `kill` (as by SIGKILL) and `start` again: what was stored is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.amqp, self.management, self._dist, self._epmd_port = free_ports(4)
        self._epmd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        (folder / "rabbitmq.conf").write_text(_CONFIG.format(amqp=self.amqp, management=self.management))
        (folder / "enabled_plugins").write_text("[rabbitmq_management].")
        cookie = folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)

    @property
    def url(self) -> str:
        """For BROKER_URL."""
        return f"amqp://guest:guest@127.0.0.1:{self.amqp}//"

    @property
    def api(self) -> str:
        """For FLOWER_BROKER_API."""
        return f"http://guest:guest@127.0.0.1:{self.management}/api/"

    @property
    def log(self) -> Path:
        return self.folder / "rabbitmq.log"

    def launch(self) -> None:
        """Starts it without waiting."""
        assert (_PROGRAMS / "rabbitmq-server").is_file(), "rabbitmq-server is missing: .ci/install-debian-packages"
        if self._epmd is None:
            self._epmd = self._start("/usr/bin/epmd", "-port", str(self._epmd_port))
            eventually(lambda: not is_port_free(self._epmd_port), 10, "epmd listening")
        self._server = self._start(str(_PROGRAMS / "rabbitmq-server"))

    def start(self) -> None:
        """Starts it and waits until it takes connections."""
        self.launch()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        eventually(self._answers, 60, f"RabbitMQ answering (see {self.log})")

    def kill(self) -> None:
        """Ends it as a crash would, with the helpers it has started."""
        if self._server is not None:
            self._signal(signal.SIGKILL)
            self._server.wait()
            self._server = None

    def pause(self) -> None:
        """Connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ends all of it."""
        self.kill()
        if self._epmd is not None:
            child.end(self._epmd)

    def _signal(self, number: signal.Signals) -> None:
        if self._server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, number)

    def _answers(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, self.log.read_text(errors="replace")[-3000:]
        try:
            with socket.create_connection(("127.0.0.1", self.amqp), timeout=1) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"  # the first frame of the handshake
        except OSError:
            return False

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        base = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        with self.log.open("ab") as log:
            return child.start(
                command, death_signal=signal.SIGKILL, env=base | self._environment(), cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        folder = str(self.folder)
        return {
            "HOME": folder,  # of the cookie
            "RUNNING_UNDER_SYSTEMD": "1",  # no shell stays between us and the server
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"t{self.amqp}@localhost",
            "RABBITMQ_DIST_PORT": str(self._dist),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/logs",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
        }
