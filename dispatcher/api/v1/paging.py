"""Lists of /api/v1: `limit` and `cursor` in, `data` and `next` out. A cursor is opaque to clients."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import Response, request
from marshmallow import Schema, fields

from dispatcher.api.http import json_response, public_url
from dispatcher.api.query import parameter, webhook_id, whole_number

Record = TypeVar("Record")

_MOST, _DEFAULT = 100, 50
PARAMETERS = [
    {
        "in": "query",
        "name": "limit",
        "schema": {"type": "integer", "minimum": 1, "maximum": _MOST, "default": _DEFAULT},
        "description": "Records of a page.",
    },
    {"in": "query", "name": "cursor", "schema": {"type": "string"}, "description": "`next` of the page before."},
]
"""For the documentation."""


def list_of(schema: type[Schema]) -> type[Schema]:
    """The schema of a page, for the documentation."""
    attributes = {"data": fields.List(fields.Nested(schema), required=True)}
    name = schema.__name__.removesuffix("Schema") + "List"
    return Schema.from_dict({**attributes, "next": fields.String(required=True, allow_none=True)}, name=f"{name}Schema")


def bounds() -> dict[str, int]:
    """`after` and `limit` of the page, whose limit is one more than is shown. Raises ApiError (400)."""
    return {"after": parameter("cursor", webhook_id) or 0, "limit": (parameter("limit", _limit) or _DEFAULT) + 1}


def part(records: Sequence[Record], *, after: int, limit: int, id_of: Callable[[Record], int]) -> list[Record]:
    """The page of a short list that was read whole."""
    return sorted((one for one in records if id_of(one) > after), key=id_of)[:limit]


def page(records: Sequence[Record], to_json: Callable[[Record], Any], id_of: Callable[[Record], int]) -> Response:
    """What `bounds` have found, with the link to the next page."""
    limit = parameter("limit", _limit) or _DEFAULT
    shown, headers, after = records[:limit], {}, None
    if len(records) > limit:
        after = str(id_of(shown[-1]))
        query = urlencode({**request.args, "cursor": after})
        headers["Link"] = f'<{public_url()}{request.path}?{query}>; rel="next"'
    return json_response({"data": [to_json(one) for one in shown], "next": after}, headers=headers)


def _limit(text: str) -> int:
    number = whole_number(text)
    if not 1 <= number <= _MOST:
        raise ValueError(f"must be between 1 and {_MOST}")
    return number
