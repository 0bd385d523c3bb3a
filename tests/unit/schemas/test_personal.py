"""Personal fields: masked wherever a schema has them, and not repeated by what is said of a body."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from marshmallow import Schema, ValidationError, fields, validates_schema

from dispatcher.schemas import Catalogue, InvalidCatalogue, InvalidEvent, api_v3, json_schema_body
from dispatcher.schemas.active_catalogues import Catalogues, use, use_stored
from dispatcher.schemas.personal import has_personal, masked
from tests.support.cases import each
from tests.unit.schemas.test_stored import a_type

PERSONAL = {"personal": True}


def no_example(text: str) -> None:
    if text.endswith("@example.com"):
        raise ValidationError(f"{text} is no real address")


class CustomerSchema(Schema):
    id = fields.Integer(required=True)
    email = fields.Email(metadata=PERSONAL, validate=no_example)
    friends = fields.List(fields.Nested(lambda: CustomerSchema()))


class OrderSchema(Schema):
    id = fields.Integer(required=True)
    customer = fields.Nested(CustomerSchema)
    address = fields.Dict(metadata=PERSONAL)
    lines = fields.List(fields.Nested(Schema.from_dict({"sku": fields.String(), "note": fields.String()}, name="L")))

    @validates_schema
    def check(self, data: dict[str, Any], **_: Any) -> None:
        if data["id"] < 0:
            raise ValidationError(f"{data['customer']} has no such order")


@pytest.fixture(autouse=True)
def shop() -> Iterator[Catalogue]:
    catalogue = Catalogue("shop")
    order = catalogue.resource("order", OrderSchema, subjects=["customer.id"])
    catalogue.event("order.made", order, personal=["order.lines.*.note"])
    catalogue.event("order.gone", catalogue.resource("thing", Schema.from_dict({"id": fields.Integer(required=True)})))
    use(Catalogues(catalogue, api_v3.catalogue))
    yield catalogue
    use(None)


def body(**order: Any) -> dict[str, Any]:
    return {"order": {"id": 1, **order}}


def test_fields_and_paths_are_masked_through_lists_and_types_within_themselves() -> None:
    friends = [{"id": 3, "email": "a@b.cz", "friends": [{"id": 4, "email": "c@d.cz"}]}, {"id": 5, "email": None}]
    given = body(
        customer={"id": 2, "email": "j@e.cz", "friends": friends},
        address={"street": "Hlavní 1"},
        lines=[{"sku": "A", "note": "for Jana"}],
    )

    shown = masked("order.made", 1, given)["order"]

    friends = [{"id": 3, "email": "***", "friends": [{"id": 4, "email": "***"}]}, {"id": 5, "email": None}]
    assert shown["customer"] == {"id": 2, "email": "***", "friends": friends}
    assert (shown["id"], shown["address"], shown["lines"]) == (1, "***", [{"sku": "A", "note": "***"}])
    assert has_personal("order.made", 1)
    assert not has_personal("order.gone", 1)


def test_of_an_unknown_event_nothing_is_shown() -> None:
    assert masked("order.unknown", 1, {"a": [1, None, {"b": "c"}]}) == {"a": ["***", None, {"b": "***"}]}
    assert masked("delivery_failed", 1, {"delivery": {"id": 1}}) == {"delivery": {"id": 1}}


def test_what_is_nested_too_deeply_is_masked() -> None:
    deep: dict[str, Any] = {"email": "j@e.cz"}
    for _ in range(900):
        deep = {"customer": deep}

    assert masked("order.made", 1, {"order": deep}) == {"order": "***"}


def test_api_v3_knows_what_is_personal() -> None:
    subject = masked("subject_created", 1, {"subject": {"id": 1, "name": "Jana", "email": "j@e.cz", "due": 14}})

    assert subject == {"subject": {"id": 1, "name": "***", "email": "***", "due": 14}}


@each(
    "schema",
    [
        {"properties": {"a": {"x-personal": True}}},
        {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string", "x-personal": True}}},
        {"properties": {"a": {"$ref": "#/$defs/A", "x-personal": True}}, "$defs": {"A": {"type": "string"}}},
        {"properties": {"a": {"anyOf": [{"type": "null"}, {"x-personal": True}]}}},
        {"properties": {}, "patternProperties": {"^a": {"x-personal": True}}},
        {"properties": {}, "additionalProperties": {"x-personal": True}},
        {"properties": {}, "if": {"required": ["b"]}, "then": {"properties": {"a": {"x-personal": True}}}},
        {"properties": {}, "dependentSchemas": {"a": {"properties": {"a": {"x-personal": True}}}}},
    ],
)
def test_the_word_is_found_wherever_a_schema_may_have_it(schema: dict[str, Any]) -> None:
    schema = {"type": "object", **schema}
    assert json_schema_body.problems_of(schema) == []
    use_stored([a_type("thing.made", schema=json.dumps(schema), resource=None, example=None)], 1)

    assert masked("thing.made", 1, {"a": "Jana"}) == {"a": "***"}


def test_a_name_with_a_dot_is_no_path() -> None:
    inner = {"properties": {"b": {"properties": {"c": {"x-personal": True}}}}}
    schema = json.dumps({"type": "object", "properties": {"a": inner}})
    use_stored([a_type("thing.made", schema=schema, resource=None, example=None)], 1)

    assert masked("thing.made", 1, {"a.b": {"c": 1}}) == {"a.b": {"c": 1}}
    assert masked("thing.made", 1, {"a": {"b": {"c": "Jana"}}}) == {"a": {"b": {"c": "***"}}}


def test_the_word_takes_true_or_false() -> None:
    problems = json_schema_body.problems_of({"type": "object", "properties": {"a": {"x-personal": "yes"}}})
    assert problems == ["properties.a.x-personal: must be true or false"]


def test_errors_do_not_repeat_personal_values(shop: Catalogue) -> None:
    event = shop.events["order.made"]
    for given, told in (
        (body(customer={"id": 2, "email": "jana@example.com"}), "order.customer.email: is invalid"),
        (body(customer={"id": 2, "email": "jana"}), "order.customer.email: Not a valid email address."),
        ({"order": {"id": -1, "customer": {"id": 2, "email": "jana@e.cz"}}}, "order: is invalid"),
        (body(customer={"id": "x", "email": "jana@e.cz"}), "order.customer.id: not an integer"),
    ):
        with pytest.raises(InvalidEvent) as error:
            event.render(given, "UTC")
        assert str(error.value) == f"order.made: {told}"


def test_persons_are_found_by_paths(shop: Catalogue) -> None:
    friends = shop.event("order.shared", shop.events["order.made"].about, subjects=["order.customer.friends.id"])
    given = body(customer={"id": 2, "friends": [{"id": 3}, {"id": True}, {"id": "x"}]})

    assert shop.events["order.made"].persons_in(given) == {"2"}
    assert friends.persons_in(given) == {"3", "x"}
    with pytest.raises(InvalidCatalogue):
        shop.resource("other", OrderSchema, subjects="customer.id")
