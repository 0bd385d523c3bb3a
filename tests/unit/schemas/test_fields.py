"""Each field has one wire form, whatever it is given; what has no such form is refused without being repeated."""

import enum
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import ValidationError

from dispatcher.schemas.wire.fields import (
    NOT_A_MOMENT,
    Boolean,
    Date,
    DateTime,
    DecimalString,
    Integer,
    Number,
    String,
    Url,
    Uuid,
    render_datetime,
    time_zone,
    written_in,
)
from tests.support.cases import each
from tests.unit.schemas.strategies import PLAIN, ZONES, as_decimal, datetimes, decimals, moments, small_floats, texts

REASONS = {
    *("not an integer", "beyond 64 bits", "not a string", "holds a NUL or a lone surrogate", "not a boolean"),
    *("not a number", "not a finite number", "not a decimal", "not a date", NOT_A_MOMENT, "needs a time zone"),
    *("not a URL", "not a UUID"),
}
PRAGUE = ZoneInfo("Europe/Prague")
WRITTEN_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+")
WRITTEN_DATETIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}[+-][0-9]{2}:[0-9]{2}")


class Colour(enum.StrEnum):
    RED = "red"


class OldColour(str, enum.Enum):  # noqa: UP042 - services have such ones
    RED = "red"


class Size(enum.IntEnum):
    BIG = 3


class Fancy(float):
    def __repr__(self) -> str:
        return f"Fancy({float(self)})"


def outcome(function: Callable[..., Any], *arguments: Any) -> tuple[Any, str | None]:
    """What is written and None, or None and why not."""
    try:
        return function(*arguments), None
    except ValidationError as error:
        return None, str(error.messages[0])


def refused(field: Any, value: Any) -> str | None:
    """Why `field` refuses `value`."""
    wired, reason = outcome(field.wire, value)
    assert wired is None
    return reason


def to_ms(moment: datetime) -> datetime:
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


# Decimals


@given(st.one_of(decimals, small_floats, st.integers(-(10**29), 10**29), decimals.map(str)))
@example(1e16)
@example(1e-7)
@example(-0.0)
@example(Decimal("1E+5"))
@example(Decimal("1E-30"))
@example(Decimal("-0"))
@example(Decimal("12100"))
@example(Decimal("12100.00"))
@example("007")
@example(10**30 - 1)
def test_a_decimal_has_a_fraction_no_exponent_and_its_exact_value(value: Any) -> None:
    wired = DecimalString().wire(value)

    assert WRITTEN_DECIMAL.fullmatch(wired)
    assert Decimal(wired) == as_decimal(value)


@given(PLAIN[DecimalString])
def test_a_written_decimal_is_written_again_as_it_is(value: Any) -> None:
    field = DecimalString()
    wired = field.wire(value)

    assert field.wire(wired) == field.wire(field.python(wired)) == wired


def test_a_decimal_keeps_the_digits_it_was_given() -> None:
    assert DecimalString().wire("12100.00") == DecimalString().wire(Decimal("12100.00")) == "12100.00"


@each("value", [Fancy(1.5), Decimal("1.5"), "1.5", 1.5])
def test_a_decimal_may_be_of_a_class_of_ones_own(value: object) -> None:
    assert DecimalString().wire(value) == "1.5"


def test_a_decimal_may_be_a_member_of_an_enumeration() -> None:
    assert DecimalString().wire(Size.BIG) == "3.0"


@each(
    "value",
    [
        *(
            True,
            False,
            [],
            {},
            b"1.0",
            1j,
            "",
            " ",
            "1.0 ",
            " 1.0",
            "1.0\n",
            "+1",
            "1e5",
            "1E+5",
            ".5",
            "5.",
            "1,5",
            "1_000",
        ),
        *(
            "NaN",
            "Infinity",
            "-",
            "１２.0",
            "0x1f",
            "1" * 31,
            "0." + "1" * 31,
            float("nan"),
            float("inf"),
            -float("inf"),
        ),
        *(Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("-Infinity"), 1e300, 5e-324, 10**30, -(10**30)),
    ],
)
def test_what_is_no_decimal_of_thirty_digits_is_refused(value: Any) -> None:
    assert refused(DecimalString(), value) == "not a decimal"


@each(
    "value",
    [Decimal("1E+999999999"), Decimal("1E-999999999"), Decimal("0E-999999999"), 10**5000, -(10**5000)],
)
def test_a_decimal_too_long_to_be_written_out_is_refused_before_it_is(value: Decimal | int) -> None:
    assert refused(DecimalString(), value) == "not a decimal"


@each(("value", "wired"), [("10", "10"), ("10.50", "10.50"), (10, "10.0"), (Decimal(10), "10.0"), (10.0, "10.0")])
def test_a_decimal_as_given_keeps_only_the_digits_of_a_string(value: object, wired: str) -> None:
    assert DecimalString(verbatim=True).wire(value) == wired


# Numbers


@given(PLAIN[Number])
def test_a_number_keeps_its_value_and_is_never_a_string(value: Any) -> None:
    wired = Number().wire(value)

    assert type(wired) in (int, float)
    assert wired == (float(value) if isinstance(value, Decimal) else value)


@each(("value", "wired"), [(Decimal(21), 21), (Decimal("21.0"), 21), (Decimal("12.5"), 12.5)])
def test_a_whole_decimal_is_a_whole_number(value: Decimal, wired: float) -> None:
    assert repr(Number().wire(value)) == repr(wired)


@each("value", ["21", True, [], b"21", 1j])
def test_what_is_no_number_is_refused(value: object) -> None:
    assert refused(Number(), value) == "not a number"


@each(
    "value",
    [
        *(float("nan"), float("inf"), -float("inf"), 1e301, 10**5000),
        *(Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("1E+999999999")),
    ],
)
def test_a_number_that_json_cannot_hold_is_refused(value: Any) -> None:
    assert refused(Number(), value) == "not a finite number"


# Integers, booleans, strings


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_of_64_bits_stays_as_it_is(value: int) -> None:
    assert Integer().wire(value) == value


@each("value", [2**63, -(2**63) - 1, 10**5000])
def test_an_integer_beyond_64_bits_is_refused(value: int) -> None:
    assert refused(Integer(), value) == "beyond 64 bits"


@each("value", [True, False, 1.0, "1", Decimal(1), b"1", [1]])
def test_what_only_looks_like_an_integer_is_refused(value: object) -> None:
    assert refused(Integer(), value) == "not an integer"


def test_a_member_of_an_enumeration_is_sent_as_its_value() -> None:
    assert type(Integer().wire(Size.BIG)) is int
    for value in (Colour.RED, OldColour.RED):
        wired = String(choices=("red",)).wire(value)
        assert (type(wired), wired) == (str, "red")


@each("value", [0, 1, "true", "", None, [], 1.0])
def test_a_boolean_is_nothing_that_is_merely_truthy(value: object) -> None:
    assert refused(Boolean(), value) == "not a boolean"


def test_a_boolean_stays_as_it_is() -> None:
    assert Boolean().wire(True) is True
    assert Boolean().wire(False) is False


@given(texts)
def test_a_string_stays_as_it_is(value: str) -> None:
    assert String().wire(value) == value


@given(texts, st.sampled_from(["\0", "\ud800", "\udbff", "\udc00", "\udfff", "\ud83d\ude00"]), texts)
def test_a_string_with_a_nul_or_a_surrogate_is_refused_without_being_repeated(
    before: str, bad: str, after: str
) -> None:
    assert refused(String(), before + bad + after) == "holds a NUL or a lone surrogate"


@each("value", [1, True, b"text", ["text"], date(2024, 6, 13)])
def test_what_is_no_string_is_refused(value: Any) -> None:
    assert refused(String(), value) == "not a string"


@each("value", ["green", "", "RED", "red "])
def test_a_string_with_choices_is_one_of_them(value: str) -> None:
    assert refused(String(choices=("red", "blue")), value) == "is not included in the list; allowed: blue, red"


# Dates and times


@given(st.dates())
def test_a_date_is_written_in_ten_characters(value: date) -> None:
    field = Date()
    wired = field.wire(value)

    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", wired)
    assert field.python(wired) == value
    assert field.wire(wired) == wired


@each(
    "value",
    [
        *("", "2024-6-13", "20240613", "2024-02-30", "2024-W24-4", "13.06.2024", "2024-06-13 ", "2024-06-13\n"),
        *("2024-06-13T10:00", "２０２４-06-13", 20240613, True, b"2024-06-13"),
    ],
)
def test_what_is_no_date_is_refused(value: Any) -> None:
    assert refused(Date(), value) == "not a date"


def test_a_datetime_is_no_date() -> None:
    assert refused(Date(), datetime(2024, 6, 13, tzinfo=UTC)) == "a date and time, not a date"


@given(moments, st.sampled_from(ZONES).map(ZoneInfo))
@example(datetime(2024, 10, 27, 2, 30, tzinfo=PRAGUE, fold=0), PRAGUE)
@example(datetime(2024, 10, 27, 2, 30, tzinfo=PRAGUE, fold=1), PRAGUE)
@example(datetime(2024, 3, 31, 2, 30, tzinfo=PRAGUE), ZoneInfo("UTC"))
@example(datetime(2024, 3, 31, 2, 30, tzinfo=PRAGUE), PRAGUE)
@example(datetime(2024, 6, 13, 14, 6, 20, 743_999, tzinfo=UTC), PRAGUE)
def test_a_datetime_is_the_same_instant_to_the_millisecond_in_the_zone(value: datetime, zone: ZoneInfo) -> None:
    wired = render_datetime(value, zone)
    read = datetime.fromisoformat(wired)

    assert WRITTEN_DATETIME.fullmatch(wired)
    assert to_ms(read) == to_ms(value)
    assert read.utcoffset() in (value.astimezone(UTC).astimezone(zone).utcoffset(), timedelta())


@each(
    ("zone", "value", "written"),
    [
        ("Europe/Prague", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000+00:00"),
        ("Europe/Prague", "1891-09-30T12:00:00+01:00", "1891-09-30T11:00:00.000+00:00"),
        ("Europe/Prague", "1891-10-01T12:00:00Z", "1891-10-01T13:00:00.000+01:00"),
        ("Africa/Monrovia", "1972-01-08T12:00:00Z", "1972-01-08T12:00:00.000+00:00"),
        ("America/New_York", "1880-01-01T12:00:00Z", "1880-01-01T12:00:00.000+00:00"),
        ("Africa/Monrovia", "1972-01-06T12:00:00Z", "1972-01-06T12:00:00.000+00:00"),
    ],
)
def test_where_a_zone_had_an_offset_with_seconds_utc_is_written(zone: str, value: str, written: str) -> None:
    for moment in (datetime.fromisoformat(value), value):
        token = time_zone.set(ZoneInfo(zone))
        try:
            wired = DateTime().wire(moment)
        finally:
            time_zone.reset(token)
        assert WRITTEN_DATETIME.fullmatch(wired)
        assert wired == written


@given(moments)
@example(datetime(2024, 3, 31, 2, 30, tzinfo=PRAGUE))
def test_a_written_datetime_is_written_again_as_it_is(value: datetime) -> None:
    field = DateTime()
    wired = field.wire(value)

    assert field.wire(wired) == field.wire(field.python(wired)) == wired


def test_a_datetime_is_written_in_the_zone_that_is_set() -> None:
    noon = datetime(2024, 6, 13, 12, tzinfo=UTC)
    token = time_zone.set(ZoneInfo("America/New_York"))
    try:
        assert DateTime().wire(noon) == "2024-06-13T08:00:00.000-04:00"
    finally:
        time_zone.reset(token)
    assert DateTime().wire(noon) == "2024-06-13T14:00:00.000+02:00"


@each("text", ["2024-06-13T12:00:00.000+14:00", "2024-06-12T12:00:00.000-10:00"])
def test_the_same_time_on_another_day_is_written_in_the_zone(text: str) -> None:
    with written_in("Pacific/Honolulu"):
        assert DateTime().wire(text) == "2024-06-12T12:00:00.000-10:00"


@given(st.datetimes())
def test_a_naive_datetime_is_refused(value: datetime) -> None:
    assert refused(DateTime(), value) == "needs a time zone"
    assert refused(DateTime(), value.isoformat()) == "needs a time zone"


@given(datetimes, st.sampled_from(ZONES).map(ZoneInfo))
@example(datetime.max.replace(tzinfo=UTC), PRAGUE)
@example(datetime.min.replace(tzinfo=UTC), ZoneInfo("America/New_York"))
def test_a_datetime_at_an_end_of_the_calendar_is_written_or_out_of_range(value: datetime, zone: ZoneInfo) -> None:
    wired, reason = outcome(render_datetime, value, zone)

    assert reason == "out of range" if wired is None else WRITTEN_DATETIME.fullmatch(wired)


@each("value", ["", "yesterday", "2024-06-13T25:00+02:00", 1718280380, True, date(2024, 6, 13), timedelta(1)])
def test_what_is_no_datetime_is_refused(value: Any) -> None:
    assert refused(DateTime(), value) == NOT_A_MOMENT


# URLs and UUIDs


@each(
    "value",
    [
        "http://example.com",
        "https://example.com:8443/a?b=c#d",
        "HTTPS://EXAMPLE.COM/",
        "https://[::1]/",
        "https://háček.cz/ž",
    ],
)
def test_a_url_stays_as_it_is(value: str) -> None:
    assert Url().wire(value) == value


@each(
    "value",
    [
        "",
        "/path",
        "example.com",
        "//example.com",
        "ftp://example.com",
        "javascript:alert(1)",
        "https:",
        "https:///a",
        "http://[::1",
    ],
)
def test_what_is_no_absolute_http_url_is_refused(value: str) -> None:
    assert refused(Url(), value) == "not a URL"


def test_a_url_is_a_string_first() -> None:
    assert refused(Url(), 5) == "not a string"
    assert refused(Url(), "https://example.com/\0") == "holds a NUL or a lone surrogate"


@given(st.uuids())
def test_a_uuid_is_written_in_lower_case(value: UUID) -> None:
    field = Uuid()

    assert field.wire(value) == field.wire(str(value).upper()) == str(value)
    assert field.python(field.wire(value)) == value == UUID(field.wire(value))


@each("value", ["", "b3518e74", "g3518e74-5c9f-4b26-a5e2-6a8021c94a77", 5, True, b"1" * 16, [], 1.5])
def test_what_is_no_uuid_is_refused(value: object) -> None:
    assert refused(Uuid(), value) == "not a UUID"


# All of them


@each("field", [Integer, String, Boolean, Number, DecimalString, Date, DateTime, Url, Uuid])
@given(
    value=st.one_of(
        st.text(), st.binary(), st.floats(), st.decimals(), st.integers(), st.lists(st.integers()), st.none()
    )
)
def test_a_field_writes_json_or_says_what_is_wrong_without_repeating_it(field: Any, value: Any) -> None:
    wired, reason = outcome(field().wire, value)

    assert reason in REASONS if wired is None else type(wired) in (int, float, bool, str)
