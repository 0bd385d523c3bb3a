"""A company's own events, from the emit to the receiver: envelope, order and superseding by its own ids."""

import json
from collections.abc import Iterator
from uuid import UUID

import pytest

from dispatcher import signals
from dispatcher.model.account import Account
from dispatcher.pipeline.emit import NewEvent
from dispatcher.replays.one import replay
from dispatcher.schemas import api_v3
from dispatcher.schemas.active_catalogues import Catalogues, use
from dispatcher.storage.engine import Connection, Storage, rows
from tests.integration.pipeline.conftest import Flow
from tests.support import shop
from tests.support.builders import a_webhook, an_event
from tests.support.receiver import Answer, Receiver

IDS = [UUID(int=number) for number in (1, 2)]


@pytest.fixture(autouse=True)
def _shop() -> Iterator[None]:
    use(Catalogues(shop.catalogue, api_v3.catalogue))
    yield
    use(None)


def an_order(id_: UUID, number: str = "1", name: str = "order.updated") -> NewEvent:
    return NewEvent(name=name, body={"order": {"id": id_, "number": number}})


def bodies(receiver: Receiver) -> list[dict[str, object]]:
    return [json.loads(request.body) for request in receiver.requests]


def numbers(receiver: Receiver) -> list[str]:
    return [json.loads(request.body)["data"]["order"]["number"] for request in receiver.requests]


def test_each_event_comes_in_the_envelope_of_its_catalogue(
    storage: Storage, account: Account, flow: Flow, receiver: Receiver
) -> None:
    hook = a_webhook(storage, account, receiver.url("/"), ["order.created", "invoice_paid"])

    flow.emit(an_order(IDS[0], name="order.created"), an_event("invoice_paid"))
    flow.fan_out()
    flow.deliver(hook.id)

    own, theirs = sorted(bodies(receiver), key=len)
    assert list(own) == ["type", "timestamp", "data"]
    assert (own["type"], own["data"]) == ("order.created", {"order": {"id": str(IDS[0]), "number": "1"}})
    assert (list(theirs), theirs["webhook_id"]) == (["webhook_id", "event_name", "created_at", "body"], hook.id)


def test_a_cloudevent_says_so(storage: Storage, account: Account, flow: Flow, receiver: Receiver) -> None:
    use(Catalogues(shop.a_catalogue("cloudevents")))
    hook = a_webhook(storage, account, receiver.url("/"), ["order.created"])

    (event,) = flow.emit(an_order(IDS[0], name="order.created"))
    flow.fan_out()
    flow.deliver(hook.id)

    (request,) = receiver.requests
    assert dict(request.headers)["Content-Type"] == "application/cloudevents+json"
    assert {name: json.loads(request.body)[name] for name in ("id", "source", "type")} == {
        "id": str(event.id),
        "source": "/shop",
        "type": "order.created",
    }


def test_a_signal_of_any_name_emits(storage: Storage, account: Account, flow: Flow, receiver: Receiver) -> None:
    hook = a_webhook(storage, account, receiver.url("/"), ["customer_removed"])

    signals["customer_removed"].send("applecorp", customer={"login": "ann"})  # type: ignore[index]
    flow.fan_out()
    flow.deliver(hook.id)

    assert bodies(receiver)[0]["data"] == {"customer": {"login": "ann"}}


def test_order_goes_by_uuids(storage: Storage, account: Account, flow: Flow, receiver: Receiver) -> None:
    hook = a_webhook(storage, account, receiver.url("/"), ["order.updated"], ordering="resource")
    receiver.script("/", Answer(status=500))
    flow.emit(an_order(IDS[0], "first"))
    flow.fan_out()
    flow.deliver(hook.id)
    receiver.script("/", Answer(status=200))

    flow.emit(an_order(IDS[0], "second"), an_order(IDS[1], "other"))
    flow.fan_out()
    flow.deliver(hook.id)

    assert numbers(receiver) == ["first", "other"]


def test_a_newer_one_supersedes_where_the_catalogue_says_so(
    storage: Storage, account: Account, flow: Flow, receiver: Receiver
) -> None:
    names = ["order.updated", "order.created"]
    hook = a_webhook(storage, account, receiver.url("/"), names, superseding=True)

    for name in names:
        flow.emit(an_order(IDS[0], f"old {name}", name), an_order(IDS[0], f"new {name}", name))
    flow.fan_out()
    flow.deliver(hook.id)

    assert sorted(numbers(receiver)) == ["new order.created", "new order.updated", "old order.created"]


def test_a_redelivered_one_is_about_the_same_resource(
    storage: Storage, account: Account, flow: Flow, receiver: Receiver
) -> None:
    hook = a_webhook(storage, account, receiver.url("/"), ["customer_removed"])
    flow.emit(NewEvent(name="customer_removed", body={"customer": {"login": "ann"}}))
    flow.fan_out()
    flow.deliver(hook.id)
    storage.autocommit(_want_order, hook.id)

    (delivery,) = flow.deliveries()
    replay(storage, flow.container.schedule, str(delivery.id), limit=3, account_id=account.id)

    assert storage.read(_resources) == ["customer:ann"]


def _want_order(connection: Connection, webhook_id: int) -> None:
    rows(connection, "update dispatcher.webhooks set ordering = 'resource' where id = %(id)s", id=webhook_id)


def _resources(connection: Connection) -> list[str]:
    return [row[0] for row in rows(connection, "select resource from dispatcher.deliveries")]
