"""The newest deliveries as they come: a page that asks again every 2 s, for 10 minutes.

What it costs does not grow with those who watch. A process reads a list once for all who watch the same, at most once
a second, and no more often than a tenth of one thread's time allows; one list at a time, and whoever comes meanwhile
keeps what they see. No connection stays open, so no thread is taken.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Response, request
from markupsafe import Markup

from dispatcher import clock
from dispatcher.api.http import container
from dispatcher.api.query import PAGE_SIZE, one_of, row_id, webhook_id
from dispatcher.clock import monotonic
from dispatcher.console import filters
from dispatcher.console.formatting import zone
from dispatcher.console.page import account, blueprint, page, person, visible
from dispatcher.schemas import active
from dispatcher.storage.reads import delivery_pages

EVERY_S, ENDS_S = 2, 600
_FRESH_S, _SHARE = 1.0, 10
_LISTS = 64
"""Kept by a process."""
_FILTERS: Mapping[str, Callable[[str], object]] = {
    "webhook_id": webhook_id,
    "event_name": lambda text: one_of(active().names)(text),
    "state": one_of(filters.STATES),
}


@dataclass(frozen=True, slots=True)
class _Kept:
    text: str = field(repr=False)
    until_s: float

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


_kept: dict[tuple[object, ...], _Kept] = {}
_reading = threading.Lock()


@blueprint.route("/accounts/<slug>/deliveries/live", endpoint="live")
def show() -> Response:
    """The page, which begins with what there is."""
    return page("live.html", **_part(_rows() or _Kept("", 0.0), int(clock.now().timestamp()) + ENDS_S))


@blueprint.route("/accounts/<slug>/deliveries/live/rows", endpoint="live_rows")
def newest() -> Response:
    """The part that changes; nothing (204) where it has not changed since `seen`, or another list is being read."""
    kept, ends = _rows(), filters.field("ends", row_id, {}) or 0
    has_ended = clock.now().timestamp() >= ends
    if not has_ended and (kept is None or kept.digest == request.args.get("seen")):
        return Response(status=204)  # htmx leaves the page as it is
    return page("live_part.html", **_part(kept or _Kept("", 0.0), ends), has_ended=has_ended)


def _part(kept: _Kept, ends: int) -> dict[str, Any]:
    query = {name: text for name in _FILTERS if (text := request.args.get(name))}
    return {"rows": Markup(kept.text), "seen": kept.digest, "query": query, "ends": ends, "every_s": EVERY_S}  # noqa: S704 - a template's


def _rows() -> _Kept | None:
    """None where another list is being read, and this one is not known yet."""
    problems: dict[str, str] = {}
    criteria: dict[str, Any] = {name: filters.field(name, parse, problems) for name, parse in _FILTERS.items()}
    viewer = (person().account is None, person().may_write, zone().key)
    key = (request.blueprint, account().id, *viewer, *criteria.values())
    kept, began_s = _kept.get(key), monotonic()
    if kept is not None and began_s < kept.until_s:
        return kept
    if not _reading.acquire(blocking=False):
        return kept
    try:
        newest = container().storage.transact(delivery_pages.page, account().slug, limit=PAGE_SIZE, **criteria)
        text = page("live_rows.html", deliveries=[visible(one) for one in newest.deliveries]).get_data(as_text=True)
        now_s = monotonic()
        if len(_kept) >= _LISTS:
            _kept.clear()
        _kept[key] = _Kept(text, now_s + max(_FRESH_S, _SHARE * (now_s - began_s)))
        return _kept[key]
    finally:
        _reading.release()
