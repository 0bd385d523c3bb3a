"""Use cases as parts of one transaction: each calls a Storage as if its transactions were its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar, cast

from sqlalchemy import Connection as SqlConnection

from dispatcher.storage.engine import Connection, Storage

P = ParamSpec("P")
T = TypeVar("T")


class JoinedStorage(Storage):
    """Whatever is asked of it happens in the transaction of `connection`, which somebody else commits or rolls back.

    It never takes another connection: who waits for a second one while they hold a first may wait for each other.
    """

    def __init__(self, storage: Storage, connection: Connection) -> None:
        self.engine, self.secrets, self.schema = storage.engine, storage.secrets, storage.schema
        self._connection = connection
        self.afterwards: list[Callable[[], object]] = []
        """What is to be done after the commit."""

    @contextmanager
    def transaction(self) -> Iterator[SqlConnection]:
        """The one transaction."""
        yield cast(SqlConnection, self._connection)

    def transact(self, work: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`work(connection, ...)` in the one transaction, which is repeated as a whole where Postgres asks for that."""
        return work(self._connection, *args, **kwargs)

    autocommit = transact

    def after_commit(self, work: Callable[[], object]) -> None:
        """Keeps `work` for who commits."""
        self.afterwards.append(work)
