"""What of a catalogue's change breaks receivers."""

from typing import Any

import pytest
from marshmallow import Schema, fields, validate

from dispatcher.schemas import Catalogue
from dispatcher.schemas.active_catalogues import Catalogues
from dispatcher.schemas.api_v3 import catalogue as api_v3
from dispatcher.schemas.changes import changes
from dispatcher.schemas.documents import json_schema
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


@pytest.mark.parametrize(
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


@pytest.mark.parametrize(
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
