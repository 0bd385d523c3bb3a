"""Real workers on servers of their own, which a test may kill, and questions about what became of its events.

cluster.webhook(receiver.url("/hook"))        who wants the events
cluster.start_worker()                        a process of `celery -A dispatcher.tasks worker`, as in the Procfile
cluster.emit(100)                             from this process, committed on return
cluster.wait_until_delivered(100)             every delivery is recorded as delivered
posts_by_key(receiver)                        how many POSTs came of each delivery
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from dispatcher import emit_many
from dispatcher.container import Container
from dispatcher.errors import DispatcherError
from dispatcher.local.postgres import Postgres
from dispatcher.local.valkey import Valkey
from dispatcher.settings import Settings
from dispatcher.storage import migrate
from dispatcher.storage.engine import rows
from dispatcher.webhooks.edit import create_webhook
from tests.support.builders import SECRET_KEY, an_account, an_event
from tests.support.processes import PROGRAMS, Program
from tests.support.receiver import Receiver
from tests.support.waiting import eventually, wait_until

SLUG = "applecorp"

SHORT = {
    "DISPATCHER_TESTING": "1",
    "DISPATCHER_ALLOWED_NETWORKS": "127.0.0.0/8",
    "DISPATCHER_TIMEOUT_S": "2",
    "DISPATCHER_LEASE_S": "5",
    "DISPATCHER_HOLD_S": "2",
    "DISPATCHER_RECONCILE_S": "1",
    "DISPATCHER_RETRY_BASE_S": "0.3",
    "DISPATCHER_RETRY_FACTOR": "1.5",
}
"""What every process of a cluster is told; short spans, so that a crash is over within seconds."""


class Cluster:
    """One test's database, its emptied Redis, and the processes that it starts."""

    def __init__(
        self,
        postgres: Postgres,
        valkey: Valkey,
        database_url: str,
        folder: Path,
        *,
        redis_url: str = "",
        broker_url: str = "",
        schema: str = "dispatcher",
    ) -> None:
        self.postgres = postgres
        self.valkey = valkey
        self.folder = folder
        redis_url = redis_url or valkey.url
        self.env = SHORT | {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "SECRET_KEYS": SECRET_KEY}
        self.env |= {"DISPATCHER_SCHEMA": schema}
        if broker_url:
            self.env["BROKER_URL"] = broker_url
        self.container = Container(
            Settings(
                database_url=database_url,
                redis_url=redis_url,
                broker_url=broker_url or redis_url,
                secret_keys=(SECRET_KEY,),
                allowed_networks=(ip_network("127.0.0.0/8"),),
                testing=True,
                schema=schema,
            )
        )
        migrate.upgrade(self.container.storage)
        self.account = an_account(self.container.storage, SLUG)
        self.workers: list[Program] = []
        self._programs: list[Program] = []
        self._numbers = itertools.count(1)

    # -- processes -----------------------------------------------------------------------------------------------

    def start(self, *command: str | Path, **env: str) -> Program:
        """Starts a program of the virtual environment, in the cluster's folder and with its variables."""
        return self._start(command, env, may_fork=True)

    def start_worker(self, *, ready: bool = True, pool: str = "threads", **env: str) -> Program:
        """A worker on all queues; `ready` waits until it says that it lives."""
        name = f"e2e{len(self.workers) + 1}"
        command = (
            "celery", "--quiet", "-A", "dispatcher.tasks", "worker", "-P", pool, "-c", "4",
            "-Q", "events,deliveries,deliveries.slow", "-n", f"{name}@%h",
            "--without-gossip", "--without-mingle", "--loglevel", "warning",
        )  # fmt: skip
        worker = self._start(command, env, may_fork=pool == "threads")
        self.workers.append(worker)
        if ready:
            eventually(lambda: self._is_ready(worker, name), 60, f"the worker {name} being ready")
        return worker

    def logs(self) -> Iterator[tuple[str, str]]:
        """Name and last lines of what each process printed."""
        for program in self._programs:
            yield program.log.name, "\n".join(program.output.splitlines()[-60:])

    def close(self) -> None:
        for program in self._programs:
            program.clear_away()
        self.container.close()

    # -- events in -----------------------------------------------------------------------------------------------

    def webhook(self, url: str, *events: str, **more: Any) -> int:
        """A new webhook's id; it wants `invoice_paid` unless told otherwise."""
        attributes = {"webhook_url": url, "events": list(events) or ["invoice_paid"], **more}
        return create_webhook(self.container.storage, SLUG, attributes).id

    def emit(self, count: int = 1, name: str = "invoice_paid") -> list[int]:
        """The ids of so many new events, which are committed."""
        return emit_chunk(count, name)

    @contextmanager
    def emitting(self, count: int, chunk: int = 50, pause_s: float = 0.02) -> "Iterator[Emitting]":
        """Emits in the background while the block lasts, and then to its end."""
        emitting = Emitting(lambda: self.emit(chunk), count // chunk, pause_s)
        emitting.thread.start()
        try:
            yield emitting
        finally:
            emitting.thread.join()

    # -- what became of them -------------------------------------------------------------------------------------

    def rows(self, sql: str, **parameters: object) -> list[tuple[Any, ...]]:
        return self.container.storage.transact(rows, sql, **parameters)

    def states(self) -> dict[str, int]:
        """Deliveries by state; `outbox` counts the events that have none yet. One statement: a fan-out moves many."""
        return dict(
            self.rows(
                "select state, count(*) from dispatcher.deliveries group by 1"
                " union all select 'outbox', count(*) from dispatcher.events_waiting having count(*) > 0"
            )
        )

    def attempts(self) -> list[tuple[str, str | None]]:
        """Status and reason of every attempt, by number."""
        return [
            (row[0], row[1]) for row in self.rows("select status, reason from dispatcher.attempts order by number, id")
        ]

    def counts(self) -> list[tuple[int, int]]:
        """Of each delivery: recorded attempts and losses."""
        return [
            (row[0], row[1])
            for row in self.rows("select attempt_count, lost_count from dispatcher.deliveries order by id")
        ]

    def wait_until_delivered(self, count: int, within_s: float = 30.0) -> None:
        """Until all `count` deliveries are recorded as delivered, and no event waits in the outbox."""
        wait_until(self.states, lambda states: states == {"delivered": count}, within_s)

    def _start(self, command: Sequence[str | Path], env: Mapping[str, str], *, may_fork: bool) -> Program:
        program = Program(
            [PROGRAMS / command[0], *command[1:]],
            cwd=self.folder,
            env=self.env | dict(env),
            log=self.folder / f"{next(self._numbers)}-{command[0]}.log",
            may_fork=may_fork,
        )
        self._programs.append(program)
        return program

    def _is_ready(self, worker: Program, name: str) -> bool:
        assert not worker.ended, f"the worker {name} ended:\n{worker.output}"
        return any(one.startswith(f"{name}@") for one in self.container.schedule.workers.names())


class Emitting:
    """An emitter at work in its thread."""

    def __init__(self, emit: Callable[[], list[int]], chunks: int, pause_s: float) -> None:
        self.accepted: list[int] = []
        """Ids of the events whose emit has returned."""
        self.refused: list[Exception] = []
        self.longest_s = 0.0
        """What the slowest emit took."""
        self.enough = threading.Event()
        """Ends it before its count is reached."""
        self._emit = emit
        self._chunks = chunks
        self._pause_s = pause_s
        self.thread = threading.Thread(target=self._run, name="emitting")

    def _run(self) -> None:
        pause = threading.Event()
        for _ in range(self._chunks):
            if self.enough.is_set():
                return
            began_s = time.monotonic()
            try:
                self.accepted += self._emit()
            except DispatcherError as error:
                self.refused.append(error)
            self.longest_s = max(self.longest_s, time.monotonic() - began_s)
            pause.wait(self._pause_s)


def emit_chunk(count: int, name: str = "invoice_paid") -> list[int]:
    """The ids of so many new events, emitted by this process's container."""
    return [event.id for event in emit_many([an_event(name) for _ in range(count)], account=SLUG)]


def posts_by_key(receiver: Receiver) -> Counter[str]:
    """How many POSTs came with each Idempotency-Key."""
    return Counter(request.header("Idempotency-Key") or "" for request in receiver.requests)
