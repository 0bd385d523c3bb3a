"""What a request's query says: a page of 40 records, by number as API v3 has it or from the last id, and filters.

The parsers raise ValueError with what is wrong, for the API and the console to say in their own way.
"""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, TypeVar
from uuid import UUID

from flask import request

from dispatcher.errors import ApiError
from dispatcher.schemas.errors import plain
from dispatcher.schemas.wire.choices import no_such_event, not_among

T = TypeVar("T")

PAGE_SIZE = 40
PAGE_PARAMETER = {"in": "query", "name": "page", "schema": {"type": "integer", "minimum": 1, "default": 1}}
"""For the documentation."""
_LAST_PAGE = 2**31 // PAGE_SIZE
"""More than any list has."""
_LIST_LIMIT = 10
"""Words that an error names all of."""
_NUMBER = re.compile(r"[0-9]{1,30}\Z")
# A `+` that a client wrote into the URL as it is arrives as a blank.
_BLANK_OFFSET = re.compile(r" (?=[0-9]{2}:?[0-9]{2}\Z)")


def parameter(name: str, parse: Callable[[str], T]) -> T | None:
    """A parameter of the query, None where it is absent; raises ApiError (400) for what does not parse."""
    try:
        return parse(request.args[name]) if name in request.args else None
    except ValueError as error:
        raise ApiError(400, "invalid_request", f"{name} {error}") from None


Filters = Mapping[str, tuple[Callable[[str], object], Mapping[str, object], str]]
"""What a list is narrowed by. Parameter of the query → its parser, its schema and its description."""


def described(filters: Filters) -> list[dict[str, object]]:
    """For the documentation."""
    return [
        {"in": "query", "name": name, "schema": schema, "description": text}
        for name, (_, schema, text) in filters.items()
    ]


def requested(filters: Filters) -> dict[str, Any]:
    """What the query narrows the list by; raises ApiError (400)."""
    return {name: parameter(name, parse) for name, (parse, _, _) in filters.items()}


TAG_PARAMETER = {"in": "query", "name": "tag", "schema": {"type": "string"}, "description": "Only with this tag."}


def tag(text: str) -> str:
    """One of a webhook's; none has a NUL, which Postgres refuses."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def page_bounds() -> dict[str, int]:
    """`offset` and `limit` of the page (`?page=`, from 1; default 1). Raises ApiError (400) for what is no number."""
    page = parameter("page", _page_number) or 1
    return {"offset": (min(page, _LAST_PAGE) - 1) * PAGE_SIZE, "limit": PAGE_SIZE}


def cursor(name: str = "before") -> int | None:
    """The id from which a keyset page goes on; None: from the first. Raises ApiError (400)."""
    return parameter(name, row_id)


def whole_number(text: str) -> int:
    """From 0."""
    if not _NUMBER.match(text):
        raise ValueError(f'must be a whole number, not "{plain(text)}"')
    return int(text)


def row_id(text: str) -> int:
    """An id; one beyond the column's range is its last, which no row has."""
    return min(whole_number(text), 2**63 - 1)


def webhook_id(text: str) -> int:
    """The same, of a smaller column."""
    return min(whole_number(text), 2**31 - 1)


def moment(text: str, zone: tzinfo | None = None) -> datetime:
    """A time in ISO 8601, in UTC; without an offset it is in `zone`, or refused where there is none."""
    try:
        parsed = datetime.fromisoformat(_BLANK_OFFSET.sub("+", text))
        if zone is not None and parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=zone)
        if parsed.utcoffset() is not None:
            return parsed.astimezone(UTC)  # here, so that what lies beyond the calendar in UTC is refused too
    except (ValueError, OverflowError):
        pass
    what = "a date and time" if zone else "a date and time with an offset (ISO 8601, such as 2024-06-13T14:06:20+02:00)"
    raise ValueError(f'must be {what}, not "{plain(text)}"')


def uuid(text: str) -> UUID:
    """In any of the forms that Python reads."""
    try:
        return UUID(text)
    except ValueError:
        raise ValueError("must be a UUID") from None


def one_of(words: Collection[str]) -> Callable[[str], str]:
    """The parser of a word that is among these."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError((not_among if len(words) <= _LIST_LIMIT else no_such_event)(text, words))
        return text

    return parse


def _page_number(text: str) -> int:
    number = whole_number(text)
    if number == 0:
        raise ValueError("must be 1 or more")
    return number
