"""Headers that a webhook's owner adds to its requests."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import ValidationError, fields

from dispatcher.schemas.errors import plain

HEADER_LIMIT = 20
_SIZE_LIMIT = 8_192
"""Characters of all headers of a webhook: servers refuse heads of 8 KiB, and workers keep them in memory."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}\Z")
# One line of printable ASCII without blanks at the ends: what may stand in a header as it is (RFC 9110, 5.5).
_VALUE = re.compile(r"([\x21-\x7e]([\x20-\x7e]{0,4094}[\x21-\x7e])?)?\Z")
_IS_NO_VALUE = "must be one line of 0 to 4,096 printable ASCII characters"
_RESERVED = re.compile(
    r"(?:accept-encoding|connection|content-.*|cookie2?|expect|host|http2-settings|idempotency-key|keep-alive|proxy-.*|te"
    r"|trace(?:parent|state)|trailer|transfer-encoding|upgrade|user-agent|webhook-.*)\Z",
    re.IGNORECASE,
)
"""What the dispatcher sends itself, and what is between it and the next server (RFC 9110, 7.6.1)."""


def is_header_value(value: object) -> bool:
    """Whether it may stand in a header as it is."""
    return isinstance(value, str) and bool(_VALUE.match(value))


def is_free_name(name: str) -> bool:
    """Whether it is the name of a header that the dispatcher and HTTP do not need themselves."""
    return bool(_NAME.match(name)) and not _RESERVED.match(name)


class Headers(fields.Dict):
    """An object: name of a header → its value."""

    def __init__(self, **options: Any) -> None:
        text = "must be an object of header names and values"
        messages: dict[str, Any] = {"invalid": text, "null": text}
        value = fields.String(allow_none=True, error_messages={"invalid": f"each value {_IS_NO_VALUE}"})
        super().__init__(fields.String(), value, validate=_check, error_messages=messages, **options)


class SecretHeaders(Headers):
    """The same; of what is stored the names are shown, each with null."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **_: Any) -> dict[str, None]:
        return dict.fromkeys(value)


def read_lines(lines: Iterable[str]) -> dict[str, str]:
    """Headers of lines as HTTP writes them, `Name: value`; those without a value have an empty one."""
    parts = (line.partition(":") for line in lines if line.strip())
    return {name.strip(): value.strip() for name, _, value in parts}


def check_headers(
    headers: Mapping[str, str], secret: Mapping[str, str], authorizations: int, signatures: Iterable[str] = ()
) -> None:
    """Raises a ValidationError where one is sent twice, those of `signatures` included, or there are too many.

    `authorizations`: how many attributes beside these ask for an `Authorization` header.
    """
    lower_names = [name.lower() for name in (*headers, *secret, *(["authorization"] * authorizations))]
    names = [*lower_names, *(name.lower() for name in signatures)]
    texts = [f'"{name}" would be sent twice' for name in sorted({name for name in names if names.count(name) > 1})]
    if len(lower_names) > HEADER_LIMIT:
        texts.append(f"there may be {HEADER_LIMIT} headers at most")
    if sum(len(name) + len(value) for one in (headers, secret) for name, value in one.items()) > _SIZE_LIMIT:
        texts.append(f"headers may have {_SIZE_LIMIT:,} characters at most, all together")
    if texts:
        raise ValidationError(texts, "headers")


def _check(headers: Mapping[str, object]) -> None:
    problems = [text for name, value in headers.items() if (text := _problem(name, value))]
    if problems:
        raise ValidationError(problems[:HEADER_LIMIT])


def _problem(name: str, value: object) -> str | None:
    if not _NAME.match(name):
        return f'"{plain(name)}" is not the name of a header'
    if _RESERVED.match(name):
        return f'"{name}" is reserved'
    if not is_header_value(value):
        return f'the value of "{name}" {_IS_NO_VALUE}'
    return None
