"""What of a catalogue's change breaks receivers."""

from typing import Any

from marshmallow import Schema, fields, validate

from dispatcher.schemas import Catalogue
from dispatcher.schemas.active_catalogues import Catalogues
from dispatcher.schemas.api_v3 import catalogue as api_v3
from dispatcher.schemas.changes import changes, version_changes
from dispatcher.schemas.documents import json_schema
from tests.support.cases import each
from tests.support.shop import a_catalogue

Attributes = dict[str, Any]

FORMER: Attributes = {
    "id": fields.Integer(required=True),
    "number": fields.String(required=True),
    "state": fields.String(validate=validate.OneOf(["new"])),
    "at": fields.DateTime(),
    "lines": fields.List(fields.Nested(Schema.from_dict({"sku": fields.String(required=True)}, name="LineSchema"))),
}


def document(attributes: Attributes, envelope: str = "standard", event: str = "order.made") -> dict[str, Any]:
    catalogue = Catalogue("shop", envelope=envelope)
    order = catalogue.resource("order", Schema.from_dict(attributes, name="OrderSchema"))
    catalogue.event(event, order)
    return json_schema(Catalogues(catalogue))


def found(attributes: Attributes, **more: str) -> list[str]:
    return [str(change) for change in changes(document(FORMER), document(attributes, **more))]


def breaking(path: str, text: str) -> list[str]:
    return [f"BREAKS order.made: data.order.{path}: {text}"]


def test_nothing_has_changed() -> None:
    assert found(FORMER) == []
    for catalogue in (api_v3, a_catalogue()):
        assert changes(json_schema(Catalogues(catalogue)), json_schema(Catalogues(catalogue))) == []


@each(
    ("change", "path", "text"),
    [
        ({"number": fields.Integer(required=True)}, "number", "is integer now, was string"),
        ({"number": fields.String(required=True, allow_none=True)}, "number", "may be null now"),
        ({"number": fields.String()}, "number", "may be absent now"),
        ({"state": fields.String(validate=validate.OneOf(["new", "lost"]))}, "state", "may be lost now"),
        ({"state": fields.String()}, "state", "may be any now"),
        ({"at": fields.Date()}, "at", "has the format date now, had date-time"),
        ({"lines": fields.List(fields.String())}, "lines[]", "is string now, was object"),
        ({"id": fields.Float(required=True)}, "id", "is number now, was integer"),
    ],
)
def test_a_value_that_was_not_documented_breaks(change: Attributes, path: str, text: str) -> None:
    assert found(FORMER | change)[0] == breaking(path, text)[0]


def test_what_is_gone_breaks() -> None:
    assert found({name: field for name, field in FORMER.items() if name != "at"}) == breaking("at", "removed")


def test_an_attribute_of_another_name_is_gone_and_new() -> None:
    renamed = {("reference" if name == "number" else name): field for name, field in FORMER.items()}

    assert found(renamed) == [
        *breaking("number", "removed"),
        "       order.made: data.order.reference: added",
    ]


@each(
    "change",
    [
        {"colour": fields.String()},
        {"at": fields.DateTime(required=True)},
        {"state": fields.String(required=True, validate=validate.OneOf(["new"]))},
    ],
)
def test_what_receivers_need_not_notice_does_not_break(change: Attributes) -> None:
    assert not any("BREAKS" in one for one in found(FORMER | change))


def test_an_event_is_there_or_not() -> None:
    assert found(FORMER, event="order.born") == ["BREAKS order.made: removed", "       order.born: added"]


def test_another_envelope_breaks() -> None:
    assert "BREAKS order.made: data: removed" in found(FORMER, envelope="api_v3")


def of_schemas(old: Any, new: Any, **types: Any) -> list[str]:
    """What is said of an attribute `x` whose schema changes; `types`: those of `$defs`."""
    before, after = ({"type": "object", "properties": {"x": one}, "$defs": types} for one in (old, new))
    return [str(change).strip() for change in version_changes("e", before, after)]


@each(
    ("old", "new", "text"),
    [
        ({"minimum": 1}, {"minimum": 0}, "has the minimum 0 now, had 1"),
        ({"minimum": 1}, {}, "has no minimum now, had 1"),
        ({"maximum": 9}, {"maximum": 9.5}, "has the maximum 9.5 now, had 9"),
        ({"maxLength": 50}, {"maxLength": 60}, "has the maxLength 60 now, had 50"),
        ({"pattern": "^a$"}, {"pattern": "^b$"}, "has the pattern ^b$ now, had ^a$"),
        ({"multipleOf": 10}, {"multipleOf": 4}, "has the multipleOf 4 now, had 10"),
        ({"uniqueItems": True}, {}, "has no uniqueItems now"),
        ({"not": {"const": 1}}, {"not": {"const": 2}}, "has another not now"),
        ({"type": "string"}, {}, "may be anything now, was string"),
        ({"type": "string"}, True, "may be anything now, was string"),
        ({"type": "string"}, {"anyOf": [{"type": "string"}, {}]}, "may be anything now, was string"),
        ({"const": "a"}, {"enum": ["a", "b"]}, "may be b now"),
        ({"anyOf": [{"const": "a"}, {"const": "b"}]}, {"enum": ["a", "b", "c"]}, "may be c now"),
    ],
)
def test_a_rule_that_is_not_kept_any_more_breaks(old: Any, new: Any, text: str) -> None:
    assert of_schemas(old, new) == [f"BREAKS e: x: {text}"]


def test_stricter_rules_break_nobody() -> None:
    loose = {"type": ["number", "string"], "minimum": 1, "maxLength": 9, "multipleOf": 5, "enum": [1, 2]}
    strict = {"type": "number", "minimum": 2, "maxLength": 8, "multipleOf": 10, "const": 2, "pattern": "x"}

    assert of_schemas(loose, strict) == []


def test_parts_that_hold_together_and_alternatives_are_looked_into() -> None:
    base, more = {"properties": {"a": {}, "b": {}}, "required": ["a"]}, {"properties": {"c": {}}, "required": ["c"]}
    whole = {"allOf": [base, more]}

    assert of_schemas(whole, {"allOf": [{**base, "required": []}, more]}) == ["BREAKS e: x.a: may be absent now"]
    assert of_schemas(whole, {"allOf": [{"properties": {"b": {}}}, more]}) == ["BREAKS e: x.a: removed"]
    assert of_schemas(whole, {"allOf": [{**base, "properties": {"a": {}, "b": False}}, more]}) == [
        "BREAKS e: x.b: removed"
    ]
    assert of_schemas(whole, {"anyOf": [whole, base]}) == ["BREAKS e: x.c: may be absent now"]


def test_attributes_of_any_name() -> None:
    assert of_schemas({"additionalProperties": {"type": "string"}}, {}) == [
        "BREAKS e: x.*: may be anything now, was string"
    ]
    assert of_schemas({"additionalProperties": False}, {}) == ["e: x: may have other attributes now"]
    assert of_schemas({"additionalProperties": False}, {"additionalProperties": False, "properties": {"a": {}}}) == [
        "e: x.a: added"
    ]


def test_types_within_themselves_and_within_many_others_have_an_end() -> None:
    one = {"type": "object", "properties": {"left": {"$ref": "#/$defs/t1"}, "right": {"$ref": "#/$defs/t1"}}}
    types = {
        f"t{number}": {
            "allOf": [
                {"properties": {side: {"$ref": f"#/$defs/t{number + 1}"} for side in ("left", "right")}},
                {"anyOf": [{"$ref": f"#/$defs/t{number + 1}"}] * 2},
            ]
        }
        for number in range(1, 60)
    }

    assert of_schemas(one, one, **types, t60={"$ref": "#/$defs/t60"}) == []
