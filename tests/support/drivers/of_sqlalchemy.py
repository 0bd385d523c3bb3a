"""SQLAlchemy, synchronous: connections and sessions."""

from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from tests.support.drivers.base import Driver, sqlalchemy_url


class _SqlAlchemy(Driver):
    """`connection` begins, nests and executes; sessions and connections do so alike."""

    over: str

    def __init__(self, url: str, *, autocommit: bool) -> None:
        super().__init__(url, autocommit=autocommit)
        options = {"isolation_level": "AUTOCOMMIT"} if autocommit else {}
        self.engine = create_engine(sqlalchemy_url(url, self.over), **options)
        self._connection = self.connect()

    def connect(self) -> Any:
        raise NotImplementedError

    @property
    def connection(self) -> Any:
        return self._connection

    def block(self) -> AbstractContextManager[Any]:
        block: AbstractContextManager[Any] = self._connection.begin_nested() if self.depth else self._connection.begin()
        return block

    def execute(self, sql: str) -> None:
        self._connection.execute(text(sql))

    def close(self) -> None:
        self._connection.close()
        self.engine.dispose()


class OverPsycopg2(_SqlAlchemy):
    """A Connection."""

    over = "psycopg2"

    def connect(self) -> Connection:
        return self.engine.connect()


class OverPsycopg(OverPsycopg2):
    """The same over psycopg 3."""

    over = "psycopg"


class SessionOverPsycopg2(_SqlAlchemy):
    """A Session."""

    over = "psycopg2"

    def connect(self) -> Session:
        return Session(self.engine)


class SessionOverPsycopg(SessionOverPsycopg2):
    """The same over psycopg 3."""

    over = "psycopg"


class ScopedSession(_SqlAlchemy):
    """The thread's session."""

    over = "psycopg2"

    def connect(self) -> scoped_session[Session]:
        return scoped_session(sessionmaker(self.engine))
