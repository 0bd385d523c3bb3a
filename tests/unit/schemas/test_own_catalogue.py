"""A company's own events: bodies in plain marshmallow, what they are about, how they are described."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import jsonschema_rs
import pytest
from marshmallow import Schema, fields, post_load

from dispatcher.schemas import Catalogue, EventType, InvalidCatalogue, InvalidEvent
from dispatcher.schemas.wire.fields import Boolean as OurBoolean
from dispatcher.schemas.wire.fields import Integer, String, WireSchema
from tests.support.cases import each
from tests.support.shop import a_catalogue

ID = UUID("0190163d-8694-739b-aea5-966c26f8ad91")
EVENTS = a_catalogue().events
ORDER = {"id": str(ID), "number": "2024-1"}


@dataclass
class Order:
    id: UUID
    number: str
    total: Decimal
    email: str
    placed_at: datetime
    lines: list[dict[str, Any]]
    warehouse: str = "more than the schema has"


def rendered(body: Any, name: str = "order.created") -> Any:
    return json.loads(EVENTS[name].render(body, "UTC")[0])


def problems(body: Any, event: EventType = EVENTS["order.created"]) -> dict[str, str]:
    with pytest.raises(InvalidEvent) as caught:
        event.render(body, "UTC")
    return dict(caught.value.problems)


# What is sent


def test_an_object_is_dumped() -> None:
    order = Order(
        id=ID,
        number="2024-1",
        total=Decimal("12.50"),
        email="a@example.com",
        placed_at=datetime(2026, 6, 13, 12, tzinfo=UTC),
        lines=[{"sku": "A-1", "count": 2, "price": Decimal("6.25")}],
    )

    assert rendered({"order": order}) == {
        "order": {
            "id": str(ID),
            "number": "2024-1",
            "total": "12.50",
            "customerEmail": "a@example.com",
            "placed_at": "2026-06-13T12:00:00+00:00",
            "lines": [{"sku": "A-1", "count": 2, "price": "6.25"}],
        }
    }


def test_json_is_sent_as_it_is() -> None:
    body = {"order": {"number": "2024-1", "id": str(ID), "customerEmail": "a@example.com", "weight": 1.25}}

    assert EVENTS["order.created"].render(body, "UTC")[0] == json.dumps(body, separators=(",", ":")).encode()


def test_a_dict_of_pythons_values_is_dumped() -> None:
    order = {"id": ID, "number": "2024-1", "email": "a@example.com", "weight": Decimal("1.25"), "paid": True}

    assert rendered({"order": order})["order"] == {
        **ORDER,
        "customerEmail": "a@example.com",
        "weight": 1.25,
        "paid": True,
    }


def test_what_is_only_loaded_is_not_sent() -> None:
    assert "internal_note" not in rendered({"order": {"id": ID, "number": "1"}})["order"]
    assert problems({"order": {**ORDER, "internal_note": "secret"}}) == {"order.internal_note": "Unknown field."}


def test_numbers_are_sent_whole() -> None:
    class CountSchema(Schema):
        id = fields.Integer(required=True)

    catalogue = Catalogue("counts")
    event = catalogue.event("counted", catalogue.resource("count", CountSchema))

    assert event.render({"count": {"id": 2**70}}, "UTC") == (b'{"count":{"id":%d}}' % 2**70, f"count:{2**70}")


def test_loading_hooks_do_not_run() -> None:
    class HookedSchema(Schema):
        id = fields.Integer(required=True)

        @post_load
        def make(self, _data: Any, **_: Any) -> Any:
            raise AssertionError

    catalogue = Catalogue("hooks")
    event = catalogue.event("happened", catalogue.resource("one", HookedSchema), others=HookedSchema(many=True))

    assert event.render({"one": {"id": 1}, "others": [{"id": 2}]}, "UTC")[1] == "one:1"
    assert list(problems({"one": {"id": 1}, "others": [{"id": 2}, {"x": 1}]}, event)) == ["others[1].id", "others[1].x"]


def test_bodies_may_mix_our_types_with_others() -> None:
    class OursSchema(WireSchema):
        id = Integer(required=True)
        done = OurBoolean()

    catalogue = Catalogue("mixed")
    ours = catalogue.resource("ours", OursSchema)
    event = catalogue.event("mixed", ours, note=fields.String(required=True))

    assert event.render({"ours": {"id": 1, "done": True}, "note": "x"}, "UTC")[1] == "ours:1"
    assert problems({"ours": {"id": "1", "more": 1}}, event) == {
        "ours.id": "not an integer",
        "ours.more": "Unknown field.",
        "note": "Missing data for required field.",
    }
    assert jsonschema_rs.Draft202012Validator(event.schema).is_valid(event.example)


# What is refused


def test_every_problem_is_named_by_its_path() -> None:
    body = {
        "order": {
            "id": "x",
            "number": 1,
            "paid": "yes",
            "state": "lost",
            "lines": [{"sku": "A", "count": 0}, {"count": "2"}],
            "more": 1,
        },
        "parcel": {"carrier": "DHL"},
    }

    assert problems(body) == {
        "order.id": "Not a valid UUID.",
        "order.number": "Not a valid string.",
        "order.paid": "not a boolean",
        "order.state": "Must be one of: new, sent.",
        "order.lines[0].count": "Must be greater than or equal to 1.",
        "order.lines[1].sku": "Missing data for required field.",
        "order.lines[1].count": "not an integer",
        "order.more": "Unknown field.",
        "parcel": "Unknown field.",
    }


def test_a_dump_loses_nothing_of_a_dict() -> None:
    lines = [{"sku": "A", "count": 1, "price": Decimal(1), "colour": "red"}]

    assert problems({"order": {"id": ID, "number": "1", "more": 1, "lines": lines}, "parcel": 1}) == {
        "parcel": "unknown key of the body",
        "order.more": "unknown attribute",
        "order.lines[0].colour": "unknown attribute",
    }


def test_what_cannot_be_dumped_is_named() -> None:
    assert problems({"order": {"id": ID, "number": "1", "placed_at": "yesterday"}}) == {
        "order.placed_at": "is no value of a DateTime"
    }


@each("text", ["a\0b", "a\ud800"])
def test_what_cannot_be_sent_is_named(text: str) -> None:
    for id_ in (ID, str(ID)):
        found = problems({"order": {"id": id_, "number": text}})
        assert found == {"order.number": "holds a NUL or a lone surrogate"}


@each("body", [None, [], "order", 1])
def test_a_body_is_an_object(body: Any) -> None:
    assert problems(body) == {"": "the body is not an object"}


@each("order", [None, 3, [], "x"])
def test_a_resource_is_an_object(order: Any) -> None:
    assert list(problems({"order": order})) == ["order"]


@each("around", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_a_body_that_is_nested_too_deeply_is_refused(around: Callable[[Any], Any]) -> None:
    value: Any = 1
    for _ in range(900):
        value = around(value)

    assert problems({"order": {**ORDER, "number": value}}) == {"": "is nested too deeply"}


# What it is about


def test_an_id_is_a_uuid_a_text_or_a_number() -> None:
    assert EVENTS["order.created"].render({"order": {"id": ID, "number": "1"}}, "UTC")[1] == f"order:{ID}"
    assert EVENTS["customer_removed"].render({"customer": {"login": "ann"}}, "UTC")[1] == "customer:ann"


@each("login", ["", "x" * 201])
def test_an_id_has_a_bounded_length(login: str) -> None:
    found = problems({"customer": {"login": login}}, EVENTS["customer_removed"])

    assert found == {"customer.login": "must be an integer, or a string of 1 to 200 characters"}


def test_an_id_of_our_own_types_is_bounded_too() -> None:
    class PageSchema(WireSchema):
        path = String()

    catalogue = Catalogue("pages")
    event = catalogue.event("read", catalogue.resource("page", PageSchema, id="path"))

    assert event.render({"page": {"path": "/a"}}, "UTC")[1] == "page:/a"
    for page in ({}, {"path": "x" * 201}):
        assert list(problems({"page": page}, event)) == ["page.path"]


def test_a_summary_is_about_nothing_in_particular() -> None:
    class CountSchema(Schema):
        count = fields.Integer(required=True)

    catalogue = Catalogue("sums")
    event = catalogue.event("all_removed", catalogue.resource("orders", CountSchema, id=None))

    assert event.bulk
    assert event.render({"orders": {"count": 3}}, "UTC") == (b'{"orders":{"count":3}}', None)


# How it is described


@each("name", EVENTS)
def test_the_example_keeps_the_schema_and_can_be_emitted(name: str) -> None:
    event = EVENTS[name]

    assert jsonschema_rs.Draft202012Validator(event.schema).is_valid(event.example)
    assert rendered(event.example, name) == event.example


def test_the_json_schema_is_of_what_is_sent() -> None:
    order = EVENTS["order.shipped"].schema["$defs"]["shop.Order"]

    assert EVENTS["order.shipped"].schema["description"] == "Left the warehouse."
    assert "internal_note" not in order["properties"]
    assert order["properties"]["id"] == {"type": "string", "format": "uuid"}
    assert order["properties"]["total"] == {"type": "string", "format": "decimal"}
    assert order["properties"]["customerEmail"]["description"] == "The customer's."
    assert order["properties"]["placed_at"]["type"] == ["string", "null"]
    assert sorted(order["required"]) == ["id", "number"]


def test_an_example_of_ones_own_is_shown() -> None:
    catalogue = a_catalogue()
    order = {"order": {**ORDER, "number": "A-17"}}

    assert catalogue.event("order.lost", catalogue.events["order.created"].about, example=order).example == order


# What cannot be defined


@each("name", ["", "order shipped", "order..shipped", ".order", 'a"b', "x" * 101, "ping", "delivery_failed"])
def test_a_name_is_plain_and_not_the_dispatchers_own(name: str) -> None:
    catalogue = a_catalogue()

    with pytest.raises(InvalidCatalogue):
        catalogue.event(name, catalogue.events["order.created"].about)


def test_nothing_is_defined_twice() -> None:
    catalogue = a_catalogue()

    with pytest.raises(InvalidCatalogue, match=r"the event order.created is defined twice"):
        catalogue.event("order.created", catalogue.events["order.created"].about)
    with pytest.raises(InvalidCatalogue, match="the resource order is defined twice"):
        catalogue.resource("order", Schema)


def test_a_schema_is_marshmallows() -> None:
    with pytest.raises(InvalidCatalogue, match="neither a marshmallow schema nor a field"):
        a_catalogue().resource("thing", dict)


def test_the_envelopes_are_known() -> None:
    with pytest.raises(InvalidCatalogue, match="is not among api_v3, standard, cloudevents"):
        Catalogue("shop", envelope="soap")
