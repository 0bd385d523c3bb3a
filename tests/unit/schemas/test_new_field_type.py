"""A field type is one class: nothing else of the product needs to know of it."""

import re
from typing import Annotated, Any

import msgspec
import pytest
from marshmallow import ValidationError

from dispatcher.schemas.wire.fields import Integer, Invalid, Items, Shape, Wire, WireSchema
from dispatcher.schemas.wire.json_schema import object_schema

HEX = re.compile(r"^#[0-9a-f]{6}\Z")


class Colour(Wire):
    """`#ff8000`; upper case is accepted, and written in lower case."""

    as_is = (str, HEX.match)
    after_decoding = staticmethod(str.lower)

    def wire(self, value: Any) -> str:
        if not isinstance(value, str) or not HEX.match(value.lower()):
            raise ValidationError("not a colour")
        return value.lower()

    def json_schema(self, refs: Any) -> dict[str, Any]:
        return {"type": "string", "pattern": HEX.pattern}

    def example(self, name: str) -> str:
        return "#ff8000"

    def msgspec_type(self) -> Any:
        return Annotated[str, msgspec.Meta(pattern=r"^#[0-9A-Fa-f]{6}\Z")]


class LeadSchema(WireSchema):
    """A lead."""

    colour = Colour(required=True)


class PencilSchema(WireSchema):
    """A pencil."""

    id = Integer(required=True)
    colour = Colour(allow_none=True)
    rings = Items(Colour())
    leads = Shape(LeadSchema, many=True)


PENCIL = PencilSchema()
GIVEN = {"id": 1, "colour": "#FF8000", "rings": ["#00FF00", "#00ff00"], "leads": [{"colour": "#0000FF"}]}
SENT = {"id": 1, "colour": "#ff8000", "rings": ["#00ff00", "#00ff00"], "leads": [{"colour": "#0000ff"}]}


def test_it_has_a_wire_form() -> None:
    assert PENCIL.wire(GIVEN) == PENCIL.wire(SENT) == PENCIL.dump(GIVEN) == PENCIL.load(GIVEN) == SENT


def test_its_problems_have_paths() -> None:
    with pytest.raises(Invalid) as caught:
        PENCIL.wire({"id": 1, "colour": "red", "rings": ["#00ff00", 5], "leads": [{}, {"colour": None}]})

    assert caught.value.problems == [
        (".colour", "not a colour"),
        (".rings[1]", "not a colour"),
        (".leads[0].colour", "missing"),
        (".leads[1].colour", "may not be null"),
    ]


def test_it_has_a_json_schema() -> None:
    schema = object_schema(PENCIL)

    assert schema["properties"]["colour"] == {"type": ["string", "null"], "pattern": HEX.pattern}
    assert schema["properties"]["rings"]["items"] == {"type": "string", "pattern": HEX.pattern}
    assert schema["properties"]["leads"]["items"] == {"$ref": "#/$defs/Lead"}


def test_it_has_an_example() -> None:
    example = PENCIL.example_object()

    assert example == {"id": 1, "colour": "#ff8000", "rings": ["#ff8000"], "leads": [{"colour": "#ff8000"}]}
    assert PENCIL.wire(example) == example


def test_msgspec_decodes_it_to_its_wire_form() -> None:
    decoder = msgspec.json.Decoder(Shape(PencilSchema).msgspec_type())

    assert msgspec.to_builtins(decoder.decode(msgspec.json.encode(GIVEN))) == SENT
    assert msgspec.to_builtins(decoder.decode(b'{"id":1,"colour":null}')) == {"id": 1, "colour": None}
    with pytest.raises(msgspec.ValidationError):
        decoder.decode(b'{"id":1,"colour":"red"}')
