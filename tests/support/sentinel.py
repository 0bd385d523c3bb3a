"""Valkey as operators run it for high availability: a primary, replicas, and three sentinels that watch them."""

import signal
import subprocess
from pathlib import Path
from typing import Any

import redis

from dispatcher.local.folder import PORTS, is_port_free
from dispatcher.local.valkey import answers, program
from dispatcher.processes import child
from tests.support.waiting import eventually

PASSWORD = "of-the-tests"
NAME = "clock"
_SERVER = """\
bind 127.0.0.1
port {port}
requirepass {password}
primaryauth {password}
dir .
appendonly yes
save ""
maxmemory-policy noeviction
repl-diskless-sync-delay 0
"""
_SENTINEL = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir .
sentinel monitor {name} 127.0.0.1 {primary} 2
sentinel auth-pass {name} {password}
sentinel sentinel-pass {password}
sentinel down-after-milliseconds {name} 1000
sentinel failover-timeout {name} 5000
"""


class Sentinels:
    """Three sentinels, `servers` Valkeys of which one is the primary; `start`, `kill_primary`, `stop`."""

    def __init__(self, folder: Path, first_port: int, servers: int = 3) -> None:
        folder.mkdir()
        self._folder = folder
        ports = [port for port in PORTS if port >= first_port and is_port_free(port)][: servers + 3]
        self._servers, self._sentinels = ports[:servers], ports[servers:]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """For REDIS_URL."""
        hosts = ";".join(f"127.0.0.1:{port}" for port in self._sentinels)
        return f"sentinel://:{PASSWORD}@{hosts}/0?master={NAME}&sentinel_password={PASSWORD}"

    def start(self) -> None:
        primary, *replicas = self._servers
        for port in self._servers:
            self._start(port, _SERVER.format(port=port, password=PASSWORD))
        eventually(lambda: all(answers(port, PASSWORD) for port in self._servers), 10, "Valkey answering")
        for port in replicas:
            with self.client(port) as client:
                client.replicaof("127.0.0.1", str(primary))
        for port in self._sentinels:
            text = _SENTINEL.format(port=port, name=NAME, password=PASSWORD, primary=primary)
            self._start(port, text, "--sentinel")
        eventually(lambda: all(answers(port, PASSWORD) for port in self._sentinels), 10, "the sentinels answering")
        eventually(self._is_complete, 20, "the sentinels knowing each other and the replicas")

    def client(self, port: int) -> redis.Redis:
        return redis.Redis(port=port, password=PASSWORD, decode_responses=True)

    def primary(self) -> int:
        """The port that most sentinels call the primary's."""
        said = [self._said(port)["port"] for port in self._sentinels]
        return int(max(said, key=said.count))

    def kill_primary(self) -> int:
        """Kills it as a crash would; returns its port."""
        port = self.primary()
        child.end(self._processes.pop(port))
        return port

    def stop(self) -> None:
        for process in self._processes.values():
            child.end(process)

    def _said(self, port: int) -> dict[str, Any]:
        with self.client(port) as client:
            found: dict[str, Any] = client.sentinel_master(NAME)
        return found

    def _is_complete(self) -> bool:
        said = [self._said(port) for port in self._sentinels]
        return all(one["num-slaves"] == len(self._servers) - 1 and one["num-other-sentinels"] == 2 for one in said)

    def _start(self, port: int, config: str, *arguments: str) -> None:
        folder = self._folder / str(port)
        folder.mkdir()
        (folder / "valkey.conf").write_text(config)  # a sentinel rewrites it
        with (folder / "valkey.log").open("ab") as log:
            self._processes[port] = child.start(
                [str(program()), "valkey.conf", *arguments], death_signal=signal.SIGKILL, cwd=folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
