"""Datetimes in the account's time zone."""

import re
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from marshmallow import ValidationError

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


NAIVE = "needs a time zone"
NOT_A_MOMENT = "not a date and time, such as 2024-06-13T14:06:20.743+02:00 (ISO 8601)"
_WRITTEN = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3])(:[0-9]{2}){2}\.[0-9]{3}(\+|-(?!00:00))[0-9]{2}:[0-9]{2}\Z"
)
"""A datetime in the form that we write; `-00:00` and `24:00` are not in it."""
_WHOLE_MINUTES = 1973
"""From this year on every zone's offset is in whole minutes; Liberia's was the last that was not."""


def render_datetime(value: datetime, zone: ZoneInfo) -> str:
    """A datetime in `zone`; raises ValidationError if it is naive, or if the zone carries it out of the calendar.

    In UTC where the zone's offset had seconds then, as before there were standard times: RFC 3339 has none.
    """
    if value.utcoffset() is None:
        raise ValidationError(NAIVE)
    return _moved(value, zone).isoformat(timespec="milliseconds")


def _moved(value: datetime, zone: ZoneInfo) -> datetime:
    """Not for naive ones: astimezone would take them for the local time of this machine."""
    try:
        if value.tzinfo is zone:  # astimezone would leave it as it is, even an hour that the clock skipped
            value = value.astimezone(UTC)
        there = value.astimezone(zone)
        if there.year < _WHOLE_MINUTES and there.strftime("%z")[5:]:
            return value.astimezone(UTC)
        return there
    except (OverflowError, ValueError):
        raise ValidationError("out of range") from None


def rewritten(text: str) -> str:
    """A written datetime as `render_datetime` would write it in the zone that is set; raises ValidationError."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise ValidationError(NOT_A_MOMENT) from None
    if value.tzinfo is None:
        raise ValidationError(NAIVE)
    there = _moved(value, time_zone.get())
    if _WRITTEN.match(text) and there.time() == value.time() and there.day == value.day:
        return str.__str__(text)  # the same wall clock, so the same offset: writing it costs more than all else
    return there.isoformat(timespec="milliseconds")
