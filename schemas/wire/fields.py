"""Our field types: one wire form each, checked the same way when it is loaded and when it is dumped.

`wire(value)` is the heart of each: it turns what a service hands over into the JSON value that is sent, or raises a
ValidationError that says what is wrong and never repeats the value, which may be confidential. Source of the formats:
API v3, "Formats".
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from marshmallow import Schema, ValidationError, fields

DEFAULT_TIME_ZONE = "Europe/Prague"

time_zone: ContextVar[ZoneInfo] = ContextVar("time_zone", default=ZoneInfo(DEFAULT_TIME_ZONE))  # noqa: B039 - immutable
"""The account's zone, in which datetimes are written; set for one rendering (`written_in`)."""


class written_in:  # noqa: N801 - reads as a statement
    """Datetimes are written in the zone of that name while the block lasts, in this thread (or task) only."""

    def __init__(self, name: str) -> None:
        self._zone = zone_of(name)

    def __enter__(self) -> None:
        self._token = time_zone.set(self._zone)

    def __exit__(self, *_: object) -> None:
        time_zone.reset(self._token)


@lru_cache(maxsize=1_000)
def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name."""
    return ZoneInfo(name)


NOT_A_MOMENT = "not a date and time, such as 2024-06-13T14:06:20.743+02:00 (ISO 8601)"

_NUMBERS = (int, float, Decimal)  # tuples: a union written in the call would be made anew each time
_DECIMALS = (str, *_NUMBERS)
DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?\Z")
FRACTION = re.compile(r"-?[0-9]{1,30}\.[0-9]{1,30}\Z")
_WRITTEN = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3])(:[0-9]{2}){2}\.[0-9]{3}(\+|-(?!00:00))[0-9]{2}:[0-9]{2}\Z"
)
"""A datetime in the form that we write; `-00:00` and `24:00` are not in it."""
_WHOLE_MINUTES = 1973
"""From this year on every zone's offset is in whole minutes; Liberia's was the last that was not."""
_64_BITS = range(-(2**63), 2**63)
"""Asked of plain integers only: with one of another type it would count."""
URL = re.compile(r"^[Hh][Tt][Tt][Pp][Ss]?://([^/?#\[\]]+|[^/?#\[\]]*\[[0-9A-Fa-f:.]+\](:[0-9]*)?)([/?#]|$)")
"""Absolute, with a host. What follows it is passed on as it is, blanks and all: nobody opens it here."""
UNSENDABLE = re.compile("[\0\ud800-\udfff]")
"""NUL and lone surrogates: they can be neither stored nor sent."""


class Wire(fields.Field[Any]):
    """A field with one wire form. Absent attributes stay absent; `id`s are required."""

    as_is: tuple[type, Callable[[Any], object]] | None = None
    """A value of exactly this type that passes the test is its own wire form: `wire` need not be asked."""

    def wire(self, value: Any) -> Any:
        """The JSON value to send; raises ValidationError."""
        raise NotImplementedError

    def python(self, wired: Any) -> Any:
        """What a load gives for a wire value."""
        return wired

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else self.wire(value)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        return self.python(self.wire(value))


class Integer(Wire):
    """A JSON integer: no booleans, no digits in strings, within 64 bits."""

    as_is = (int, _64_BITS.__contains__)

    def wire(self, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValidationError("not an integer")
        if not -(2**63) <= value < 2**63:
            raise ValidationError("beyond 64 bits")
        return int(value)


class String(Wire):
    """A JSON string, of one of `choices` if there are any. NUL and lone surrogates cannot be stored or sent."""

    def __init__(self, *, choices: Iterable[str] = (), **options: Any) -> None:
        super().__init__(**options)
        self.choices = frozenset(choices)
        # NUL and surrogates are not printable, and most texts are.
        self.as_is = (str, self.choices.__contains__ if self.choices else str.isprintable)

    def wire(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("not a string")
        if UNSENDABLE.search(value):
            raise ValidationError("holds a NUL or a lone surrogate")
        if self.choices and value not in self.choices:
            raise ValidationError(f"is not included in the list; allowed: {', '.join(sorted(self.choices))}")
        return str.__str__(value)  # str() would give the name of a member of a `(str, Enum)`, not its value


class Boolean(Wire):
    """`true` or `false`, nothing that is merely truthy."""

    as_is = (bool, frozenset((False, True)).__contains__)

    def wire(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("not a boolean")
        return value


class Number(Wire):
    """A JSON number, such as a VAT rate. A Decimal is sent as a number too."""

    def wire(self, value: Any) -> int | float:
        if isinstance(value, bool) or not isinstance(value, _NUMBERS):
            raise ValidationError("not a number")
        try:
            fine = -1e300 < value < 1e300
        except InvalidOperation:  # a Decimal that is NaN has no order
            fine = False
        if not fine:
            raise ValidationError("not a finite number")
        if isinstance(value, Decimal):
            return int(value) if value == value.to_integral_value() else float(value)
        return value


class DecimalString(Wire):
    """A decimal number as a string with at least one fraction digit: "12100.0", "173.92"; numbers are accepted.

    `as_given` leaves a string's digits alone: API v3 shows whole retail prices without a fraction.
    """

    def __init__(self, *, as_given: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.as_given = as_given
        self.as_is = (str, (DECIMAL if as_given else FRACTION).match)

    def wire(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, _DECIMALS):
            raise ValidationError("not a decimal")
        text = value if type(value) is str else _digits(value)
        if not DECIMAL.match(text):
            raise ValidationError("not a decimal")
        if "." in text or (self.as_given and isinstance(value, str)):
            return text
        return f"{text}.0"

    def python(self, wired: str) -> Decimal | str:
        return wired if self.as_given else Decimal(wired)


def _digits(value: str | int | float | Decimal) -> str:
    """A number in plain digits; "" where there are too many, as 1E+999999999 written out would fill the memory."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__repr__(value) if -(10**30) < value < 10**30 else ""
    number = Decimal(float.__repr__(value)) if isinstance(value, float) else value
    return format(number, "f") if -31 < number.adjusted() < 30 else ""


class Date(Wire):
    """`2024-06-13`."""

    def wire(self, value: Any) -> str:
        if isinstance(value, str):
            return _date(value)
        if isinstance(value, datetime):
            raise ValidationError("a date and time, not a date")
        if isinstance(value, date):
            return value.isoformat()
        raise ValidationError("not a date")

    def python(self, wired: str) -> date:
        return date.fromisoformat(wired)


def _date(text: str) -> str:
    """The date again, in the one form that it is written in: Python reads others too."""
    try:
        if date.fromisoformat(text).isoformat() == text:
            return str.__str__(text)
    except ValueError:
        pass
    raise ValidationError("not a date")


class DateTime(Wire):
    """`2024-06-13T14:06:20.743+02:00`: three fraction digits and the offset of the account's time zone."""

    def wire(self, value: Any) -> str:
        if isinstance(value, str):
            return rewritten(value, time_zone.get())
        if not isinstance(value, datetime):
            raise ValidationError(NOT_A_MOMENT)
        return render_datetime(value, time_zone.get())

    def python(self, wired: str) -> datetime:
        return datetime.fromisoformat(wired)


def render_datetime(value: datetime, zone: ZoneInfo) -> str:
    """A datetime in `zone`; raises ValidationError if it is naive, or if the zone carries it out of the calendar.

    In UTC where the zone's offset had seconds then, as before there were standard times: RFC 3339 has none.
    """
    return _moved(value, zone).isoformat(timespec="milliseconds")


def _moved(value: datetime, zone: ZoneInfo) -> datetime:
    if value.utcoffset() is None:  # astimezone would take it for the local time of this machine
        raise ValidationError("needs a time zone")
    try:
        there = value.astimezone(zone)
        if there.year < _WHOLE_MINUTES and there.strftime("%z")[5:]:
            return value.astimezone(UTC)
        return there
    except (OverflowError, ValueError):
        raise ValidationError("out of range") from None


def rewritten(text: str, zone: ZoneInfo) -> str:
    """A written datetime as `render_datetime` would write it; raises ValidationError."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise ValidationError(NOT_A_MOMENT) from None
    there = _moved(value, zone)
    if _WRITTEN.match(text) and there.time() == value.time():
        return str.__str__(text)  # the same wall clock, so the same offset: writing it costs more than all else
    return there.isoformat(timespec="milliseconds")


class Url(String):
    """An absolute http or https URL."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.as_is = None

    def wire(self, value: Any) -> str:
        text = super().wire(value)
        if not URL.match(text):
            raise ValidationError("not a URL")
        return text


class Uuid(Wire):
    """A lower-case UUID."""

    def wire(self, value: Any) -> str:
        try:
            return str(value if isinstance(value, UUID) else UUID(value))
        except (ValueError, TypeError, AttributeError):
            raise ValidationError("not a UUID") from None

    def python(self, wired: str) -> UUID:
        return UUID(wired)


class Shape(fields.Nested):
    """A nested object, or with `many` an array of them."""


class Items(fields.List[Any]):
    """An array of plain values."""


class WireSchema(Schema):
    """A JSON object: attributes in the documented order, unknown ones refused on load, absent ones left out."""

    class Meta:
        """Options."""

        unknown = "raise"
