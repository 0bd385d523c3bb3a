"""The types of plain values: one wire form each, checked the same way when it is loaded and when it is dumped."""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from marshmallow import ValidationError
from marshmallow.validate import Range

from dispatcher.schemas.wire.fields.attribute import JsonSchema, Wire
from dispatcher.schemas.wire.fields.text import DECIMAL, EXAMPLES, FRACTION, PLAIN_URL, UNSENDABLE, URL
from dispatcher.schemas.wire.fields.times import NOT_A_MOMENT, render_datetime, rewritten, time_zone

_NUMBERS = (int, float, Decimal)  # tuples: a union written in the call would be built each time
_DECIMALS = (str, *_NUMBERS)
_MIN, _MAX = -(2**63), 2**63 - 1
_64_BITS = range(_MIN, _MAX + 1)
"""Asked of plain integers only: with one of another type it would count."""


def _limited(kind: type, **limits: Any) -> Any:
    from msgspec import Meta  # noqa: PLC0415 -- see `Attribute.msgspec_type`

    return Annotated[kind, Meta(**limits)]


class Integer(Wire):
    """A JSON integer: no booleans, no digits in strings, within 64 bits."""

    as_is = (int, _64_BITS.__contains__)

    def wire(self, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValidationError("not an integer")
        if not -(2**63) <= value < 2**63:
            raise ValidationError("beyond 64 bits")
        return int(value)

    def json_schema(self, refs: str) -> JsonSchema:
        bounds = next((check for check in self.validators if isinstance(check, Range)), Range(_MIN, _MAX))
        return {"type": "integer", "minimum": bounds.min, "maximum": bounds.max}

    def example(self, name: str) -> int:
        return 14 if name == "due" else 1

    def msgspec_type(self) -> Any:
        return _limited(int, ge=_MIN, le=_MAX)


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

    def json_schema(self, refs: str) -> JsonSchema:
        return {"type": "string", "enum": sorted(self.choices)} if self.choices else {"type": "string"}

    def example(self, name: str) -> str:
        return min(self.choices) if self.choices else EXAMPLES.get(name, name.replace("_", " "))

    def msgspec_type(self) -> Any:
        return Literal[tuple(sorted(self.choices))] if self.choices else str


class Boolean(Wire):
    """`true` or `false`, nothing that is merely truthy."""

    as_is = (bool, frozenset((False, True)).__contains__)
    form: ClassVar = {"type": "boolean"}
    sample = False
    decoded_as = bool

    def wire(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("not a boolean")
        return value


class Number(Wire):
    """A JSON number, such as a VAT rate. A Decimal is sent as a number too."""

    form: ClassVar = {"type": "number"}
    sample = 21

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

    def msgspec_type(self) -> Any:
        return _limited(int, ge=_MIN, le=_MAX) | _limited(float, gt=-1e15, lt=1e15)  # larger ones are spelt otherwise


class DecimalString(Wire):
    """A decimal number as a string with at least one fraction digit: "12100.0", "173.92"; numbers are accepted.

    `verbatim` leaves a string's digits alone: API v3 shows whole retail prices without a fraction.
    """

    def __init__(self, *, verbatim: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.verbatim = verbatim
        self.as_is = (str, (DECIMAL if verbatim else FRACTION).match)

    def wire(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, _DECIMALS):
            raise ValidationError("not a decimal")
        text = value if type(value) is str else _digits(value)
        if not DECIMAL.match(text):
            raise ValidationError("not a decimal")
        if "." in text or (self.verbatim and isinstance(value, str)):
            return text
        return f"{text}.0"

    def python(self, wired: str) -> Decimal | str:
        return wired if self.verbatim else Decimal(wired)

    def json_schema(self, refs: str) -> JsonSchema:
        fraction = r"(\.[0-9]{1,30})?" if self.verbatim else r"\.[0-9]{1,30}"
        return {"type": "string", "pattern": f"^-?[0-9]{{1,30}}{fraction}$"}

    def example(self, name: str) -> str:
        return "1.0" if name in ("quantity", "exchange_rate") else "12100.0"

    def msgspec_type(self) -> Any:
        return _limited(str, pattern="^" + (DECIMAL if self.verbatim else FRACTION).pattern)


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

    form: ClassVar = {"type": "string", "format": "date"}
    sample = "2024-06-13"
    decoded_as = date

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

    form: ClassVar = {"type": "string", "format": "date-time"}
    sample = "2024-06-13T14:06:20.743+02:00"
    decoded_as = str
    after_decoding = staticmethod(rewritten)

    def wire(self, value: Any) -> str:
        if isinstance(value, str):
            return rewritten(value)
        if not isinstance(value, datetime):
            raise ValidationError(NOT_A_MOMENT)
        return render_datetime(value, time_zone.get())

    def python(self, wired: str) -> datetime:
        return datetime.fromisoformat(wired)


class Url(String):
    """An absolute http or https URL."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.as_is = (str, PLAIN_URL.match)

    def wire(self, value: Any) -> str:
        text = super().wire(value)
        if not URL.match(text):
            raise ValidationError("not a URL")
        return text

    def json_schema(self, refs: str) -> JsonSchema:
        return {"type": "string", "pattern": URL.pattern}

    def example(self, name: str) -> str:
        return f"https://example.com/{name.removesuffix('_url')}"

    def msgspec_type(self) -> Any:
        return _limited(str, pattern=PLAIN_URL.pattern)


class Uuid(Wire):
    """A lower-case UUID."""

    form: ClassVar = {"type": "string", "format": "uuid"}
    sample = "0190163d-8694-739b-aea5-966c26f8ad91"
    decoded_as = UUID

    def wire(self, value: Any) -> str:
        try:
            return str(value if isinstance(value, UUID) else UUID(value))
        except (ValueError, TypeError, AttributeError):
            raise ValidationError("not a UUID") from None

    def python(self, wired: str) -> UUID:
        return UUID(wired)
