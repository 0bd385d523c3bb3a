"""Each type has the documented attributes: names, order, kinds, words, and whether null may come."""

from typing import Any

from marshmallow import ValidationError

from dispatcher.schemas.api.failed_delivery import AttemptSchema, FailedDeliverySchema
from dispatcher.schemas.api.webhook import WebhookSchema
from dispatcher.schemas.wire.fields import (
    Boolean,
    Date,
    DateTime,
    DecimalString,
    Integer,
    Items,
    Number,
    Shape,
    String,
    Url,
    Uuid,
)
from dispatcher.schemas.wire.payload import EnvelopeSchema
from tests.support.cases import each
from tests.unit.schemas.facts import HTTP, RESOURCES, TYPES

KINDS = {
    Integer: "integer",
    String: "string",
    DecimalString: "decimal_string",
    Number: "number",
    Boolean: "boolean",
    Date: "date",
    DateTime: "datetime",
    Uuid: "uuid",
    Url: "url",
}


def kind(field: Any) -> str:
    """A field's type in the words of the facts."""
    if isinstance(field, Shape):
        return f"{'array' if field.many else 'object'}:{field.inner.type_name}"
    return f"array:{KINDS[type(field.inner)]}" if isinstance(field, Items) else KINDS[type(field)]


def described(field: Any) -> tuple[Any, ...]:
    """Kind, whether null may come, whether it is required, and the words there are to choose from."""
    choices: frozenset[str] = getattr(field.inner if isinstance(field, Items) else field, "choices", frozenset())
    return (kind(field), bool(field.allow_none), field.required, choices)


def documented(fact: dict[str, Any]) -> tuple[Any, ...]:
    """The same of an attribute of the documentation: only ids are required."""
    return (fact["type"], fact["nullable"], fact["name"] == "id", frozenset(fact.get("enum", ())))


def refused(name: str, data: Any) -> dict[str, Any]:
    """What is wrong with these attributes alone."""
    try:
        RESOURCES[name].load(data, partial=True)
    except ValidationError as error:
        return error.messages_dict
    return {}


def test_there_are_twenty_types() -> None:
    assert len(TYPES) == 20
    assert RESOURCES.keys() == TYPES.keys()


@each("name", TYPES)
def test_the_attributes_are_as_documented_and_in_their_order(name: str) -> None:
    attributes = {attribute: described(field) for attribute, field in RESOURCES[name].fields.items()}

    assert attributes == {fact["name"]: documented(fact) for fact in TYPES[name]}
    assert list(attributes) == [fact["name"] for fact in TYPES[name]]


@each("name", TYPES)
def test_null_comes_only_where_it_may(name: str) -> None:
    problems = refused(name, dict.fromkeys(RESOURCES[name].fields))

    assert list(problems) == [fact["name"] for fact in TYPES[name] if not fact["nullable"]]


@each("name", TYPES)
def test_an_attribute_that_is_not_documented_is_refused(name: str) -> None:
    assert refused(name, {"surplus": 1}) == {"surplus": ["Unknown field."]}


@each(
    ("schema", "name"),
    [
        (WebhookSchema, "Webhook"),
        (EnvelopeSchema, "WebhookEvent"),
        (FailedDeliverySchema, "FailedDelivery"),
        (AttemptSchema, "DeliveryAttempt"),
    ],
)
def test_the_objects_of_the_endpoints_have_the_documented_attributes(schema: Any, name: str) -> None:
    assert list(schema().fields) == HTTP[name]
