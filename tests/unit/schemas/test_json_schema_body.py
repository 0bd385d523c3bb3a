"""A body that a JSON Schema describes: what is accepted, what is said of the rest, and which schemas may be stored."""

import json
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from dispatcher.schemas.errors import InvalidCatalogue
from dispatcher.schemas.json_schema_body import DEPTH_LIMIT, SIZE_LIMIT, JsonSchemaBody, problems_of
from dispatcher.schemas.wire.fields import Invalid
from dispatcher.schemas.wire.json_schema import DIALECT
from tests.support.cases import each
from tests.support.event_types import BODY, ID, SCHEMA, schema_with

ORDER = JsonSchemaBody("order.shipped", SCHEMA)


def refused(body: Any, schema: dict[str, Any] = SCHEMA) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        JsonSchemaBody("x", schema).render(body, "UTC")
    return dict(caught.value.problems)


def of_total(**words: Any) -> str:
    """What is said of a total that does not keep these words."""
    problems = refused({"order": {"id": ID, "total": 7}}, schema_with(total=words))
    assert list(problems) == [".order.total"]
    return problems[".order.total"]


def test_json_is_sent_as_it_came_and_objects_of_python_as_json_has_them() -> None:
    assert ORDER.render(BODY, "UTC") == (json.dumps(BODY, separators=(",", ":")).encode(), BODY)

    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    text, value = ORDER.render({"order": {"id": UUID(ID), "total": Decimal("12.50"), "placed_at": at}}, "Asia/Tokyo")
    assert json.loads(text) == value
    assert value == {"order": {"id": ID, "total": 12.5, "placed_at": "2026-01-02T03:04:05+00:00"}}


@each(
    ("words", "said"),
    [
        ({"type": ["string", "null"]}, "must be null or a string"),
        ({"type": "array"}, "must be an array"),
        ({"enum": [1, 2]}, "must be one of [1, 2]"),
        ({"const": 8}, "must be 8"),
        ({"minimum": 8}, "must be at least 8"),
        ({"exclusiveMaximum": 7}, "must be less than 7"),
        ({"multipleOf": 2}, "must be a multiple of 2"),
        ({"oneOf": [{"type": "integer"}, {"minimum": 1}]}, "must keep just one of the alternatives in oneOf"),
        ({"anyOf": [{"type": "string"}, {"minimum": 9}]}, "must keep one of the alternatives in anyOf"),
        ({"not": {"type": "number"}}, "does not keep `not` of the schema"),
        (False, "must be absent"),
    ],
)
def test_what_is_wrong_is_said_in_words(words: Any, said: str) -> None:
    if words is False:
        assert refused({"order": {"id": ID, "total": 7}}, schema_with(total=False)) == {".order.total": said}
    else:
        assert of_total(**words) == said


def test_what_cannot_be_sent_is_refused() -> None:
    assert refused({"order": {"id": ID, "total": 1, "lines": [{"sku": "a\0"}]}}) == {
        ".order.lines[0].sku": "holds a NUL or a lone surrogate"
    }
    for name in ("a\0", "a\ud800"):  # Postgres could read no attribute of the body, so no filter would match
        assert refused({"order": {"id": ID}, name: 1}, {"properties": {}}) == {
            "": "has an attribute whose name holds a NUL or a lone surrogate"
        }
    assert problems_of({**SCHEMA, "properties": {"a\0": {}}}) == ["holds what is no JSON"]
    assert "is not JSON" in refused({"order": {"id": ID, "total": object()}})[".order.total"]
    for number in (float("nan"), json.loads("1e400")):
        assert refused({"order": {"id": ID, "total": number}}) == {".order.total": "is not a finite number"}
    assert refused({"order": {"lines": [float("inf")]}}, {"properties": {}}) == {
        ".order.lines[0]": "is not a finite number"
    }
    assert "not JSON" in refused({"order": {"id": ID, "total": Decimal("Infinity")}})[""]


@each(
    ("schema", "said"),
    [
        ([], "must be a JSON Schema"),
        ({**SCHEMA, "$schema": 7}, f"must be {DIALECT}"),
        ({"type": "object"}, "`properties`"),
        ({**SCHEMA, "$schema": "http://json-schema.org/draft-07/schema#"}, f"must be {DIALECT}"),
        (schema_with(x={"$ref": "https://example.com/schema.json"}), "properties.order.properties.x.$ref: must be"),
        (schema_with(x={"$ref": "#/properties/order"}), "must be #/$defs/"),
        (schema_with(x={"$ref": "#/$defs/None"}), "must be #/$defs/"),
        (schema_with(x={"$id": "https://example.com/"}), "x.$id: is not supported"),
        (schema_with(x={"items": {"$dynamicRef": "#x"}}), "$dynamicRef: is not supported"),
        (schema_with(x={"anyOf": [{"$anchor": "x"}]}), "x.anyOf[0].$anchor: is not supported"),
        (schema_with(x={"pattern": r"(a)\1"}), "look-around and back-references are not supported"),
        (schema_with(x={"pattern": "(x{1000}){1000}"}), "pattern"),
        (schema_with(x={"minimum": "1"}), "properties.order.properties.x.minimum"),
        (schema_with(x={"description": "x" * SIZE_LIMIT}), "is too long"),
    ],
)
def test_some_schemas_are_refused(schema: Any, said: str) -> None:
    assert said in problems_of(schema)[0]


def test_deep_schemas_are_refused_and_words_that_are_names_are_names() -> None:
    deep: dict[str, Any] = {}
    for _ in range(DEPTH_LIMIT):
        deep = {"not": deep}
    assert "nested too deeply" in problems_of(schema_with(x=deep))[0]
    assert problems_of(schema_with(**{"$ref": {"type": "string"}, "$id": {"const": {"$ref": "x"}}})) == []
    assert problems_of({**SCHEMA, "$id": "https://example.com/order.json"}) == []


def test_a_pattern_that_would_take_forever_elsewhere_does_not_here() -> None:
    slow = JsonSchemaBody("x", schema_with(number={"pattern": "^(a+)+$"}))
    began_s = time.process_time()

    assert not slow.is_valid({"order": {"id": ID, "total": 1, "number": "a" * 50_000 + "!"}})
    assert time.process_time() - began_s < 1


def test_types_are_named_after_the_event_wherever_they_stand() -> None:
    assert list(ORDER.types("#/$defs/")) == ["order.shipped.Line"]
    parts = ORDER.types("#/$defs/")["order.shipped.Line"]["properties"]["parts"]
    assert parts["items"] == {"$ref": "#/$defs/order.shipped.Line"}
    assert "$defs" not in ORDER.json_schema("#/$defs/")
    assert (
        ORDER.is_valid(JsonSchemaBody("x", schema_with(number=None)).example()) is False
    )  # made up: "text" is no UUID


def test_a_process_without_the_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)

    with pytest.raises(InvalidCatalogue, match="pip install jsonschema-rs"):
        JsonSchemaBody("order.sent", SCHEMA).render(BODY, "UTC")


def test_true_and_false_are_schemas_and_what_looks_like_a_reference_may_be_a_value() -> None:
    value = {"$ref": "x"}
    body = JsonSchemaBody("x", schema_with(any=True, none=False, one={"const": value}))

    order = body.json_schema("#/")["properties"]["order"]["properties"]
    assert (order["any"], order["none"], order["one"]) == ({}, {"not": {}}, {"const": value})
    assert body.example()["order"]["one"] == value
    assert list(body.types("#/")) == ["x.Line"]


def test_an_example_that_is_made_up_has_an_end() -> None:
    types: dict[str, Any] = {
        f"T{number}": {"properties": {side: {"$ref": f"#/$defs/T{number + 1}"} for side in ("left", "right")}}
        for number in range(40)
    }
    schema = {"properties": {"x": {"$ref": "#/$defs/T0"}, "y": {"type": "string", "minLength": 10**9}}}

    example = JsonSchemaBody("x", {**schema, "$defs": {**types, "T40": {"type": "string"}}}).example()

    assert len(json.dumps(example)) < 1_000_000


def test_of_a_large_body_the_first_problem_is_told_as_all_would_take_long() -> None:
    order = {"id": ID, "total": 1, "lines": [1] * 500_000}
    began_s = time.process_time()

    assert refused({"order": order}) == {".order.lines[0]": "must be an object"}
    assert time.process_time() - began_s < 1  # 8 s for all
