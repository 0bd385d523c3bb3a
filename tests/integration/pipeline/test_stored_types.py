"""Events whose types programs have stored, from an emit in Python to the receiver."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from dispatcher import event_types, signals
from dispatcher.container import Container
from dispatcher.current import use_container
from dispatcher.model.account import Account
from dispatcher.pipeline.emit import NewEvent
from dispatcher.schemas import InvalidEvent, active
from dispatcher.schemas.active_catalogues import use, use_stored
from dispatcher.storage.engine import Connection, Storage, rows
from tests.integration.pipeline.conftest import Flow
from tests.support.builders import a_webhook
from tests.support.event_types import BODY, ID, TYPE, schema_with
from tests.support.receiver import Receiver

NAME = "order.shipped"


@pytest.fixture(autouse=True)
def _stored(storage: Storage, container: Container) -> Iterator[None]:
    """As in a process that has never asked."""
    event_types.put(storage, NAME, {**TYPE, "supersedes": True})
    use_container(container)
    yield
    use_container(None)
    use(None)


def an_order(total: Any = 1) -> NewEvent:
    return NewEvent(name=NAME, body={"order": {**BODY["order"], "total": total}})


def test_an_emit_knows_what_was_stored_since_on_any_connection(
    container: Container, storage: Storage, account: Account, database_url: str
) -> None:
    connection = psycopg2.connect(database_url)
    with connection:
        (first,) = container.emitter.emit(account.slug, [an_order()], connection)
    connection.close()
    assert first.name == NAME
    signals[NAME].send(account.slug, **BODY)  # type: ignore[index]

    bounded = schema_with(total={"type": "number", "minimum": 0, "maximum": 2})
    event_types.put(storage, NAME, {"schema": bounded, "example": {"order": {"id": ID, "total": 1}}})
    use_stored([], 0)  # as long ago
    with pytest.raises(InvalidEvent, match="total: must be at most 2"):
        container.emitter.emit(account, [an_order(3)])


def test_it_is_delivered_in_its_envelope_and_superseded_by_its_own_ids(
    storage: Storage, account: Account, flow: Flow, receiver: Receiver, container: Container
) -> None:
    hook = a_webhook(storage, account, receiver.url("/"), [NAME], superseding=True)
    flow.emit(an_order(1))
    flow.emit(an_order(2))
    use(None)  # another process
    container.event_types.refresh()

    flow.fan_out()
    flow.deliver(hook.id)

    (request,) = receiver.requests
    sent = json.loads(request.body)
    assert (list(sent), sent["type"], sent["data"]["order"]["total"]) == (["type", "timestamp", "data"], NAME, 2)


def test_who_sends_asks_for_an_event_that_it_does_not_know(
    storage: Storage, account: Account, flow: Flow, receiver: Receiver
) -> None:
    hook = a_webhook(storage, account, receiver.url("/"), [NAME])
    flow.emit(an_order())
    flow.fan_out()
    use(None)

    flow.deliver(hook.id)

    assert json.loads(receiver.requests[0].body)["type"] == NAME


def test_what_was_emitted_before_a_type_was_deleted_is_delivered(
    storage: Storage, account: Account, flow: Flow, receiver: Receiver, container: Container
) -> None:
    hook = a_webhook(storage, account, receiver.url("/"), [NAME])
    flow.emit(an_order())
    flow.fan_out()

    def forget(connection: Connection) -> None:
        rows(connection, "update dispatcher.webhooks set events = array['invoice_paid'] where id = %(id)s", id=hook.id)

    storage.transact(forget)
    event_types.delete(storage, NAME)
    container.event_types.refresh()
    assert NAME not in active().events

    flow.deliver(hook.id)

    assert json.loads(receiver.requests[0].body)["type"] == NAME
