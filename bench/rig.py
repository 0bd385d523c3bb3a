"""What the measures run on: an own Postgres and Valkey in a temporary folder, and workers as real processes.

Never somebody's database: tables are emptied between measures, so DATABASE_URL and REDIS_URL of the environment are
not looked at. Everything started here is ended by its process id, also where a measure fails.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg2

from dispatcher.container import Container
from dispatcher.current import use_container
from dispatcher.local.embedded import embedded
from dispatcher.pipeline.nudge import nudge
from dispatcher.schedule.connection import connect
from dispatcher.schedule.schedule import FAN_OUT
from dispatcher.settings import read_settings
from dispatcher.storage import migrate

ROOT = Path(__file__).resolve().parent.parent
WORKER_COUNT = 2
THREADS = 8
_WORKER_OPTIONS = f"-P threads -c {THREADS} -Q events,deliveries -l warning --without-gossip --without-mingle"
_OTHERS = ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "SECRET_KEYS")
_TABLES = ", ".join(f"dispatcher.{name}" for name in ("accounts", "events", "events_waiting", "deliveries", "attempts"))


def say(line: str) -> None:
    """One line of progress, at once."""
    print(f"· {line}", flush=True)


def wait_until(
    what: str, is_so: Callable[[], object], within_s: float = 60.0, every_s: float = 0.05, processes: Sequence[Any] = ()
) -> None:
    """Polls until `is_so`; raises TimeoutError, or RuntimeError where one of `processes` ends before."""
    ends_s = time.monotonic() + within_s
    while not is_so():
        if any(process.poll() is not None for process in processes):
            raise RuntimeError(f"a process ended before: {what}")
        if time.monotonic() > ends_s:
            raise TimeoutError(f"not within {within_s:g} s: {what}")
        time.sleep(every_s)


class Rig:
    """Servers for the time of a `with` block; `container` is this process's, `redis` and `sql` look inside."""

    def __init__(self, folder: Path, *, preload: str = "") -> None:
        """`preload`: a library of Postgres' that it shall have loaded."""
        self.folder = folder
        self._preload = preload
        self._stack = ExitStack()
        self._started = 0

    def __enter__(self) -> Self:
        for name in [name for name in os.environ if name in _OTHERS or name.startswith("DISPATCHER_")]:
            del os.environ[name]  # the defaults are measured, on servers of our own
        self.folder.chmod(0o711)  # as root, Postgres runs as another user, who must get through to its folder
        servers = self._stack.enter_context(embedded(self.folder / "servers"))
        assert servers.postgres is not None  # no DATABASE_URL is set any more
        self._servers, self._postgres_server = servers, servers.postgres
        self._stack.callback(servers.postgres.remove)  # its data may lie elsewhere than in our folder
        os.environ.update(servers.environment)
        os.environ.update({"DISPATCHER_ALLOWED_NETWORKS": "127.0.0.0/8", "DISPATCHER_LOG_LEVEL": "warning"})
        if self._preload:
            self._restart_postgres_with(self._preload)
        self.container = Container(read_settings())
        self._stack.callback(self.container.close)
        use_container(self.container)
        migrate.upgrade(self.container.storage)
        self.redis = connect(self.container.settings.redis_url, 5.0)
        self._postgres = psycopg2.connect(os.environ["DATABASE_URL"])
        self._postgres.autocommit = True
        self._stack.callback(self._postgres.close)
        return self

    def __exit__(self, *_: object) -> None:
        use_container(None)
        self._stack.close()

    def sql(self, text: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> list[tuple[Any, ...]]:
        """The rows of one statement on a connection of the rig's own, committed at once."""
        with self._postgres.cursor() as cursor:
            cursor.execute(text, parameters or None)
            return cursor.fetchall() if cursor.description else []

    @property
    def server_pids(self) -> dict[str, int]:
        """The process ids of Postgres and Valkey."""
        servers = {"postgres": self._servers.postgres, "valkey": self._servers.valkey}
        return {name: server.pid for name, server in servers.items() if server is not None and server.pid is not None}

    def _restart_postgres_with(self, library: str) -> None:
        connection = psycopg2.connect(os.environ["DATABASE_URL"])
        connection.autocommit = True
        connection.cursor().execute(f"alter system set shared_preload_libraries = {library}")
        connection.close()
        self._postgres_server.restart()

    def hold_nudges(self) -> None:
        """Makes workers that hear of events believe that a `fan_out` message is on its way."""
        self.redis.set(FAN_OUT, "1")

    def nudge(self) -> None:
        """Sends it."""
        self.redis.delete(FAN_OUT)
        nudge(self.container.schedule, self.container.queue)

    def empty(self) -> None:
        """Empties the tables; running workers may stay."""
        self.sql(f"truncate {_TABLES} cascade")  # users, webhooks and what else belongs to an account
        self.sql("checkpoint")

    @contextmanager
    def workers(self, count: int = WORKER_COUNT, **variables: str) -> Iterator[list[int]]:
        """`count` workers that wait for work, with `variables` in their environment; yields their process ids."""
        with ExitStack() as stack:
            processes = [stack.enter_context(self._worker(variables)) for _ in range(count)]
            wait_until("workers wait for work", lambda: self._waiting_consumers() >= count, processes=processes)
            wait_until("workers are seen", lambda: len(self.container.schedule.workers.names()) >= count)
            yield [process.pid for process in processes]

    def _worker(self, variables: dict[str, str]) -> Any:
        self._started += 1
        return self.celery(f"-A dispatcher.tasks worker -n bench{self._started}@%h {_WORKER_OPTIONS}", variables)

    @contextmanager
    def slow_worker(self) -> Iterator[None]:
        """A worker for the webhooks that struggle, as in the Procfile."""
        options = _WORKER_OPTIONS.replace("events,deliveries", "deliveries.slow").replace(f"-c {THREADS}", "-c 16")
        seen = len(self.container.schedule.workers.names())
        with self.celery(f"-A dispatcher.tasks worker -n slow@%h {options}"):
            wait_until("the slow worker is seen", lambda: len(self.container.schedule.workers.names()) > seen)
            yield

    @contextmanager
    def celery(self, arguments: str, variables: dict[str, str] | None = None) -> Iterator[Any]:
        """A Celery process for the time of the block; what it says is shown where the block fails."""
        log = self.folder / "celery.log"
        with log.open("wb") as file:
            command = [sys.executable, "-m", "celery", "-q", *arguments.split()]
            try:
                with running(command, variables, stdout=file, stderr=file) as process:
                    yield process
            except Exception:
                print(log.read_text(errors="replace")[-2000:], file=sys.stderr)
                raise

    def _waiting_consumers(self) -> int:
        return int(self.redis.info("clients")["blocked_clients"])


@contextmanager
def running(command: Sequence[str], variables: dict[str, str] | None = None, **options: Any) -> Iterator[Any]:
    """A process of ours for the time of the block; killed at its end, or when this process dies."""
    environment = {**os.environ, **(variables or {})}
    process = subprocess.Popen(command, env=environment, cwd=ROOT, preexec_fn=_die_with_parent, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
