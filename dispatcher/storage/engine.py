"""The way to Postgres: one pool a process, short transactions, and errors in our words."""

import select
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dispatcher.connections import psycopg2 as of_psycopg2
from dispatcher.connections import sqlalchemy as of_sqlalchemy
from dispatcher.connections.adapter import Row as Row
from dispatcher.connections.adapter import array as array
from dispatcher.errors import InvalidSetting, StorageLockTimeout, StorageUnavailable
from dispatcher.storage.planned import UNKNOWN, Planned, PlanningConnection, forget
from dispatcher.storage.secrets import SecretBox

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Connection = SqlConnection | psycopg2.extensions.connection
"""What a query runs on: a transaction (`transact`), or the driver's connection itself (`autocommit`, `read`)."""

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D", bound="DataclassInstance")

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
    " -c idle_in_transaction_session_timeout=60000 -c jit=off"
    # What is planned once must be right for tables of any size: a day that is empty now is full tomorrow.
    " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off",
}
_TRANSIENT = {"40001", "40P01"}  # serialization failure (also: "row moved to another partition"), deadlock
_READ_ONLY = "25006"  # what a standby answers to a write
_SHUTTING_DOWN = {"57P01", "57P02", "57P03"}  # shut down, crashed or starting
_LOCKED = "55P03"  # a statement waited for a lock for longer than it may
_TOO_LONG = {"57014", _LOCKED}  # or took longer than it may
_FULL, _CONNECTION = "53", "08"  # classes: too many connections, disk or memory full; the connection broke
_OF_VALUES = ("22", "23", "54")  # classes: data, constraints, limits of the program
_CHECK = "23514"
_ATTEMPTS = 5


class Storage:
    """Postgres, and the box that opens the secrets stored in it. Connects when first used, not before."""

    def __init__(self, url: str, secrets: SecretBox, pool_size: int = 5) -> None:
        psycopg2.extras.register_uuid()
        self.engine = make_engine(url, pool_size)
        self.secrets = secrets

    @contextmanager
    def transaction(self) -> Iterator[SqlConnection]:
        """A transaction, committed at the end of the block; raises StorageUnavailable."""
        with translated(), self.engine.begin() as connection:
            yield connection

    def read(self, work: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`work(connection, ...)`, which reads by one statement, without a transaction: two round trips fewer."""
        return self.autocommit(work, *args, **kwargs)

    def transact(self, work: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`work(connection, ...)` in a transaction of its own; raises StorageUnavailable.

        It is run again from the start where Postgres asks for that (at most 5 times).
        """

        def in_transaction() -> T:
            with self.transaction() as connection:
                return work(connection, *args, **kwargs)

        return _repeated(in_transaction)

    def autocommit(self, work: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`work(connection, ...)`, each statement of which is committed by itself: two round trips fewer.

        It is repeated as by `transact`, so it had better be one statement, or ones that may be repeated.
        """
        return _repeated(lambda: self._by_itself(work, *args, **kwargs))

    def _by_itself(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """On the driver's own connection: what SQLAlchemy does for each statement costs more than a small one."""
        with translated():
            pooled = self.engine.raw_connection()
            connection: Any = pooled.dbapi_connection
            try:
                connection.autocommit = True
                return work(connection, *args, **kwargs)
            except psycopg2.errors.ReadOnlySqlTransaction:
                connection.close()
                raise
            finally:
                if connection.closed:
                    pooled.invalidate()
                else:
                    connection.autocommit = False
                    pooled.close()

    def close(self) -> None:
        """Gives all connections back."""
        self.engine.dispose()


def transactional(work: Callable[Concatenate[Connection, P], T]) -> Callable[Concatenate[Storage, P], T]:
    """`work(connection, ...)` as a function of the storage, which is run as by `Storage.transact`."""

    @wraps(work)
    def in_transaction(storage: Storage, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return storage.transact(work, *args, **kwargs)

    return in_transaction


def _repeated(work: Callable[[], T]) -> T:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return work()
        except (DBAPIError, psycopg2.Error) as error:
            if sqlstate(error) in UNKNOWN:
                forget()
            elif sqlstate(error) not in _TRANSIENT:
                raise
            if attempt == _ATTEMPTS:
                raise _unavailable(error) from error
    raise AssertionError("unreachable")


def make_engine(url: str, pool_size: int) -> Engine:
    """An engine over psycopg2; raises InvalidSetting for a URL that libpq does not understand.

    It is libpq that reads `url`, and not SQLAlchemy, which knows nothing of several hosts.
    """
    try:
        options = psycopg2.extensions.parse_dsn(url) | _CONNECT
    except psycopg2.ProgrammingError:
        raise InvalidSetting("DATABASE_URL", "libpq does not understand it") from None  # its words may hold a password
    engine = create_engine(
        "postgresql+psycopg2://",
        creator=lambda: psycopg2.connect(connection_factory=PlanningConnection, **options),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=30,
        hide_parameters=True,  # parameters hold payloads and secrets; SQLAlchemy would print them in its errors
    )
    event.listen(engine, "checkout", _refuse_closed)
    event.listen(engine, "handle_error", _leave_a_standby)
    return engine


def detached(engine: Engine) -> Any:
    """A connection of the driver's that is outside the pool, for as long as its owner likes; it commits at once."""
    fairy = engine.raw_connection()
    connection: Any = fairy.dbapi_connection
    fairy.detach()
    connection.autocommit = True
    return connection


def _leave_a_standby(context: ExceptionContext) -> None:
    """A server that does not take writes any more is not used: its connections are replaced."""
    if getattr(context.original_exception, "pgcode", None) == _READ_ONLY:
        context.is_disconnect = True


def _refuse_closed(connection: Any, *_: object) -> None:
    """Instead of SQLAlchemy's pre-ping, which costs a round trip each time.

    A server that closes a connection says so, and an idle connection has nothing else to read. One whose host is gone
    without a word is found by `tcp_user_timeout`.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise InvalidatePoolError("the server has closed this connection")


@contextmanager
def translated() -> Iterator[None]:
    """Turns "no answer" in its many shapes into StorageUnavailable; what is left is our fault, or that of values."""
    try:
        yield
    except PoolTimeout as error:
        raise StorageUnavailable("no free connection to Postgres within 30 s; raise DISPATCHER_POOL_SIZE") from error
    except DBAPIError as error:
        if error.connection_invalidated or _is_connection_loss(error.orig):
            raise _unavailable(error) from error
        raise
    except psycopg2.Error as error:
        if _is_connection_loss(error):
            raise _unavailable(error) from error
        raise


def sqlstate(error: object) -> str:
    """Postgres' code of an error, the driver's or SQLAlchemy's; "" where it is no error of Postgres'."""
    return getattr(getattr(error, "orig", error), "pgcode", None) or ""


def took_too_long(error: StorageUnavailable) -> bool:
    """Whether Postgres is there, and only a lock was not free in time, or a statement not done."""
    return sqlstate(error.__cause__) in _TOO_LONG


def refuses_values(error: object) -> bool:
    """Whether Postgres refuses values of the statement, as it would at any time, and not the statement itself."""
    code = sqlstate(error)
    of_a_row = getattr(getattr(getattr(error, "orig", error), "diag", None), "constraint_name", None)
    # Of the checks, the one without a name is "no partition of the table for this row": that is nobody's row's fault.
    return code[:2] in _OF_VALUES and (code != _CHECK or of_a_row is not None)


def _is_connection_loss(error: object) -> bool:
    if isinstance(error, psycopg2.InterfaceError | psycopg2.errors.ReadOnlySqlTransaction):
        return True
    code = sqlstate(error)  # none: the connection itself broke
    return isinstance(error, psycopg2.OperationalError) and (
        code[:2] in ("", _CONNECTION, _FULL) or code in _SHUTTING_DOWN | _TOO_LONG
    )


def _unavailable(error: object) -> StorageUnavailable:
    first_line = (str(getattr(error, "orig", error)).strip().splitlines() or ["connection lost"])[0]
    code = sqlstate(error)
    is_there = code[:2] == _FULL or code in _TOO_LONG | _TRANSIENT | {_READ_ONLY}
    said = f"Postgres {'refuses' if is_there else 'is not reachable'}: {first_line}"
    return StorageLockTimeout(said) if code == _LOCKED else StorageUnavailable(said)


def rows(connection: Connection, sql: str, mapping: Mapping[str, Any] | None = None, /, **named: Any) -> list[Row]:
    """The rows of one statement, which is planned once where it is `Planned`.

    Its parameters, in `%(name)s` style, come by name, in a mapping, or both.
    """
    parameters = {**mapping, **named} if mapping and named else mapping or named or None
    if isinstance(connection, psycopg2.extensions.connection):
        return of_psycopg2.rows(connection, _executed(connection, sql), parameters)
    if isinstance(sql, Planned):  # else the driver's connection need not be looked for
        sql = _executed(connection.connection.dbapi_connection, sql)
    return of_sqlalchemy.rows(connection, sql, parameters)


def _executed(driver: object, sql: str) -> str:
    """What is sent in the place of `sql`."""
    if isinstance(sql, Planned) and isinstance(driver, PlanningConnection):
        return driver.execution(sql)
    return sql


def one(connection: Connection, missing: Exception, sql: str, /, **parameters: Any) -> Row:
    """The first row; raises `missing` where there is none."""
    for row in rows(connection, sql, parameters):
        return row
    raise missing


def scalars(connection: Connection, sql: str, /, **parameters: Any) -> list[Any]:
    """The first column of the rows."""
    return [row[0] for row in rows(connection, sql, parameters)]


def scalar(connection: Connection, sql: str, /, **parameters: Any) -> Any:
    """The first column of the first row; None where there is no row."""
    return next(iter(scalars(connection, sql, **parameters)), None)


def records(connection: Connection, kind: type[D], sql: str, /, **parameters: Any) -> list[D]:
    """The rows as dataclasses, as `record` makes them."""
    return [record(kind, row) for row in rows(connection, sql, parameters)]


def first(connection: Connection, kind: type[D], sql: str, /, **parameters: Any) -> D | None:
    """The first of `records`; None where there is no row."""
    return next(iter(records(connection, kind, sql, **parameters)), None)


def record(kind: type[D], row: Iterable[Any]) -> D:
    """A dataclass from columns in the order of its fields; arrays become tuples."""
    values = (tuple(value) if type(value) is list else value for value in row)
    return kind(**dict(zip(kind.__dataclass_fields__, values, strict=True)))
