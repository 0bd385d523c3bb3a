"""How things are written on a page: times, spans, numbers, URLs and states."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Flask, g, request
from markupsafe import Markup

from dispatcher import clock
from dispatcher.model.attempt import is_success
from dispatcher.model.webhook import POLL_URL
from dispatcher.phrases import counted, number, span

_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*\Z")
"""Other names are never sought among the system's files."""


def ago(at: datetime | None) -> Markup | str:
    """`3 min ago` or `in 20 s`, with the time itself in its title."""
    if at is None:
        return "–"
    seconds = (clock.now() - at).total_seconds()
    text = f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"
    return _time(at, text)


def when(at: datetime | None) -> Markup | str:
    """`24 Nov 2026 16:05:12`, in the viewer's time zone."""
    return "–" if at is None else _time(at, at.astimezone(zone()).strftime("%-d %b %Y %H:%M:%S"))


def words(value: str | Sequence[object] | None) -> str:
    """A word, or several as they are written into a field of a form."""
    return value if isinstance(value, str) else ", ".join(map(str, value or ()))


def short_url(url: str) -> str:
    """Host and path; of a query, which may hold a receiver's token, only `?…`."""
    if url == POLL_URL:
        return "polled"
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}" + ("?…" if parts.query else "")


def without_query(url: str) -> str:
    """As `short_url`, with the scheme."""
    return f"{urlsplit(url).scheme}://{short_url(url)}"


def local_input(at: datetime | None) -> str:
    """As the value of an `<input type=datetime-local>`."""
    return "" if at is None else at.astimezone(zone()).strftime("%Y-%m-%dT%H:%M")


ZONE_COOKIE = "console_zone"
OF_ACCOUNT = "account"
"""In the place of a name: times are shown in each account's own."""


def zone() -> ZoneInfo:
    """The viewer's; where they have none, or want that, the account's, and UTC on pages of all accounts."""
    return known_zone(request.cookies.get(ZONE_COOKIE, "")) or _zone_of_page()


def known_zone(name: str) -> ZoneInfo | None:
    """The time zone of that name, or None."""
    try:
        return ZoneInfo(name) if _ZONE.match(name) and name != OF_ACCOUNT else None
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return None


def _zone_of_page() -> ZoneInfo:
    return ZoneInfo(g.account.time_zone if g.get("account") is not None else "UTC")


def as_json(value: Any) -> str:
    """On one line."""
    return json.dumps(value, ensure_ascii=False)


def kind(value: Any) -> str:
    """Of parsed JSON: `object`, `array` or `plain`."""
    return "object" if isinstance(value, Mapping) else "array" if isinstance(value, list | tuple) else "plain"


def register(app: Flask) -> None:
    """Registers them as filters of the templates."""
    for filter_ in (
        span,
        ago,
        when,
        number,
        counted,
        words,
        short_url,
        without_query,
        local_input,
        as_json,
        kind,
        is_success,
    ):
        app.jinja_env.filters[filter_.__name__] = filter_


def _time(at: datetime, text: str) -> Markup:
    exact = at.astimezone(zone())
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.astimezone(UTC).isoformat(timespec="milliseconds"), exact.strftime("%-d %b %Y %H:%M:%S %Z"), text
    )
