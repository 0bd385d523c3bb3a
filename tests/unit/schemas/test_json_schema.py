"""The catalogue for programs: a JSON Schema and an example of each event."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from dispatcher.schemas import InvalidEvent
from dispatcher.schemas.wire.fields import Integer, String, WireSchema
from dispatcher.schemas.wire.json_schema import DIALECT, object_schema, of_field
from tests.support.bodies import event_example, event_schema, render_body
from tests.support.cases import each
from tests.support.places import EXAMPLES
from tests.unit.schemas.strategies import BODIES, bodies
from tests.unit.schemas.test_random_values import few


def validator(name: str, **options: Any) -> Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(event_schema(name), **({"validate_formats": True} | options))


@each("name", BODIES)
def test_an_example_can_be_emitted_and_keeps_its_schema(name: str) -> None:
    rendered = json.loads(render_body(name, event_example(name)))

    assert rendered == event_example(name)
    validator(name).validate(rendered)


@each("name", BODIES)
def test_a_schema_is_valid_and_complete_in_itself(name: str) -> None:
    schema = event_schema(name)

    jsonschema_rs.meta.validate(schema)
    assert (schema["$schema"], schema["title"]) == (DIALECT, name)
    references = {part.split('"')[0] for part in json.dumps(schema).split("#/$defs/")[1:]}
    assert references == schema["$defs"].keys()


def test_the_documented_payload_keeps_its_schema() -> None:
    body = json.loads((EXAMPLES / "webhook_event_invoice_paid.json").read_text())["body"]

    validator("invoice_paid").validate(json.loads(render_body("invoice_paid", body)))


@each("name", BODIES)
@settings(few, max_examples=2)
@given(data=st.data())
def test_whatever_is_sent_keeps_its_schema(name: str, data: st.DataObject) -> None:
    check = validator(name)

    check.validate(json.loads(render_body(name, data.draw(bodies(name)))))


@each(
    "change",
    [
        {"no_such": 1},
        {"invoice": {"id": 1, "no_such": 1}},
        {"invoice": {"number": "1"}},
        {"invoice": {"id": "1"}},
        {"invoice": {"id": 2**63}},
        {"invoice": {"id": 1, "total": "1"}},
        {"invoice": {"id": 1, "status": "lost"}},
        {"invoice": {"id": 1, "number": None}},
        {"invoice": {"id": 1, "lines": [{}]}},
        {"invoice": None},
    ],
)
def test_what_is_never_sent_breaks_its_schema(change: dict[str, Any]) -> None:
    assert not validator("invoice_paid").is_valid({"invoice": {"id": 1}, "payment": {"id": 1}} | change)


def test_null_is_allowed_where_the_field_allows_it() -> None:
    assert of_field(Integer(allow_none=True))["type"] == ["integer", "null"]
    assert of_field(String(allow_none=True, choices="ab")) == {"type": ["string", "null"], "enum": ["a", "b", None]}


def test_a_schema_says_what_it_is() -> None:
    class PencilSchema(WireSchema):
        """A pencil."""

        id = Integer(required=True)

    schema = object_schema(PencilSchema())
    assert (schema["description"], schema["required"]) == ("A pencil.", ["id"])


def test_an_event_outside_the_catalogue_has_neither() -> None:
    for function in (event_schema, event_example):
        with pytest.raises(InvalidEvent):
            function("x")
