"""What narrows a list: pages of 40 records, by number as API v3 has it or from the last id (keyset), and times."""

import re
from datetime import UTC, datetime

from flask import request

from dispatcher.errors import ApiError
from schemas.errors import plain

PAGE_SIZE = 40
PAGE_PARAMETER = {"in": "query", "name": "page", "schema": {"type": "integer", "minimum": 1, "default": 1}}
"""For the documentation."""
_NUMBER = re.compile(r"[0-9]{1,30}\Z")
_LAST_ID = 2**63 - 1
_LAST_PAGE = 2**31 // PAGE_SIZE
# A `+` that a client wrote into the URL as it is arrives as a blank.
_BLANK_OFFSET = re.compile(r" (?=[0-9]{2}:?[0-9]{2}\Z)")


def page_offset() -> int | None:
    """Records before the page asked for (`?page=`, from 1; default 1); None: so far past the end that none can be.

    Raises ApiError (400) for what is no page number.
    """
    page = _number("page", "1")
    if page == 0:
        raise ApiError(400, "invalid_request", "page must be 1 or more")
    return (page - 1) * PAGE_SIZE if page <= _LAST_PAGE else None


def cursor(name: str = "before") -> int | None:
    """The id from which a keyset page goes on; None: from the newest. Raises ApiError (400)."""
    if name not in request.args:
        return None
    return min(_number(name, ""), _LAST_ID)


def number(name: str) -> int | None:
    """A whole number of the query, if given. Raises ApiError (400)."""
    return _number(name, "") if name in request.args else None


def moment(name: str) -> datetime | None:
    """A time of the query, if given. Raises ApiError (400) unless it is ISO 8601 with an offset."""
    if name not in request.args:
        return None
    try:
        # In UTC here, so that what lies beyond the calendar there is refused too.
        found = datetime.fromisoformat(_BLANK_OFFSET.sub("+", request.args[name]))
        if found.utcoffset() is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ApiError(
        400,
        "invalid_request",
        f"{name} must be a date and time with an offset (ISO 8601, such as 2024-06-13T14:06:20+02:00), "
        f'not "{plain(request.args[name])}"',
    )


def _number(name: str, default: str) -> int:
    text = request.args.get(name, default)
    if not _NUMBER.match(text):
        raise ApiError(400, "invalid_request", f'{name} must be a whole number, not "{plain(text)}"')
    return int(text)
