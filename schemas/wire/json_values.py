"""JSON values and their text: what of a body that comes as Python objects is JSON already, and how it is written."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any

import orjson

from dispatcher.schemas.wire.fields import UNSENDABLE, Invalid

_JSON = frozenset({str, int, bool, type(None)})


def is_json(value: object) -> bool:
    """Whether it is made of JSON's own types only."""
    kind = type(value)
    if kind is dict:
        return all(type(key) is str and is_json(item) for key, item in value.items())  # type: ignore[attr-defined]
    if kind is list:
        return all(map(is_json, value))  # type: ignore[call-overload]
    return kind in _JSON or (kind is float and isfinite(value))  # type: ignore[arg-type]


def json_text(value: Any) -> bytes:
    """It as JSON; raises Invalid where it cannot be sent."""
    try:
        text = orjson.dumps(value, default=_number)
    except TypeError:  # an integer beyond 64 bits, a lone surrogate, or what is no JSON
        try:
            text = json.dumps(
                value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_number
            ).encode()
        except (TypeError, ValueError):
            raise Invalid(list(_unsendable(value, "")) or [("", "holds what is not JSON")]) from None
    if b"\\u0000" in text and (problems := list(_unsendable(value, ""))):
        raise Invalid(problems)
    return text


def infinite(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """The numbers that JSON does not have: as its text, they are null."""
    if isinstance(value, float) and not isfinite(value):
        yield path, "is not a finite number"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from infinite(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from infinite(item, f"{path}[{number}]")


def _number(value: object) -> int | float:
    """A Decimal as a number, as JSON has no others; for more digits there is `as_string`."""
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError


def _unsendable(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if UNSENDABLE.search(value):
            yield path, "holds a NUL or a lone surrogate"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, str) and UNSENDABLE.search(key):
                yield path, "has an attribute whose name holds a NUL or a lone surrogate"
            else:
                yield from _unsendable(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _unsendable(item, f"{path}[{number}]")
    elif not isinstance(value, int | float | Decimal | None):
        yield path, f"is not JSON, but a {type(value).__name__}"
