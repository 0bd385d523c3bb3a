"""Valid values, built from the schemas' own fields: what a service may hand over."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from dispatcher.schemas.api_v3 import EVENT_TYPES
from dispatcher.schemas.wire.fields import (
    Boolean,
    Date,
    DateTime,
    DecimalString,
    Integer,
    Items,
    Number,
    Shape,
    String,
    Url,
    Uuid,
)

ZONES = (
    "Europe/Prague",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "UTC",
)

BODIES = list({tuple(event.keys.values()): name for name, event in EVENT_TYPES.items()}.values())
"""One event for each body that differs from the others'."""

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
decimals = st.decimals(-(10**20), 10**20, places=6)
small_floats = st.floats(-1e20, 1e20).filter(lambda number: number == 0 or abs(number) > 1e-9)
zones = st.one_of(
    st.sampled_from(ZONES).map(ZoneInfo),
    st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
datetimes = st.datetimes(timezones=zones, allow_imaginary=True)


def is_in_the_calendar(moment: datetime) -> bool:
    """Whether any zone can write it."""
    return 2 <= moment.year <= 9998


moments = datetimes.filter(is_in_the_calendar)

PLAIN = {
    Integer: st.integers(-(2**63), 2**63 - 1),
    Boolean: st.booleans(),
    Number: st.one_of(st.integers(-1000, 1000), st.floats(-1e6, 1e6), st.decimals(-100, 100, places=2)),
    DecimalString: st.one_of(decimals, decimals.map(str), small_floats, st.integers(-(10**15), 10**15)),
    Date: st.one_of(st.dates(), st.dates().map(str)),
    DateTime: st.one_of(moments, moments.map(lambda moment: moment.isoformat())),
    Url: st.builds("https://{}.example/{}".format, st.sampled_from("abc"), st.integers(0, 99)),
    Uuid: st.one_of(st.uuids(), st.uuids().map(str)),
}


def values(field: Any) -> st.SearchStrategy[Any]:
    """Values that `field` accepts, null among them where it may come."""
    if isinstance(field, Shape):
        strategy: st.SearchStrategy[Any] = objects(field.schema)
        strategy = st.lists(strategy, max_size=2) if field.many else strategy
    elif isinstance(field, Items):
        strategy = st.lists(values(field.inner), max_size=3)
    elif type(field) is String:
        strategy = st.sampled_from(sorted(field.choices)) if field.choices else texts
    else:
        strategy = PLAIN[type(field)]
    return st.none() | strategy if field.allow_none else strategy


def objects(schema: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Dicts of one shape: the required attributes, and any of the others."""
    required = {name: values(field) for name, field in schema.fields.items() if field.required}
    optional = {name: values(field) for name, field in schema.fields.items() if not field.required}
    return st.fixed_dictionaries(required, optional=optional)


def bodies(event_name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies of an event, with all the keys that it must have."""
    return st.fixed_dictionaries(
        {
            key: st.lists(objects(shape.inner), max_size=2) if shape.many else objects(shape.inner)
            for key, shape in EVENT_TYPES[event_name].keys.items()
        }
    )


def as_decimal(value: Any) -> Decimal:
    """The exact value of what a decimal field accepts."""
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
