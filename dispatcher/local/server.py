"""What the two embedded servers have in common: start, stop, kill and restart around one program. No protocol."""

import importlib.util
import logging
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path

from dispatcher import log
from dispatcher.errors import ServiceStartFailed
from dispatcher.local.folder import (
    POLL_S,
    Lock,
    is_port_free,
    lock_folder,
    make_folder,
    stored_password,
    stored_port,
    take_over,
)
from dispatcher.processes import child

logger = logging.getLogger(__name__)


class EmbeddedServer(ABC):
    """A server on 127.0.0.1. Its port, password, data and log stay in `folder` from start to start.

    It ends when this process ends, however this ends. Start it from the main thread (see child.py).
    """

    name: str
    stop_signal: signal.Signals
    immediate_signal: signal.Signals
    start_timeout_s = 60.0  # after a crash Postgres replays its log first

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: Lock | None = None

    @property
    def url(self) -> str:
        """Where clients connect, with the password."""
        return self._url(stored_password(self.folder))

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def log_file(self) -> Path:
        """What the server prints."""
        return self.folder / f"{self.name}.log"

    def start(self) -> str:
        """Starts the server and returns its URL once it responds.

        1. Own the folder; raises ServiceStartFailed at once while another process does.
        2. Wait for the processes of a server whose owner died.
        3. Start; with another port, should someone have taken ours in between.
        """
        if self.pid is not None:
            return self.url
        make_folder(self.folder)
        if self._lock is None:
            self._lock = lock_folder(self.folder)
        try:
            self._prepare(stored_password(self.folder))
            for _ in range(3):
                if self._run():
                    return self.url
        except BaseException:
            self.kill()
            self._unlock()
            raise
        self._unlock()
        raise ServiceStartFailed(f"{self.name} did not start; its log is {self.log_file}:\n{self._log_tail()}")

    def stop(self) -> None:
        """Ends the server in order and frees the folder."""
        if self._process is not None:
            child.end(self._process, (signal.SIGCONT, 0), (self.stop_signal, 30), (self.immediate_signal, 10))
            self._process = None
        self._unlock()

    def kill(self) -> None:
        """Kills the server as a crash would (SIGKILL). The folder stays ours: `start` starts it again."""
        if self._process is not None:
            child.end(self._process)
            self._process = None

    def remove(self) -> None:
        """Ends the server and deletes all that it has stored."""
        self.stop()
        shutil.rmtree(self.folder)

    def restart(self, immediate: bool = False) -> None:
        """Ends the server, in order or as if the machine had crashed, and starts it on the same port."""
        port = self.port
        if self._process is not None:
            first = self.immediate_signal if immediate else self.stop_signal
            child.end(self._process, (signal.SIGCONT, 0), (first, 30))
            self._process = None
        end = time.monotonic() + 10
        while not is_port_free(port) and time.monotonic() < end:
            time.sleep(POLL_S)
        self.start()

    @abstractmethod
    def _url(self, password: str) -> str: ...

    @abstractmethod
    def _prepare(self, password: str) -> None:
        """What must be there before the first start."""

    @abstractmethod
    def _launch(self, port: int, password: str, inherited: tuple[int, ...]) -> subprocess.Popen[bytes]: ...

    @abstractmethod
    def _is_ready(self, port: int, password: str) -> bool: ...

    def _run(self) -> bool:
        """Whether the server runs and responds; False when it ended because its port was taken meanwhile."""
        lock = take_over(self.folder, self.stop_signal)
        assert lock.fd is not None  # noqa: S101 -- it returns a lock that is held
        try:
            port = stored_port(self.folder)  # not before: a server that is still ending keeps its port busy
            process = self._process = self._launch(port, stored_password(self.folder), (lock.fd,))
            lock.write_pid(process.pid)
        finally:
            lock.release()  # from here on only the server holds it
        end = time.monotonic() + self.start_timeout_s
        while process.poll() is None:
            if self._is_ready(port, stored_password(self.folder)) and process.poll() is None:
                self.port = port
                logger.info(log.line("server.started", name=self.name, pid=process.pid, port=port, folder=self.folder))
                return True
            if time.monotonic() > end:
                raise ServiceStartFailed(
                    f"{self.name} does not respond; its log is {self.log_file}:\n{self._log_tail()}"
                )
            time.sleep(POLL_S)
        self._process = None
        if not is_port_free(port):
            return False
        raise ServiceStartFailed(f"{self.name} exited at once; its log is {self.log_file}:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        try:
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-5:])
        except OSError:
            return "(empty)"

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def package_folder(package: str, variable: str) -> Path:
    """The folder of a wheel of the `embedded` extra, which is not imported; raises ServiceStartFailed without it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ServiceStartFailed(
            f"{package} is not installed: pip install "
            f'"webhook-dispatcher[embedded]", or set {variable} to a server of your own'
        )
    return Path(spec.submodule_search_locations[0])
