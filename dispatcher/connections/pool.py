"""A process's connections: how they are opened, and a producer's few, for emits that are handed none.

A server has many statements for them, and the pool of `storage.engine`.
"""

import os
import select
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from queue import Empty, LifoQueue
from typing import Any, Concatenate, ParamSpec, TypeVar

from dispatcher.connections.errors import repeated, translated
from dispatcher.connections.recognise import connection_in_schema
from dispatcher.connections.schema import USUAL
from dispatcher.errors import DispatcherError, InvalidSetting, StorageUnavailable

P = ParamSpec("P")
T = TypeVar("T")

# A half-open connection must not hold a thread: 10 s without an acknowledgement end it, and no statement runs longer
# than a lease has to spare.
_OPTIONS = {
    "connect_timeout": 3,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "application_name": "dispatcher",
}
_SESSION = (
    "-c timezone=UTC -c statement_timeout=20000 -c lock_timeout=5000"
    " -c idle_in_transaction_session_timeout=60000 -c jit=off"
    # What is planned once must be right for tables of any size: a day that is empty now is full tomorrow.
    " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off"
)
WAIT_S = 30
"""Seconds within which a connection must be free."""
NONE_FREE = f"no free connection to Postgres within {WAIT_S} s; raise DISPATCHER_POOL_SIZE"


def parameters(of_url: Mapping[str, Any]) -> dict[str, Any]:
    """Those of libpq with which a connection is opened, for what a URL gives.

    What that says of a session's settings, such as its search_path, stays where ours do not say otherwise.
    """
    return {**of_url, **_OPTIONS, "options": f"{of_url.get('options', '')} {_SESSION}"}


def is_closed(connection: Any) -> bool:
    """Whether the server has closed an idle connection: it says so, and there is nothing else to read. No round trip.

    One whose host is gone without a word is found by `tcp_user_timeout`.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class ConnectionPool:
    """At most `size` connections, by psycopg2 or psycopg 3, for all threads of the process and of those it forks."""

    def __init__(self, url: str, size: int, schema: str = USUAL) -> None:
        self._url = url
        self._size = size
        self._schema = schema
        self._by_process: dict[int, LifoQueue[Any]] = {}

    def autocommit(self, work: Callable[Concatenate[Any, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`work(connection, ...)`, each statement of which is committed by itself; raises StorageUnavailable.

        It is run again from the start where Postgres asks for that (at most 5 times).
        """

        def once() -> T:
            with translated(), self._connection() as connection:
                return work(connection_in_schema(connection, self._schema), *args, **kwargs)

        return repeated(once)

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        places = self._places()
        try:
            connection = places.get(timeout=WAIT_S)
        except Empty:
            raise StorageUnavailable(NONE_FREE) from None
        try:
            if connection is not None and is_closed(connection):
                connection.close()
                connection = None
            if connection is None:
                connection = _driver().connect(self._url, parameters)
            yield connection
        except DispatcherError:  # such as an account that does not exist
            raise
        except BaseException:  # in whatever state that leaves a connection, the next emit has another
            if connection is not None:
                connection.close()
                connection = None
            raise
        finally:
            places.put(connection)

    def _places(self) -> "LifoQueue[Any]":
        """One for each connection, the last used first; None where it is not open. A parent's are not a child's."""
        pid = os.getpid()
        places = self._by_process.get(pid)
        if places is None:
            queue: LifoQueue[Any] = LifoQueue()
            for _ in range(self._size):
                queue.put(None)
            places = self._by_process.setdefault(pid, queue)  # of two threads that come first, both have the same
            if places is queue:
                weakref.finalize(self, _close, pid, queue)
        return places


def _close(pid: int, places: "LifoQueue[Any]") -> None:
    if pid == os.getpid():  # else they are a parent's, which goes on with them
        with suppress(Empty):
            while True:
                if connection := places.get_nowait():
                    connection.close()


def _driver() -> Any:
    """The adapter's module of the driver that the service has loaded, or has."""
    for name in sorted(("psycopg2", "psycopg"), key=lambda name: name not in sys.modules):
        if find_spec(name):
            return import_module(f"dispatcher.connections.{name}")
    raise InvalidSetting(
        "DATABASE_URL",
        "an emit without `connection` needs psycopg2 or psycopg 3: pip install 'webhook-dispatcher[psycopg2]'",
    )
