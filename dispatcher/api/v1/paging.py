"""Lists of /api/v1: `limit` and `cursor` in, `data` and `next` out. A cursor is opaque to clients."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import Response, request
from marshmallow import Schema, fields

from dispatcher.api.http import json_response, public_url
from dispatcher.api.query import parameter, row_id, webhook_id, whole_number

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
    return {"after": parameter("cursor", webhook_id) or 0, "limit": shown() + 1}


def newest_first(parse: Callable[[str], int] = row_id) -> dict[str, Any]:
    """The same of a list that begins with the newest: `before` and `limit`."""
    return {"before": parameter("cursor", parse), "limit": shown() + 1}


def shown() -> int:
    """How many records a page shows; raises ApiError (400)."""
    return parameter("limit", _limit) or _DEFAULT


def part(records: Sequence[Record], *, after: int, limit: int, id_of: Callable[[Record], int]) -> list[Record]:
    """The page of a short list that was read whole."""
    return sorted((one for one in records if id_of(one) > after), key=id_of)[:limit]


def page(records: Sequence[Record], to_json: Callable[[Record], Any], id_of: Callable[[Record], int]) -> Response:
    """What `bounds` have found, with the link to the next page."""
    some = records[: shown()]
    return answer([to_json(one) for one in some], id_of(some[-1]) if len(records) > len(some) else None)


def answer(data: Sequence[Any], last: int | str | None) -> Response:
    """A page, after whose record with the id or name `last` the next one goes on; None: there is none."""
    headers, after = {}, None if last is None else str(last)
    if after is not None:
        query = urlencode({**request.args, "cursor": after})
        headers["Link"] = f'<{public_url()}{request.path}?{query}>; rel="next"'
    return json_response({"data": data, "next": after}, headers=headers)


def _limit(text: str) -> int:
    number = whole_number(text)
    if not 1 <= number <= _MOST:
        raise ValueError(f"must be between 1 and {_MOST}")
    return number
