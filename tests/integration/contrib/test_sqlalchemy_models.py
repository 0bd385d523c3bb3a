"""SQLAlchemy's models emit by themselves what a flush changes, and nothing else, in the session's transaction."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, ForeignKey, create_engine, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    object_session,
    relationship,
    sessionmaker,
)

from dispatcher.contrib.model_events import ModelEvents
from dispatcher.contrib.sqlalchemy import ModelListener, listen
from dispatcher.errors import AccountNotFound
from tests.integration.contrib.conftest import Emitted
from tests.support.drivers.base import sqlalchemy_url


class Base(DeclarativeBase):
    pass


class Bill(Base):
    __tablename__ = "bills"
    id: Mapped[int] = mapped_column(primary_key=True)
    shop: Mapped[str] = mapped_column(default="applecorp")
    number: Mapped[str]
    status: Mapped[str] = mapped_column(default="open")
    due: Mapped[int] = mapped_column(default=0)
    saved: Mapped[int] = mapped_column(default=0, onupdate=func.random())
    rows: Mapped[list["BillRow"]] = relationship(cascade="all, delete-orphan")


class CreditNote(Bill):
    """In the same table."""

    __mapper_args__ = {"polymorphic_identity": "note"}  # noqa: RUF012 - SQLAlchemy's own form


class BillRow(Base):
    __tablename__ = "bill_rows"
    id: Mapped[int] = mapped_column(primary_key=True)
    bill_id: Mapped[int] = mapped_column(ForeignKey("bills.id"))
    name: Mapped[str]


class ShopSession(Session):
    """Whose flushes are listened to; others are not."""


def body(bill: Bill) -> dict[str, Any]:
    return {"invoice": {"id": bill.id, "number": bill.number, "status": bill.status, "due": bill.due}}


def sent(_: Bill, changes: Any) -> str:
    return "invoice_sent" if changes.get("status") == ("open", "sent") else "invoice_updated"


BILL = ModelEvents(resource="invoice", account=lambda bill: bill.shop, updated=sent, body=body)
ROW = ModelEvents(
    resource="subject",
    account="applecorp",
    updated=None,
    body=lambda row: {"subject": {"id": row.id, "name": row.name}},
    on_invalid="log",
)


@pytest.fixture(scope="module")
def listener() -> ModelListener:
    return listen(ShopSession, {Bill: BILL, BillRow: ROW})


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    """Of a database with the tables."""
    engine = create_engine(sqlalchemy_url(database_url, "psycopg"))
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine, listener: ModelListener, account: Any) -> Iterator[sessionmaker[ShopSession]]:
    yield sessionmaker(engine, class_=ShopSession)
    with engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture
def session(sessions: sessionmaker[ShopSession]) -> Iterator[ShopSession]:
    with sessions() as session:
        yield session


@pytest.fixture
def bill(session: ShopSession, emitted: Emitted) -> Bill:
    """As it was read from the database."""
    session.add(Bill(number="2026-1"))
    session.commit()
    emitted()
    return session.scalars(select(Bill)).one()


def names(emitted: Emitted) -> list[str]:
    return [name for name, _ in emitted()]


def test_a_new_row_emits_with_its_id_and_what_the_database_made(session: ShopSession, emitted: Emitted) -> None:
    bill = Bill(number="2026-1")
    session.add(bill)
    session.flush()
    assert emitted() == []
    session.commit()

    made = {"id": bill.id, "number": "2026-1", "status": "open"}
    ((name, found),) = emitted()
    assert name == "invoice_created"
    assert found["invoice"].items() >= made.items()


def test_an_update_is_told_by_what_has_changed(session: ShopSession, bill: Bill, emitted: Emitted) -> None:
    bill.number = "2026-2"
    session.commit()
    bill.status = "sent"
    session.commit()

    assert names(emitted) == ["invoice_updated", "invoice_sent"]


def leave(bill: Bill) -> None:
    pass


def set_the_same(bill: Bill) -> None:
    bill.number = "2026-1"


def set_the_same_unread(bill: Bill) -> None:
    session = object_session(bill)
    assert session is not None
    session.expire(bill)
    bill.number = "2026-1"


def set_what_is_not_watched(bill: Bill) -> None:
    bill.saved = 7


def set_an_expression_of_the_same_value(bill: Bill) -> None:
    bill.due = Bill.due + 0


@pytest.mark.parametrize(
    "change",
    [leave, set_the_same, set_the_same_unread, set_what_is_not_watched, set_an_expression_of_the_same_value],
)
def test_what_changes_nothing_emits_nothing(
    session: ShopSession, bill: Bill, emitted: Emitted, change: Callable[[Bill], None]
) -> None:
    change(bill)
    session.commit()

    assert emitted() == []


def test_a_change_of_what_was_not_read_knows_what_it_was(session: ShopSession, bill: Bill, emitted: Emitted) -> None:
    session.expire(bill)
    bill.status = "sent"
    session.commit()

    assert names(emitted) == ["invoice_sent"]


def test_an_expression_is_told_by_its_value(session: ShopSession, bill: Bill, emitted: Emitted) -> None:
    bill.due = Bill.due + 1
    session.commit()

    assert names(emitted) == ["invoice_updated"]


def test_deleted_rows_emit_orphans_too(session: ShopSession, bill: Bill, emitted: Emitted) -> None:
    bill.rows = [BillRow(name="screws"), BillRow(name="nails")]
    session.commit()
    assert names(emitted) == ["subject_created"] * 2

    del bill.rows[0]
    session.commit()
    assert names(emitted) == ["subject_removed"]

    session.delete(bill)
    session.commit()
    assert sorted(names(emitted)) == ["invoice_removed", "subject_removed"]


def test_a_subclass_emits_as_its_parent_does(session: ShopSession, emitted: Emitted) -> None:
    session.add(CreditNote(number="2026-1"))
    session.commit()

    assert names(emitted) == ["invoice_created"]


class Undo(Exception):
    pass


@contextmanager
def rolled_back(session: Session) -> Iterator[None]:
    with pytest.raises(Undo), session.begin_nested():  # noqa: PT012 - it is what the block is for
        yield
        raise Undo


def test_events_are_undone_with_their_savepoint(session: ShopSession, bill: Bill, emitted: Emitted) -> None:
    bill.number = "2026-2"
    with rolled_back(session):
        bill.number = "2026-3"
        session.add(Bill(number="2026-4"))
        session.flush()
    session.commit()
    assert names(emitted) == ["invoice_updated"]
    assert bill.number == "2026-2"

    bill.number = "2026-3"
    session.flush()
    session.rollback()
    assert emitted() == []

    bill.number = "2026-3"
    session.commit()
    assert names(emitted) == ["invoice_updated"]


def test_what_is_wrong_fails_the_flush_or_is_logged(
    session: ShopSession, emitted: Emitted, caplog: pytest.LogCaptureFixture
) -> None:
    session.add(Bill(number="2026-1", shop="pearcorp"))
    with pytest.raises(AccountNotFound):
        session.commit()
    session.rollback()
    assert session.scalars(select(Bill)).all() == []

    session.add(Bill(number="2026-1", rows=[BillRow(name=7), BillRow(name="nails")]))
    session.commit()
    assert len(session.scalars(select(BillRow)).all()) == 2
    assert sorted(names(emitted)) == ["invoice_created", "subject_created"]
    assert [record.message for record in caplog.records] == [
        "model_event.invalid name=subject_created account=applecorp error=subject_created: subject.name: not a string"
    ]


def test_other_sessions_emit_nothing(
    sessions: Any, listener: ModelListener, database_url: str, emitted: Emitted
) -> None:
    engine = create_engine(sqlalchemy_url(database_url, "psycopg2"))
    with Session(engine) as session, session.begin():
        session.add(Bill(number="2026-1"))
    engine.dispose()

    assert emitted() == []


def test_statements_emit_by_a_helper(
    session: ShopSession, listener: ModelListener, bill: Bill, emitted: Emitted
) -> None:
    session.execute(update(Bill).values(status="paid"))
    listener.emit_changes(session, "updated", session.scalars(select(Bill)))
    session.commit()
    ((name, found),) = emitted()
    assert (name, found["invoice"]["status"]) == ("invoice_updated", "paid")

    with pytest.raises(LookupError, match="object is not listened to"):
        listener.emit_changes(session, "updated", [object()])


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_an_asynchronous_session_emits_alike(sessions: Any, database_url: str, emitted: Emitted, driver: str) -> None:
    async def change() -> None:
        engine = create_async_engine(sqlalchemy_url(database_url, driver))
        async with AsyncSession(engine, sync_session_class=ShopSession) as session:
            bill = Bill(number="2026-1")
            session.add(bill)
            await session.commit()
            bill.status = "sent"  # which it has forgotten at the commit
            await session.commit()
            bill.status = "paid"
            await session.flush()
            await session.rollback()
        await engine.dispose()

    asyncio.run(change())

    assert names(emitted) == ["invoice_created", "invoice_sent"]


def test_what_cannot_be_emitted_is_refused_at_once() -> None:
    wrong = ModelEvents(resource="bill", account="applecorp", updated="invoice_paid", deleted=None, fields=("colour",))
    with pytest.raises(
        ValueError,
        match=r"Bill: created: the catalogue has no event 'bill_created'.*"
        r"Bill: updated: 'invoice_paid' needs a `body` with invoice, payment; Bill: fields: it has no 'colour'",
    ):
        listen(ShopSession, {Bill: wrong})
