"""Steps that most tests of the storage take, each one transaction unless it is given a connection."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from sqlalchemy.orm import Session

from dispatcher.model.attempt import Verdict
from dispatcher.model.delivery import ClaimedDelivery, State
from dispatcher.storage.engine import Storage, make_engine, rows
from dispatcher.storage.pipeline import deliveries, emits, events
from dispatcher.storage.pipeline.deliveries import Claim, JudgedAttempt
from dispatcher.storage.secrets import SecretBox
from tests.support.builders import SECRET_KEY, a_draft, a_result, an_account
from tests.support.servers import a_database
from tests.support.waiting import eventually

LEASE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Steps:
    """`storage` and `account` are this test's."""

    storage: Storage
    account: Any

    def emit(self, *drafts: Any) -> list[Any]:
        drafts = drafts or (a_draft(),)
        return self.storage.transact(emits.insert, self.account.id, drafts)

    def fan_out(self, limit: int = 500) -> Any:
        return self.storage.transact(events.fan_out, limit)

    def claim(self, slots: dict[int, int], connection: Any = None, lease: timedelta = LEASE, limit: int = 10) -> Claim:
        def work(c: Any) -> Claim:
            return deliveries.claim(c, self.storage.secrets, slots, token=str(uuid4()), lease=lease, loss_limit=limit)

        return work(connection) if connection is not None else self.storage.transact(work)

    def claim_one(self, webhook_id: int) -> ClaimedDelivery:
        (claimed,) = self.claim({webhook_id: 1}).claimed
        return claimed

    def record(
        self, claimed: ClaimedDelivery, status: str = "200", retry_in_s: float | None = None, **result: Any
    ) -> int:
        finished = self.finished(claimed, status, retry_in_s, **result)
        return self.storage.transact(deliveries.record, [finished], 11.0)

    def finished(
        self, claimed: ClaimedDelivery, status: str = "200", retry_in_s: float | None = None, **result: Any
    ) -> JudgedAttempt:
        """`status` 2xx delivers, else `retry_in_s` says whether a try is left."""
        state = State.DELIVERED if status[0] == "2" else State.FAILED if retry_in_s is None else State.PENDING
        return JudgedAttempt(
            claimed=claimed,
            url="http://127.0.0.1:9/hook?secret=1",
            result=a_result(status, tag=claimed.id, **result),
            verdict=Verdict(state=state, retry_in=None if retry_in_s is None else timedelta(seconds=retry_in_s)),
        )

    def rows(self, sql: str, **parameters: Any) -> list[Any]:
        return self.storage.transact(rows, sql, **parameters)

    def value(self, sql: str, **parameters: Any) -> Any:
        return self.rows(sql, **parameters)[0][0]

    def analyze(self) -> None:
        """Statistics of all our tables; `analyze` alone would read Postgres' own, too, for 50 times as long."""
        tables = """
            select string_agg(oid::regclass::text, ', ') from pg_class
            where relnamespace = 'dispatcher'::regnamespace and relkind in ('r', 'p') and not relispartition
        """
        self.rows(f"analyze {self.value(tables)}")

    def delivery(self, id_: int) -> dict[str, Any]:
        row = self.rows(
            "select row_to_json(d), relname from dispatcher.deliveries d join pg_class c on c.oid = d.tableoid"
            " where id = %(id)s",
            id=id_,
        )
        return row[0][0] | {"table": row[0][1]}

    def attempts(self, id_: int) -> list[Any]:
        """Number, status and reason of each."""
        return self.rows(
            "select number, status, reason from dispatcher.attempts where delivery_id = %(id)s order by 1, id", id=id_
        )

    def lose(self, id_: int) -> None:
        """The delivery's lease runs out, unrecorded."""
        self.rows("update dispatcher.deliveries set next_attempt_at = now() - interval '1 s' where id = %(id)s", id=id_)

    def wait_for_a_waiter(self) -> None:
        """Until a session waits for a lock that another has."""
        eventually(lambda: self.value("select count(*) from pg_locks where not granted"), what="somebody who waits")

    @contextmanager
    def another_session(self) -> Iterator[Any]:
        """A second connection with an open transaction."""
        with self.storage.engine.connect() as connection, connection.begin():
            yield connection


@pytest.fixture
def steps(storage: Storage, account: Any) -> Steps:
    return Steps(storage, account)


@pytest.fixture(scope="module")
def kept(migrated_server: str) -> Iterator[Steps]:
    """In a database of the module's own, for tests that only read what one fixture has laid down there."""
    yield from _in_a_copy(migrated_server)


@pytest.fixture
def fresh(migrated_server: str) -> Iterator[Steps]:
    """In a database that never had a row: where one had, Postgres plans otherwise."""
    yield from _in_a_copy(migrated_server)


def _in_a_copy(migrated_server: str) -> Iterator[Steps]:
    for url in a_database(migrated_server):
        with closing(Storage(url, SecretBox([SECRET_KEY]))) as storage:
            yield Steps(storage, an_account(storage))


@pytest.fixture(params=["connection", "session", "psycopg2"])
def joined(request: pytest.FixtureRequest, database_url: str) -> Iterator[Any]:
    """An emitter's own transaction, over each kind of connection."""
    engine = make_engine(database_url, 1)
    kinds = {"connection": engine.connect, "session": lambda: Session(engine)}
    connection: Any = kinds.get(request.param, lambda: psycopg2.connect(database_url))()
    yield connection
    connection.close()
    engine.dispose()
