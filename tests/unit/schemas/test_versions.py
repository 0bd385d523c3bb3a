"""Versions of an event: how they are defined, what older ones get, and how they are described."""

import json
from typing import Any
from uuid import UUID

import pytest
from marshmallow import Schema, fields

from dispatcher.schemas import Catalogue, InvalidCatalogue, InvalidEvent
from dispatcher.schemas.active_catalogues import Catalogues
from dispatcher.schemas.catalogue import EventType
from dispatcher.schemas.changes import changes, version_changes
from dispatcher.schemas.documents import asyncapi, json_schema, openapi
from dispatcher.schemas.errors import DowngradeFailed
from tests.support.cases import each
from tests.support.shop import ParcelSchema, ReferencedOrderSchema, a_catalogue, a_versioned_catalogue, with_number

ID = "0190163d-8694-739b-aea5-966c26f8ad91"
SHIPPED = a_versioned_catalogue().events["order.shipped"]
ORDER = {"id": ID, "reference": "2024-1", "total": {"amount": "12.50", "currency": "EUR"}}
BODY: dict[str, Any] = {"order": ORDER, "parcel": {"carrier": "GLS"}}


def define(catalogue: Catalogue | None = None, **options: Any) -> EventType:
    catalogue = catalogue or a_versioned_catalogue()
    given: dict[str, Any] = {"version": 3, "downgrade": with_number, "parcel": ParcelSchema} | options
    return catalogue.event("order.shipped", catalogue.events["order.shipped"].about, **given)


def downgraded(event: EventType, version: int, body: dict[str, Any] = BODY) -> Any:
    text, _ = event.render(body, "UTC")
    return json.loads(event.downgraded(text.decode(), version, "UTC"))


# How they are defined


def test_what_is_emitted_is_of_the_newest_version() -> None:
    assert SHIPPED.version == 2
    assert SHIPPED.render(BODY, "UTC")[1] == f"order:{ID}"
    with pytest.raises(InvalidEvent, match="Unknown field"):
        SHIPPED.render({"order": {"id": ID, "number": "2024-1"}, "parcel": {"carrier": "GLS"}}, "UTC")


def test_the_older_ones_hang_on_the_newest() -> None:
    assert list(SHIPPED.versions) == [1, 2]
    assert [SHIPPED.versions[1].stored_version, SHIPPED.stored_version] == [None, 2]
    assert [one.qualified_name for one in SHIPPED.versions.values()] == ["order.shipped", "order.shipped.v2"]


def test_what_is_not_said_anew_stays() -> None:
    assert SHIPPED.description == "Left the warehouse."
    catalogue = a_catalogue()
    about = catalogue.events["order.updated"].about
    again = catalogue.event("order.updated", about, version=2, schema=ReferencedOrderSchema, downgrade=with_number)
    assert again.supersedes


@each(
    ("options", "text"),
    [
        ({"version": 2}, "is defined twice in version 2"),
        ({"version": 1}, "is defined twice"),
        ({"version": 4}, "needs version 3 after 2, not 4"),
        ({"version": ParcelSchema}, "needs version 3 after 2"),
        ({"downgrade": None}, "needs a `downgrade` from version 3 to 2"),
    ],
)
def test_versions_follow_one_another(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidCatalogue, match=text):
        define(**options)


def test_the_first_version_is_1_and_has_none_before_it() -> None:
    catalogue = a_catalogue()
    order = catalogue.events["order.created"].about
    with pytest.raises(InvalidCatalogue, match="cannot have a version 2 before it has version 1"):
        catalogue.event("order.lost", order, version=2, downgrade=with_number)
    with pytest.raises(InvalidCatalogue, match="has no version before the first"):
        catalogue.event("order.lost", order, downgrade=with_number)


def test_all_versions_are_about_the_same() -> None:
    catalogue = a_catalogue()
    customer = catalogue.events["customer_removed"].about
    with pytest.raises(InvalidCatalogue, match="is about order; all of its versions must be"):
        catalogue.event("order.shipped", customer, version=2, downgrade=with_number)


def test_no_event_has_the_name_of_a_version() -> None:
    catalogue = a_versioned_catalogue()
    catalogue.event("order.shipped.v2", catalogue.events["order.created"].about)
    with pytest.raises(InvalidCatalogue, match=r"order\.shipped\.v2 is an event, and version 2 of"):
        Catalogues(catalogue)


# What webhooks get that are pinned to an older one


def test_a_body_is_downgraded() -> None:
    order = {"id": ID, "number": "2024-1", "total": "12.50"}
    assert downgraded(SHIPPED, 1) == {"order": order, "parcel": {"carrier": "GLS"}}


def test_through_every_version_between() -> None:
    class Third(Schema):
        id = fields.UUID(required=True)
        reference = fields.String(required=True)
        price = fields.String()

    def with_total(body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "order": {"id": body["order"]["id"], "reference": body["order"]["reference"]}}

    third = define(schema=Third, downgrade=with_total)
    body = {"order": {"id": ID, "reference": "2024-1", "price": "3"}, "parcel": {"carrier": "GLS"}}

    assert downgraded(third, 1, body)["order"] == {"id": ID, "number": "2024-1"}
    assert downgraded(third, 2, body)["order"] == {"id": ID, "reference": "2024-1"}
    # A body that was stored as version 2 is what it was, whatever came after.
    assert third.versions[2].downgraded(json.dumps(BODY), 1, "UTC") == SHIPPED.downgraded(json.dumps(BODY), 1, "UTC")


def test_a_downgrade_that_fails_says_so_and_shows_no_value() -> None:
    with pytest.raises(DowngradeFailed) as caught:
        define(downgrade=lambda body: body["secret"]["2024-1"]).downgraded(json.dumps(BODY), 2, "UTC")
    assert str(caught.value) == "version 3 of order.shipped cannot be made version 2: KeyError"


def test_what_a_downgrade_makes_must_keep_the_older_schema() -> None:
    event = define(a_catalogue(), version=2, schema=ReferencedOrderSchema, downgrade=lambda body: body)
    with pytest.raises(DowngradeFailed, match=r"cannot be made version 1: order\.shipped: order.*number"):
        event.downgraded(json.dumps(BODY), 1, "UTC")


# How they are described


def test_names_in_documents_keep_their_meaning() -> None:
    before, after = Catalogues(a_catalogue()), Catalogues(a_versioned_catalogue())

    assert [str(one) for one in changes(json_schema(before), json_schema(after))] == ["       order.shipped.v2: added"]
    assert changes(json_schema(after), json_schema(after)) == []
    hooks = openapi(after)["webhooks"]
    assert hooks["order.shipped"] == openapi(before)["webhooks"]["order.shipped"]
    assert hooks["order.shipped.v2"]["post"]["parameters"][0]["schema"] == {"const": "2"}
    assert asyncapi(after)["components"]["messages"]["order.shipped.v2"]["headers"]["required"] == ["webhook-version"]


def test_two_versions_are_compared_in_words() -> None:
    found = [str(one) for one in version_changes("order.shipped", SHIPPED.versions[1].schema, SHIPPED.schema)]

    assert "BREAKS order.shipped: order.number: removed" in found
    assert "       order.shipped: order.reference: added" in found
    assert "BREAKS order.shipped: order.total: is object now, was string" in found


def test_the_list_of_event_types_has_the_older_ones_too() -> None:
    described = SHIPPED.described

    assert (described["version"], described["schema"]["title"]) == (2, "order.shipped.v2")
    assert [one["version"] for one in described["older_versions"]] == [1]
    assert UUID(described["older_versions"][0]["example"]["order"]["id"])
