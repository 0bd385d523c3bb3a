"""Search: a thing of the account by any of its ids, or events by a text in their body, in a time range."""

import json
import threading
from collections.abc import Sequence
from datetime import datetime
from functools import cache, partial
from typing import Any

from flask import Response, request

from dispatcher.api.http import container
from dispatcher.api.query import PAGE_SIZE, row_id
from dispatcher.console import filters
from dispatcher.console.events import resource_of
from dispatcher.console.page import account, blueprint, page, person
from dispatcher.representations import event_without_personal
from dispatcher.storage.engine import Connection
from dispatcher.storage.reads import events, search
from dispatcher.storage.reads.events import EmittedEvent
from dispatcher.storage.reads.search import LARGEST_BODY, TextSearch

_LONGEST, _SHORTEST = 200, 3
"""Characters of a text that is searched for in bodies."""


@blueprint.route("/accounts/<slug>/search", endpoint="search")
def find() -> Response:
    """What has that id; where nothing has, or with `text`, the events that contain it."""
    problems: dict[str, str] = {}
    text = request.args.get("q", "").strip().replace("\0", "")[:_LONGEST]
    since, until = (filters.field(name, filters.local_moment, problems) for name in ("since", "until"))
    before = filters.field("before", row_id, problems)
    shown: dict[str, Any] = {"q": text, "since": since, "until": until, "problems": problems, "before": before}
    if not text or problems:
        return page("search.html", **shown)
    hits = container().storage.read(search.by_id, account().id, text)
    if hits and not request.args.get("text"):
        return page("search.html", **shown, hits=hits)
    if len(text) < _SHORTEST:
        problems["q"] = f"must have at least {_SHORTEST} characters to be searched for in bodies"
        return page("search.html", **shown, hits=hits)
    if not _slots().acquire(blocking=False):
        return page("search.html", 503, **shown, hits=hits, problem=_BUSY)
    try:
        outcome, matches = container().storage.transact(_by_text, text, since, until, before)
    finally:
        _slots().release()
    return page(
        "search.html",
        **shown,
        hits=hits,
        outcome=outcome,
        events=matches,
        resources={one.id: resource_of(one) for one in matches},
        largest=LARGEST_BODY,
    )


_BUSY = "Too many searches are running. Try again in a moment."


@cache
def _slots() -> threading.BoundedSemaphore:
    """Searches by text at a time in this process: such a one takes seconds, and other pages need threads meanwhile."""
    return threading.BoundedSemaphore(max(1, container().settings.web_threads // 4))


def _by_text(
    connection: Connection, text: str, since: datetime | None, until: datetime | None, before: int | None
) -> tuple[TextSearch, list[EmittedEvent]]:
    keep = list if person().sees_personal else partial(_unmasked, connection, text)
    outcome = search.by_text(connection, account().id, text, since=since, until=until, before=before, keep=keep)
    return outcome, events.page(connection, account().id, ids=outcome.ids) if outcome.ids else []


def _unmasked(connection: Connection, text: str, ids: Sequence[int]) -> list[int]:
    """Those that contain it outside of masked fields: also the number of the others would tell what is masked."""
    some = (ids[start : start + PAGE_SIZE] for start in range(0, len(ids), PAGE_SIZE))
    emitted = (one for few in some for one in events.page(connection, account().id, ids=few))
    return [one.id for one in emitted if text.lower() in _text(event_without_personal(one)).lower()]


def _text(event: EmittedEvent) -> str:
    return json.dumps(event.body, ensure_ascii=False, separators=(",", ":"))
