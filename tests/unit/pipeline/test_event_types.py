"""How a process keeps the stored event types that it knows current."""

import logging
from collections.abc import Iterator

import pytest

from dispatcher.errors import StorageUnavailable
from dispatcher.pipeline.event_types import EventTypes, is_stale
from dispatcher.schemas import active
from dispatcher.schemas.active_catalogues import use
from dispatcher.storage.pipeline.event_types import Newer
from tests.support.waiting import eventually
from tests.unit.schemas.test_stored import a_type


class Rows:
    """What is stored, and how often it was asked for."""

    def __init__(self) -> None:
        self.revision, self.types, self.asked, self.is_down = 1, [a_type()], 0, False

    def newer(self, revision: int) -> Newer | None:
        self.asked += 1
        if self.is_down:
            raise StorageUnavailable
        return None if revision == self.revision else (self.revision, self.types)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    use(None)


@pytest.fixture
def stored() -> Rows:
    return Rows()


def test_what_is_stored_is_active_after_a_refresh_and_is_not_asked_for_again_at_once(stored: Rows) -> None:
    types = EventTypes(stored.newer)

    assert types.refresh()
    assert "order.shipped" in active().events
    assert not types.refresh()
    types.keep_current()
    assert stored.asked == 2
    assert not is_stale(["order.shipped", "invoice_paid"])
    assert is_stale(["invoice_paid", "order.sent"])


def test_what_is_known_is_used_while_postgres_is_down_and_said_once(
    stored: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    types = EventTypes(stored.newer)
    types.refresh()
    stored.is_down = True

    with caplog.at_level(logging.WARNING):
        assert not types.refresh()
        assert not types.refresh()
    assert caplog.text.count("event_types.not_refreshed") == 1
    assert "order.shipped" in active().events
    with pytest.raises(StorageUnavailable):
        types.load()


def test_an_unknown_event_is_asked_for_in_vain_once(stored: Rows) -> None:
    types = EventTypes(stored.newer)
    types.ask("order.sent")  # it was not in vain
    for _ in range(3):
        types.ask("order.sent")
    assert stored.asked == 2
    types.ask("order.paid")
    assert stored.asked == 3


def test_a_stored_event_that_a_catalogue_has_too_is_named(stored: Rows, caplog: pytest.LogCaptureFixture) -> None:
    stored.types = [a_type("invoice_paid")]

    with caplog.at_level(logging.WARNING):
        EventTypes(stored.newer).refresh()

    assert "event_type.hidden name=invoice_paid" in caplog.text
    assert active().event("invoice_paid").catalogue == "api_v3"


def test_a_process_that_serves_goes_on_asking(stored: Rows) -> None:
    types = EventTypes(stored.newer)
    types.start()
    try:
        eventually(lambda: "order.shipped" in active().events)
        stored.types, stored.revision = [a_type(), a_type("order.sent")], 2
        eventually(lambda: "order.sent" in active().events)
    finally:
        types.close()
