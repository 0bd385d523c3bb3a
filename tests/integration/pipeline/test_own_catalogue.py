"""A company's own events, from the emit to the receiver: envelope, order and superseding by its own ids."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from dispatcher import signals
from dispatcher.errors import InvalidWebhook
from dispatcher.model.account import Account
from dispatcher.pipeline.emit import NewEvent
from dispatcher.replays.one import replay
from dispatcher.schemas import api_v3
from dispatcher.schemas.active_catalogues import Catalogues, use
from dispatcher.schemas.envelopes import VERSION_HEADER
from dispatcher.storage.engine import Connection, Storage, rows
from dispatcher.webhooks.edit import create_webhook, edit_webhook
from dispatcher.webhooks.preview import unfit_filters
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


def a_shipped_order(reference: str = "1") -> NewEvent:
    order = {"id": str(IDS[0]), "reference": reference, "total": {"amount": "5.00", "currency": "EUR"}}
    return NewEvent(name="order.shipped", body={"order": order, "parcel": {"carrier": "GLS"}})


def test_each_webhook_gets_the_version_that_it_is_pinned_to(
    storage: Storage, account: Account, flow: Flow, receiver: Receiver
) -> None:
    def sent() -> dict[str, tuple[str | None, object]]:
        two = receiver.requests[-2:]
        return {one.path: (one.header(VERSION_HEADER), json.loads(one.body)["data"]["order"]) for one in two}

    older = a_webhook(storage, account, receiver.url("/old"), ["order.shipped"])
    pinned = a_webhook(storage, account, receiver.url("/new"), ["order.shipped"], event_versions={"order.shipped": 2})
    flow.emit(
        NewEvent(name="order.shipped", body={"order": {"id": str(IDS[0]), "number": "0"}, "parcel": {"carrier": "GLS"}})
    )
    use(Catalogues(shop.a_versioned_catalogue()))
    flow.fan_out()
    flow.deliver(older.id, pinned.id)
    emitted_before = {"id": str(IDS[0]), "number": "0"}
    assert sent() == {"/old": (None, emitted_before), "/new": (None, emitted_before)}

    flow.run(a_shipped_order())

    order = {"id": str(IDS[0]), "number": "1", "total": "5.00"}
    assert sent() == {
        "/old": (None, order),
        "/new": ("2", {"id": str(IDS[0]), "reference": "1", "total": {"amount": "5.00", "currency": "EUR"}}),
    }


def test_a_downgrade_that_fails_holds_up_nobody_and_can_be_sent_once_it_is_mended(
    storage: Storage, account: Account, flow: Flow, receiver: Receiver
) -> None:
    broken = shop.a_catalogue()
    order = broken.events["order.shipped"].about
    two: dict[str, Any] = {"version": 2, "schema": shop.ReferencedOrderSchema, "parcel": shop.ParcelSchema}
    broken.event("order.shipped", order, **two, downgrade=lambda body: body["order"]["number"])
    use(Catalogues(broken))
    hook = a_webhook(storage, account, receiver.url("/"), ["order.shipped", "order.created"])

    flow.run(a_shipped_order(), an_order(IDS[1], name="order.created"))

    assert [json.loads(one.body)["type"] for one in receiver.requests] == ["order.created"]
    failed, _ = flow.deliveries()
    assert (failed.state, failed.attempts[0].status) == ("pending", "unknown_error")
    assert failed.attempts[0].reason == "version 2 of order.shipped cannot be made version 1: KeyError"
    assert flow.sql("select failing_since from dispatcher.webhooks") == [(None,)]

    flow.sql(
        "update dispatcher.deliveries set state = 'failed', finished_on = current_date where id = %(id)s", id=failed.id
    )
    use(Catalogues(shop.a_versioned_catalogue()))
    replay(storage, flow.container.schedule, str(failed.id), limit=3, account_id=account.id)
    flow.deliver(hook.id)
    assert json.loads(receiver.requests[-1].body)["data"]["order"]["number"] == "1"


def test_filters_that_the_newest_version_does_not_fit_are_named_and_kept(
    storage: Storage, account: Account, flow: Flow
) -> None:
    given = {"webhook_url": "https://a.example/", "events": ["order.shipped"]}
    fits, unfit = {"order": {"id": [str(IDS[0])]}}, {"order": {"number": ["1"]}}
    hook, _ = [create_webhook(storage, account.slug, given | {"filter": filter_}) for filter_ in (unfit, fits)]
    compiled = flow.sql("select id, filter_path::text from dispatcher.webhooks order by id")
    assert list(unfit_filters(storage)) == []
    use(Catalogues(shop.a_versioned_catalogue()))

    (problem,) = unfit_filters(storage)
    edit_webhook(storage, flow.container.schedule, account.slug, hook.id, {"active": False})

    assert "of applecorp: its filter: order.number: is no attribute of the events" in problem
    assert flow.sql("select id, filter_path::text from dispatcher.webhooks order by id") == compiled
    with pytest.raises(InvalidWebhook, match=r"order\.number: is no attribute"):
        edit_webhook(storage, flow.container.schedule, account.slug, hook.id, {"filter": {"order": {"number": ["2"]}}})


def test_a_webhook_whose_events_are_gone_from_the_catalogue_can_be_paused(
    storage: Storage, account: Account, flow: Flow
) -> None:
    given = {"webhook_url": "https://a.example/", "events": ["order.split"], "only_fields": ["order.number"]}
    hook = create_webhook(storage, account.slug, given)
    use(Catalogues(api_v3.catalogue))

    paused = edit_webhook(storage, flow.container.schedule, account.slug, hook.id, {"active": False})

    assert (paused.active, paused.events, paused.only_fields) == (False, ("order.split",), ("order.number",))
    for change in ({"events": ["order.split"]}, {"only_fields": ["order.total"]}):
        with pytest.raises(InvalidWebhook):
            edit_webhook(storage, flow.container.schedule, account.slug, hook.id, change)


def _want_order(connection: Connection, webhook_id: int) -> None:
    rows(connection, "update dispatcher.webhooks set ordering = 'resource' where id = %(id)s", id=webhook_id)


def _resources(connection: Connection) -> list[str]:
    return [row[0] for row in rows(connection, "select resource from dispatcher.deliveries")]
