"""The other side: something that answers 200 `ok` as fast as it can. nginx where it is installed, else one of ours."""

import json
import os
import shutil
import socket
import sys
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from bench.rig import running, wait_until

_NGINX = """
daemon off;
master_process off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/nginx.log crit;
events {{ worker_connections 4096; }}
http {{
    log_format arrivals "$http_idempotency_key $msec";
    access_log {log};
    keepalive_requests 100000000;
    client_max_body_size 1m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ return 200 "ok"; }}
    }}
}}
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Receiver:
    """Runs for the time of a `with` block; `kind` says what it is. `stamping` asks for ours, which notes arrivals.

    `logging`: nginx notes them too, where it runs, as cheaply as it can: in milliseconds, a moment later.
    """

    def __init__(self, folder: Path, *, stamping: bool = False, logging: bool = False) -> None:
        self._folder = folder
        self._port = free_port()
        self._log = folder / f"arrivals-{self._port}.log" if logging else None
        self._program = None if stamping else _nginx()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(running(self._command()))
        wait_until("the receiver listens", self._listens)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def kind(self) -> str:
        """What answers, for the report."""
        return "nginx, one process" if self._program else "our own (asyncio), one process; nginx is not installed"

    def url(self, path: str = "/") -> str:
        """The address of `path` here."""
        return f"http://127.0.0.1:{self._port}{path}"

    def arrivals(self) -> dict[str, float]:
        """Idempotency-Key, or the mark (see answering.py) → CLOCK_MONOTONIC when its first request was complete.

        Only of one that is stamping or logging; nginx knows no marks.
        """
        if self._program and self._log:
            since_s = time.time() - time.monotonic()
            lines = (line.split() for line in reversed(self._log.read_text().splitlines()))
            return {key: float(at_s) - since_s for key, at_s in lines}
        with urllib.request.urlopen(self.url("/arrivals")) as answer:
            times: dict[str, float] = json.load(answer)
            return times

    def arrived(self) -> int:
        """How many requests have arrived; while many come it costs less than to ask for them."""
        if self._program and self._log:
            return self._log.read_bytes().count(b"\n")
        return len(self.arrivals())

    def _command(self) -> list[str]:
        if self._program is None:
            return [sys.executable, "-m", "bench.answering", str(self._port)]
        configuration = self._folder / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        log = f"{self._log} arrivals buffer=64k flush=50ms" if self._log else "off"
        configuration.write_text(_NGINX.format(folder=self._folder, port=self._port, user=user, log=log))
        return [self._program, "-e", str(self._folder / "nginx.log"), "-c", str(configuration)]

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def _nginx() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def clock_is_shared() -> bool:
    """Whether `time.monotonic` means the same in every process of this machine, as on Linux and macOS."""
    return "clock_gettime" in time.get_clock_info("monotonic").implementation or sys.platform == "darwin"
