"""The quick way for what nearly every POST of events is: plain headers, a token that may, events that are in order.

It stands before Flask and answers 202, exactly as the route in `events.py` would. Whatever looks otherwise it leaves to
the application, with what it found out so far. Requests that come together share the commit.
"""

import re
from collections.abc import Callable
from typing import Any

from marshmallow import ValidationError

from dispatcher.access.authenticate import Admitted
from dispatcher.api import emitting
from dispatcher.api.auth import QUICK, Quick, quota_headers
from dispatcher.api.parts import Answer, json_answer, parsed
from dispatcher.container import Container
from dispatcher.errors import ApiError, InvalidEventAttribute, StorageUnavailable
from dispatcher.model.event import Event, EventDraft
from dispatcher.pipeline.emit import drafts_of
from dispatcher.storage.pipeline.events import Emit
from dispatcher.web.batcher import Batcher
from dispatcher.web.callers import EMIT_PATH
from schemas import InvalidEvent

BODY_QUICK = 512 * 1024
"""Bytes: the event loop stands still while events are checked, for 0.02 ms each, or 0.1 for a closer look."""
EVENTS_MOST = 1_000
"""In one commit."""

_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?")
_TYPES = ("application/json", "application/json; charset=utf-8", "application/json;charset=utf-8")
_ACCEPTED = ("*/*", "application/json")

_REFUSALS = (ApiError, ValidationError, InvalidEvent, InvalidEventAttribute)
"""What is wrong is told by the route, in full. Nothing was stored."""


class QuickEmit:
    """For one event loop."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._commits: Batcher[Emit, list[Event] | None] = Batcher(
            "commit", container.emit_together, most=EVENTS_MOST, for_all=StorageUnavailable
        )

    async def answer(self, environ: dict[str, Any], body: bytes, admitted: Admitted) -> Answer | None:
        """The answer; None: the application shall find it, for `environ`, in which it is told what is known by now."""
        caller, allowance = admitted
        slug = _slug(environ)
        if slug is None or len(body) > BODY_QUICK or self._container.settings.tracing:
            return None
        if caller.account.slug != slug or "events:write" not in caller.scopes:
            return None
        try:
            drafts, is_array = _drafts(body, environ.get("HTTP_IDEMPOTENCY_KEY"), caller.account.time_zone)
        except _REFUSALS:
            return None
        try:
            stored = await self._commits.do(Emit(caller.account.id, drafts), len(drafts))
        except Exception as error:  # the application knows what to answer
            environ[QUICK] = Quick(admitted, error)
            return None
        if stored is None:  # it waits for another emit of its key
            return None
        receipt = emitting.receipt(stored, caller.account.time_zone, is_array=is_array)
        return json_answer(202, receipt, quota_headers(allowance))


def _drafts(body: bytes, key: str | None, time_zone: str) -> tuple[list[EventDraft], bool]:
    """The events in a body, and whether they are an array; raises one of _REFUSALS."""
    found = emitting.drafts_from_json(body, key, time_zone)
    if found is not None:
        return found
    items, is_array = emitting.items(parsed(body), key)
    return drafts_of([emitting.new_event(item) for item in items], time_zone), is_array


def _slug(environ: dict[str, Any]) -> str | None:
    """The account of an emit about whose headers there is nothing to say; else None."""
    get: Callable[[str, str], str] = environ.get  # all that is asked for here are texts
    path = EMIT_PATH.fullmatch(get("PATH_INFO", ""))
    if (
        path is None
        or get("REQUEST_METHOD", "") != "POST"
        or not get("HTTP_USER_AGENT", "").strip()
        or not _HOST.fullmatch(get("HTTP_HOST", ""))
        or get("HTTP_ACCEPT", "*/*") not in _ACCEPTED
        or get("CONTENT_TYPE", "").lower() not in _TYPES
    ):
        return None
    return path[1]
