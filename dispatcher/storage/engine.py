"""The way to Postgres: one pool a process, short transactions, and errors in our words."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg2
import psycopg2.extensions
import psycopg2.extras
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from dispatcher.errors import StorageUnavailable
from dispatcher.storage.secrets import SecretBox

Row = tuple[Any, ...]
Joinable = Connection | Session | psycopg2.extensions.connection
"""What an emitting service may hand over, so that its event is part of its own transaction."""

T = TypeVar("T")

# A half-open connection must not hold a thread: 10 s without an acknowledgement end it, and no statement runs longer
# than a lease has to spare.
_CONNECT = {
    "connect_timeout": 3,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "application_name": "dispatcher",
    "options": "-c timezone=UTC -c statement_timeout=20000 -c lock_timeout=5000"
    " -c idle_in_transaction_session_timeout=60000 -c jit=off",
}
_TRANSIENT = {"40001", "40P01"}  # serialization failure (also: "row moved to another partition"), deadlock
_ATTEMPTS = 5


class Storage:
    """Postgres, and the box that opens the secrets stored in it. Connects when first used, not before."""

    def __init__(self, url: str, secrets: SecretBox, pool_size: int = 5) -> None:
        psycopg2.extras.register_uuid()
        self._engine = make_engine(url, pool_size)
        self.secrets = secrets

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine, for migrations."""
        return self._engine

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction, committed at the end of the block; raises StorageUnavailable."""
        with translated(), self._engine.begin() as connection:
            yield connection

    def run(self, work: Callable[[Connection], T]) -> T:
        """`work` in a transaction of its own, again from the start where Postgres asks for that (at most 5 times)."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self.transaction() as connection:
                    return work(connection)
            except DBAPIError as error:
                if getattr(error.orig, "pgcode", None) not in _TRANSIENT or attempt == _ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Gives all connections back."""
        self._engine.dispose()


def make_engine(url: str, pool_size: int) -> Engine:
    """An engine over psycopg2; `url` may name several hosts, as libpq does."""
    scheme, _, rest = url.partition("://")
    return create_engine(
        f"{scheme.replace('postgres', 'postgresql') if scheme == 'postgres' else scheme}+psycopg2://{rest}",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=True,
        connect_args=_CONNECT,
        hide_parameters=True,  # parameters hold payloads and secrets; SQLAlchemy would print them in its errors
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turns "no connection" in its many shapes into StorageUnavailable; what is left is a fault of ours."""
    try:
        yield
    except PoolTimeout as error:
        raise StorageUnavailable("no free connection to Postgres within 30 s; raise DISPATCHER_POOL_SIZE") from error
    except DBAPIError as error:
        if error.connection_invalidated or _is_connection_loss(error.orig):
            raise StorageUnavailable(f"Postgres is not reachable: {_first_line(error.orig)}") from error
        raise
    except psycopg2.OperationalError as error:
        if _is_connection_loss(error):
            raise StorageUnavailable(f"Postgres is not reachable: {_first_line(error)}") from error
        raise


def _is_connection_loss(error: object) -> bool:
    if isinstance(error, psycopg2.InterfaceError):
        return True
    code = getattr(error, "pgcode", None)
    # No code: the connection itself broke. 57P0x: shut down, crashed or starting. 53300: too many connections.
    return isinstance(error, psycopg2.OperationalError) and (
        code is None or code[:2] in ("08", "53") or code in ("57P01", "57P02", "57P03")
    )


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or ["connection lost"])[0]


def rows(connection: Joinable, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
    """The rows of one statement (`%(name)s` style) on any of the kinds of connection a caller may hand over."""
    if isinstance(connection, psycopg2.extensions.connection):
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []
    if isinstance(connection, Session):
        connection = connection.connection()
    result = connection.exec_driver_sql(sql, parameters)
    if not result.returns_rows:
        return []
    found = list(result.cursor.fetchall())  # the driver's own tuples: SQLAlchemy's rows cost more than the reading
    result.close()
    return found


__all__ = ["Connection", "Joinable", "Row", "Storage", "make_engine", "rows", "translated"]
