"""psycopg2: a connection is a transaction's block; it has no savepoints of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2.extras import RealDictCursor

from tests.support.drivers.base import Driver


class Psycopg2(Driver):
    """As it comes."""

    factory: Any = None

    def __init__(self, url: str, *, autocommit: bool) -> None:
        super().__init__(url, autocommit=autocommit)
        self._connection = psycopg2.connect(url, cursor_factory=self.factory)
        self._connection.autocommit = autocommit

    @property
    def connection(self) -> Any:
        return self._connection

    @contextmanager
    def block(self) -> Iterator[None]:
        if not self.depth:
            with self._connection:
                yield
            return
        name = f"level_{self.depth}"
        self.execute(f"savepoint {name}")
        try:
            yield
        except BaseException:
            self.execute(f"rollback to savepoint {name}")
            raise
        self.execute(f"release savepoint {name}")

    def execute(self, sql: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)

    def close(self) -> None:
        self._connection.close()


class DictsOfPsycopg2(Psycopg2):
    """Whose rows are dicts."""

    factory = RealDictCursor
