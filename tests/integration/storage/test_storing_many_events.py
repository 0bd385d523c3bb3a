"""What is copied, because it is much, is stored as the INSERT of a few would store it."""

from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest

from dispatcher.connections.psycopg2 import Psycopg2
from dispatcher.errors import StorageUnavailable
from dispatcher.model.event import EventDraft
from dispatcher.storage.engine import Storage
from dispatcher.storage.pipeline import emits
from dispatcher.storage.pipeline.emits import MANY, Emit
from tests.integration.storage.conftest import Steps
from tests.support.builders import a_draft, an_account

HAPPENED = datetime(2024, 6, 13, 12, 6, 20, 924_001, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DRAFTS = [
    a_draft(),
    a_draft("invoice_sent", '{"a":"tab \\t, line \\n\\r, \\\\ and \\\\N, \\u0001, é😀"}', resource="invoice:9"),
    a_draft(body_json='"\\\\."', idempotency_key="\\N", created_at=HAPPENED, resource="a\\b\tc\nd\re"),
    a_draft(body_json='"%s %(a)s"', idempotency_key="k\\t é", resource="\\N", version=2),
]

EVENTS = """
select account_id, name, body::text, idempotency_key, created_at = %(happened)s, traceparent, version
from dispatcher.events order by id
"""
WAITING = "select account_id, name, resource, recorded_at is not null from dispatcher.events_waiting order by event_id"


@pytest.fixture
def is_copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables of which COPY was used."""
    tables = []
    copy = Psycopg2.copy

    async def noted(adapter: Any, table: str, columns: Any, lines: Any) -> None:
        tables.append(table)
        await copy(adapter, table, columns, lines)

    monkeypatch.setattr(Psycopg2, "copy", noted)
    return tables


def many(*drafts: EventDraft) -> list[EventDraft]:
    return [*drafts, *(a_draft(body_json=f'{{"n":{n}}}') for n in range(MANY))]


def test_it_is_stored_as_by_an_insert(
    steps: Steps, storage: Storage, monkeypatch: pytest.MonkeyPatch, is_copied: list[str]
) -> None:
    other = an_account(storage, "pearcorp")
    found = []
    for least in (1_000, 1):
        monkeypatch.setattr(emits, "MANY", least)
        together = [Emit(steps.account.id, DRAFTS, TRACE), Emit(other.id, DRAFTS)]
        stored: Any = storage.transact(emits.insert_together, together)
        ids = [event.id for emit in stored for event in emit]
        assert ids == sorted(ids) == [row[0] for row in steps.rows("select id from dispatcher.events order by id")]
        at = dict(steps.rows("select id, created_at from dispatcher.events"))
        assert [event.created_at for emit in stored for event in emit] == [at[id_] for id_ in ids]
        names = [[event.name for event in emit] for emit in stored]
        found.append((names, steps.rows(EVENTS, happened=HAPPENED), steps.rows(WAITING)))
        steps.rows("truncate dispatcher.events, dispatcher.events_waiting")

    assert found[0] == found[1]
    assert len(found[0][1]) == 8
    assert is_copied == ["dispatcher.events", "dispatcher.events_waiting"]


def test_a_few_are_not_copied_and_many_are(steps: Steps, is_copied: list[str]) -> None:
    steps.emit(*many()[:-1])
    assert is_copied == []

    steps.emit(*many())
    assert is_copied == ["dispatcher.events", "dispatcher.events_waiting"]
    assert steps.rows("select count(*) from dispatcher.events join dispatcher.events_waiting on id = event_id") == [
        (2 * MANY - 1,)
    ]


def test_keys_are_known_as_ever(steps: Steps, is_copied: list[str]) -> None:
    (first,) = steps.emit(a_draft(idempotency_key="k"))
    stored = steps.emit(*many(a_draft(idempotency_key="k"), a_draft(idempotency_key="l"), a_draft(idempotency_key="l")))

    assert is_copied
    assert stored[0].id == first.id
    assert [event.new for event in stored] == [False, True, False, *[True] * MANY]
    assert stored[1].id == stored[2].id


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_they_share_the_fate_of_the_emitters_transaction(
    steps: Steps, joined: Any, is_copied: list[str], end: str
) -> None:
    emits.insert(joined, steps.account.id, many())
    assert is_copied
    assert steps.value("select count(*) from dispatcher.events") == 0

    getattr(joined, end)()
    stored = MANY if end == "commit" else 0
    assert steps.rows(
        "select (select count(*) from dispatcher.events), (select count(*) from dispatcher.events_waiting)"
    ) == [(stored,) * 2]


def test_on_a_connection_that_commits_each_statement_they_have_a_transaction_of_their_own(
    steps: Steps, storage: Storage, is_copied: list[str]
) -> None:
    """Two COPYs would be two commits."""
    with storage.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        emits.insert(connection, steps.account.id, many())
        connection.exec_driver_sql("alter table dispatcher.events_waiting add check (false) not valid")
        with pytest.raises(psycopg2.errors.CheckViolation, match="violates check constraint"):
            emits.insert(connection, steps.account.id, many())

    assert is_copied == ["dispatcher.events", "dispatcher.events_waiting"] * 2
    assert steps.rows("select count(*) from dispatcher.events join dispatcher.events_waiting on id = event_id") == [
        (MANY,)
    ]
    assert steps.value("select count(*) from dispatcher.events") == MANY


def test_the_encoding_of_the_emitters_connection_does_not_matter(
    steps: Steps, database_url: str, is_copied: list[str]
) -> None:
    connection = psycopg2.connect(database_url)
    connection.set_client_encoding("LATIN1")
    emits.insert(connection, steps.account.id, many(a_draft(body_json='"ěé"', resource="ě")))
    connection.commit()
    connection.close()

    assert is_copied
    assert steps.rows("select body::text from dispatcher.events order by id limit 1") == [('"ěé"',)]
    assert steps.rows("select resource from dispatcher.events_waiting order by event_id limit 1") == [("ě",)]


def test_nothing_is_stored_of_a_batch_of_which_one_is_no_json(steps: Steps, is_copied: list[str]) -> None:
    with pytest.raises(psycopg2.errors.InvalidTextRepresentation):
        steps.emit(*many(), a_draft(body_json="{"))

    assert is_copied == ["dispatcher.events"]
    assert steps.value("select count(*) from dispatcher.events") == 0


@pytest.mark.parametrize("table", ["dispatcher.events", "dispatcher.events_waiting"])
def test_a_connection_that_breaks_in_between_is_told_and_nothing_is_stored(
    steps: Steps, storage: Storage, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    copy = Psycopg2.copy

    async def breaking(adapter: Any, name: str, columns: Any, lines: Any) -> None:
        if name == table:
            pid = (await adapter.rows("select pg_backend_pid()"))[0][0]
            steps.rows("select pg_terminate_backend(%(pid)s, 5000)", pid=pid)
        await copy(adapter, name, columns, lines)

    monkeypatch.setattr(Psycopg2, "copy", breaking)
    with pytest.raises(StorageUnavailable, match="Postgres is not reachable"):
        steps.emit(*many())

    assert steps.value("select count(*) from dispatcher.events") == 0
    monkeypatch.setattr(Psycopg2, "copy", copy)
    assert len(steps.emit(*many())) == MANY
