"""An event type as a program would store it."""

from typing import Any

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["order"],
    "properties": {
        "order": {
            "type": "object",
            "required": ["id", "total"],
            "additionalProperties": False,
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "number": {"type": "string", "pattern": "^[0-9]{4}-[0-9]+$"},
                "total": {"type": "number", "minimum": 0},
                "placed_at": {"type": "string", "format": "date-time"},
                "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
            },
        }
    },
    "$defs": {
        "Line": {
            "type": "object",
            "required": ["sku"],
            "properties": {"sku": {"type": "string"}, "parts": {"type": "array", "items": {"$ref": "#/$defs/Line"}}},
        }
    },
}
ID = "0190163d-8694-739b-aea5-966c26f8ad91"
BODY: dict[str, Any] = {
    "order": {"id": ID, "number": "2026-1", "total": 12.5, "lines": [{"sku": "A", "parts": [{"sku": "B"}]}]}
}
TYPE: dict[str, Any] = {"schema": SCHEMA, "example": BODY, "resource": "order", "description": "Left the warehouse."}
"""The attributes of one."""


def schema_with(**attributes: Any) -> dict[str, Any]:
    """The schema whose order has other attributes; None takes one away."""
    order = SCHEMA["properties"]["order"]
    properties = {name: one for name, one in {**order["properties"], **attributes}.items() if one is not None}
    return {**SCHEMA, "properties": {"order": {**order, "properties": properties}}}
