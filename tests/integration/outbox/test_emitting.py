"""An event that is emitted into a service's own database shares the fate of its transaction, on every connection."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from dispatcher import emit, emit_many
from dispatcher.errors import InvalidEventAttribute
from dispatcher.producer import use_emitter
from dispatcher.schemas import InvalidEvent
from dispatcher.settings import Outbox
from tests.support import drivers
from tests.support.builders import an_event
from tests.support.cluster import SLUG
from tests.support.drivers.base import NAME, Driver
from tests.support.outboxes import an_outbox, rows_in

Open = Callable[..., Driver]
Counts = Callable[[], list[int]]


@pytest.fixture(scope="module")
def shared(migrated_server: str) -> Iterator[Outbox]:
    for outbox in an_outbox(migrated_server):
        rows_in(outbox, "create schema shop; create table shop.events (id int)")
        yield outbox


@pytest.fixture
def service(shared: Outbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outbox]:
    """This process emits into the outbox, by its configuration alone."""
    rows_in(shared, "truncate dispatcher_outbox.events restart identity")
    monkeypatch.setenv("DATABASE_URL", shared.url)
    monkeypatch.setenv("DISPATCHER_OUTBOX", "1")
    use_emitter(None)
    yield shared
    use_emitter(None)


@pytest.fixture
def counts(service: Outbox) -> Counts:
    sql = "select (body #>> '{inbox_files,count}')::int from dispatcher_outbox.events order by id"
    return lambda: [count for (count,) in rows_in(service, sql)]


@pytest.fixture(params=drivers.NAMES)
def opened(request: pytest.FixtureRequest, service: Outbox) -> Iterator[Open]:
    with ExitStack() as stack:
        yield lambda *, autocommit=False: stack.enter_context(
            closing(drivers.a_driver(request.param, service.url, autocommit=autocommit))
        )


def test_it_is_there_after_the_commit_and_not_after_a_rollback(opened: Open, counts: Counts) -> None:
    driver = opened()
    driver.begin()
    driver.execute("set local search_path to shop")
    event = driver.emit(1)
    driver.begin()
    driver.emit_many([2, 3])
    driver.end(commit=False)
    driver.emit_many(range(4, 64))
    assert counts() == []
    driver.end(commit=True)
    driver.begin()
    driver.emit(99)
    driver.end(commit=False)

    assert counts() == [1, *range(4, 64)]
    assert (event.id, event.new) == (1, True)
    opened(autocommit=True).emit(64)
    assert counts()[-1] == 64


def test_without_a_connection_it_is_committed_at_once(service: Outbox, counts: Counts) -> None:
    emit(NAME, account=SLUG, inbox_files={"count": 1}, idempotency_key="k")

    assert counts() == [1]
    assert rows_in(service, "select account, name, idempotency_key from dispatcher_outbox.events") == [
        (SLUG, NAME, "k")
    ]


def test_nothing_is_emitted_by_an_empty_list(service: Outbox, counts: Counts) -> None:
    assert emit_many([], account=SLUG) == []
    assert counts() == []


@pytest.mark.parametrize(
    ("given", "error"),
    [({"body": {"inbox_files": {"count": "many"}}}, InvalidEvent), ({"idempotency_key": ""}, InvalidEventAttribute)],
)
def test_what_is_wrong_is_refused_by_the_service(
    service: Outbox, counts: Counts, given: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        emit_many([an_event(NAME, **({"body": {"inbox_files": {"count": 1}}} | given))], account=SLUG)

    assert counts() == []
