"""Our field types: all that the product needs of a type stands on its class; `Attribute` says what that is.

Source of the formats: API v3, "Formats".
"""

from dispatcher.schemas.wire.fields.attribute import Attribute, JsonSchema, Wire
from dispatcher.schemas.wire.fields.nested import Group, Invalid, Items, Problems, Shape, WireSchema
from dispatcher.schemas.wire.fields.plain import (
    Boolean,
    Date,
    DateTime,
    DecimalString,
    Integer,
    Number,
    String,
    Url,
    Uuid,
)
from dispatcher.schemas.wire.fields.text import UNSENDABLE
from dispatcher.schemas.wire.fields.times import (
    DEFAULT_TIME_ZONE,
    NOT_A_MOMENT,
    render_datetime,
    time_zone,
    written_in,
    zone_of,
)

__all__ = [
    "DEFAULT_TIME_ZONE",
    "NOT_A_MOMENT",
    "UNSENDABLE",
    "Attribute",
    "Boolean",
    "Date",
    "DateTime",
    "DecimalString",
    "Group",
    "Integer",
    "Invalid",
    "Items",
    "JsonSchema",
    "Number",
    "Problems",
    "Shape",
    "String",
    "Url",
    "Uuid",
    "Wire",
    "WireSchema",
    "render_datetime",
    "time_zone",
    "written_in",
    "zone_of",
]
