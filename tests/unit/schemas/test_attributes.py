"""Each type has the documented attributes: names, order, kinds, words, and whether null may come."""

import pytest
from marshmallow import ValidationError

from schemas.api.failed_delivery import AttemptSchema, FailedDeliverySchema
from schemas.api.webhook import WebhookSchema
from schemas.wire.fields import Boolean, Date, DateTime, DecimalString, Integer, Items, Number, Shape, String, Url, Uuid
from schemas.wire.payload import EnvelopeSchema
from schemas.wire.resources import RESOURCES
from tests.unit.schemas.facts import HTTP, TYPES

KINDS = {
    "integer": Integer,
    "string": String,
    "decimal_string": DecimalString,
    "number": Number,
    "boolean": Boolean,
    "date": Date,
    "datetime": DateTime,
    "uuid": Uuid,
    "url": Url,
}
ATTRIBUTES = [pytest.param(name, fact, id=f"{name}.{fact['name']}") for name, facts in TYPES.items() for fact in facts]


def field_of(name, fact):
    return RESOURCES[name].fields[fact["name"]]


def load_one(name, attribute, value):
    """Loads just this attribute; the problems of it alone."""
    try:
        RESOURCES[name].load({attribute: value}, partial=True)
    except ValidationError as error:
        return error.messages_dict.get(attribute)
    return None


def test_there_are_twenty_types():
    assert len(TYPES) == 20
    assert RESOURCES.keys() == TYPES.keys()


@pytest.mark.parametrize("name", TYPES)
def test_the_attributes_are_those_documented_in_their_order(name):
    assert list(RESOURCES[name].fields) == [fact["name"] for fact in TYPES[name]]


@pytest.mark.parametrize(("name", "fact"), ATTRIBUTES)
def test_an_attribute_is_of_the_documented_kind(name, fact):
    field, (kind, _, inner) = field_of(name, fact), fact["type"].partition(":")

    if fact["type"] in KINDS:
        assert type(field) is KINDS[fact["type"]]
    elif inner in TYPES:
        assert isinstance(field, Shape)
        assert type(field.schema) is type(RESOURCES[inner])
        assert bool(field.many) is (kind == "array")
    else:
        assert isinstance(field, Items)
        assert type(field.inner) is KINDS[inner]


@pytest.mark.parametrize(("name", "fact"), ATTRIBUTES)
def test_null_comes_only_where_it_may(name, fact):
    problems = load_one(name, fact["name"], None)

    assert (problems is None) == fact["nullable"]


@pytest.mark.parametrize(
    ("name", "fact"), [param for param in ATTRIBUTES if param.values[1]["type"] in ("string", "array:string")]
)
def test_the_words_are_those_documented(name, fact):
    field = field_of(name, fact)
    string = field.inner if isinstance(field, Items) else field

    assert string.choices == set(fact.get("enum", ()))


@pytest.mark.parametrize(("name", "fact"), ATTRIBUTES)
def test_only_ids_are_required(name, fact):
    assert field_of(name, fact).required is (fact["name"] == "id")


@pytest.mark.parametrize("name", TYPES)
def test_an_attribute_that_is_not_documented_is_refused(name):
    assert load_one(name, "surplus", 1) == ["Unknown field."]


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        (WebhookSchema, "Webhook"),
        (EnvelopeSchema, "WebhookEvent"),
        (FailedDeliverySchema, "FailedDelivery"),
        (AttemptSchema, "DeliveryAttempt"),
    ],
)
def test_the_objects_of_the_endpoints_have_the_documented_attributes(schema, name):
    assert list(schema().fields) == HTTP[name]
