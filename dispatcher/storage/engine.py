"""The way to Postgres: one pool a process, short transactions, and errors in our words."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import IntegrityError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dispatcher.connections import psycopg2 as of_psycopg2
from dispatcher.connections import sqlalchemy as of_sqlalchemy
from dispatcher.connections.adapter import Planned
from dispatcher.connections.adapter import Row as Row
from dispatcher.connections.adapter import array as array
from dispatcher.connections.errors import READ_ONLY, TRANSIENT, repeated, sqlstate, translated
from dispatcher.connections.pool import NONE_FREE, WAIT_S, is_closed, parameters
from dispatcher.connections.schema import USUAL
from dispatcher.errors import StorageUnavailable
from dispatcher.storage.planned import UNKNOWN, PlanningConnection, SchemaConnection, forget
from dispatcher.storage.secrets import SecretBox

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Connection = SqlConnection | psycopg2.extensions.connection
"""What a query runs on: a transaction (`transact`), or the driver's connection itself (`autocommit`, `read`)."""

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D", bound="DataclassInstance")

_OF_VALUES = ("22", "23", "54")  # classes: data, constraints, limits of the program
_CHECK = "23514"


class Storage:
    """Postgres, and the box that opens the secrets stored in it. Connects when first used, not before.

    `schema`: where its tables are (`dispatcher.connections.schema`).
    """

    def __init__(self, url: str, secrets: SecretBox, pool_size: int = 5, schema: str = USUAL) -> None:
        psycopg2.extras.register_uuid()
        self.engine = make_engine(url, pool_size, schema)
        self.secrets = secrets
        self.schema = schema

    @contextmanager
    def transaction(self) -> Iterator[SqlConnection]:
        """A transaction, committed at the end of the block; raises StorageUnavailable."""
        with _translated(), self.engine.begin() as connection:
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

        return repeated(in_transaction, _is_transient)

    def autocommit(self, work: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`work(connection, ...)`, each statement of which is committed by itself: two round trips fewer.

        It is repeated as by `transact`, so it had better be one statement, or ones that may be repeated.
        """
        return repeated(lambda: self._by_itself(work, *args, **kwargs), _is_transient)

    def _by_itself(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """On the driver's own connection: what SQLAlchemy does for each statement costs more than a small one."""
        with _translated():
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

    def after_commit(self, work: Callable[[], object]) -> None:
        """Does `work` once all that was done is committed: here that is now."""
        work()

    def close(self) -> None:
        """Gives all connections back."""
        self.engine.dispose()


def transactional(work: Callable[Concatenate[Connection, P], T]) -> Callable[Concatenate[Storage, P], T]:
    """`work(connection, ...)` as a function of the storage, which is run as by `Storage.transact`."""

    @wraps(work)
    def in_transaction(storage: Storage, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return storage.transact(work, *args, **kwargs)

    return in_transaction


def _is_transient(code: str) -> bool:
    if code in UNKNOWN:
        forget()
    return code in UNKNOWN or code in TRANSIENT


def make_engine(url: str, pool_size: int, schema: str = USUAL, *, variable: str = "DATABASE_URL") -> Engine:
    """An engine over psycopg2; raises InvalidSetting, which names `variable`, for a URL not for libpq."""
    options = parameters(of_psycopg2.parse(url, variable))
    factory = PlanningConnection if schema == USUAL else partial(SchemaConnection, schema=schema)
    engine = create_engine(
        "postgresql+psycopg2://",
        creator=lambda: psycopg2.connect(connection_factory=factory, **options),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=WAIT_S,
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
    if getattr(context.original_exception, "pgcode", None) == READ_ONLY:
        context.is_disconnect = True


def _refuse_closed(connection: Any, *_: object) -> None:
    """Instead of SQLAlchemy's pre-ping, which costs a round trip each time."""
    if is_closed(connection):
        raise InvalidatePoolError("the server has closed this connection")


@contextmanager
def _translated() -> Iterator[None]:
    with translated():
        try:
            yield
        except PoolTimeout as error:
            raise StorageUnavailable(NONE_FREE) from error


def refuses_values(error: object) -> bool:
    """Whether Postgres refuses values of the statement, as it would at any time, and not the statement itself."""
    code = sqlstate(error)
    # Of the checks, the one without a name is "no partition of the table for this row": that is nobody's row's fault.
    return code[:2] in _OF_VALUES and (code != _CHECK or _constraint(error) is not None)


@contextmanager
def unique(constraint: str, taken: Exception) -> Iterator[None]:
    """Raises `taken` where the block violates that constraint."""
    try:
        yield
    except IntegrityError as error:
        if _constraint(error) != constraint:
            raise
        raise taken from None


def _constraint(error: object) -> str | None:
    """The name of the constraint that was violated."""
    name: str | None = getattr(getattr(getattr(error, "orig", error), "diag", None), "constraint_name", None)
    return name


def rows(connection: Connection, sql: str, /, **parameters: Any) -> list[Row]:
    """The rows of one statement, which is planned once where it is `Planned`; its parameters are `%(name)s`."""
    if isinstance(connection, psycopg2.extensions.connection):
        return of_psycopg2.rows(connection, sql, parameters or None)
    if isinstance(sql, Planned):  # else the driver's connection is not needed
        sql = of_psycopg2.planned(connection.connection.dbapi_connection, sql)
    return of_sqlalchemy.rows(connection, sql, parameters or None)


def one(connection: Connection, missing: Exception, sql: str, /, **parameters: Any) -> Row:
    """The first row; raises `missing` where there is none."""
    for row in rows(connection, sql, **parameters):
        return row
    raise missing


def scalars(connection: Connection, sql: str, /, **parameters: Any) -> list[Any]:
    """The first column of the rows."""
    return [row[0] for row in rows(connection, sql, **parameters)]


def scalar(connection: Connection, sql: str, /, **parameters: Any) -> Any:
    """The first column of the first row; None where there is no row."""
    return next(iter(scalars(connection, sql, **parameters)), None)


def records(connection: Connection, kind: type[D], sql: str, /, **parameters: Any) -> list[D]:
    """The rows as dataclasses, as `record` makes them."""
    return [record(kind, row) for row in rows(connection, sql, **parameters)]


def first(connection: Connection, kind: type[D], sql: str, /, **parameters: Any) -> D | None:
    """The first of `records`; None where there is no row."""
    return next(iter(records(connection, kind, sql, **parameters)), None)


def record(kind: type[D], row: Iterable[Any]) -> D:
    """A dataclass from columns in the order of its fields; arrays become tuples."""
    values = (tuple(value) if type(value) is list else value for value in row)
    return kind(**dict(zip(kind.__dataclass_fields__, values, strict=True)))
