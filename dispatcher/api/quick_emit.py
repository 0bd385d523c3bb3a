"""The quick way for what nearly every POST of events is: plain headers, a token that may, events that are in order.

It stands before Flask and answers 202, exactly as the route in `events.py` would. Whatever looks otherwise it leaves to
the application, with what it found out so far. Requests that come together share the look for who calls, and the
commit.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from marshmallow import ValidationError

from dispatcher.api import emitting
from dispatcher.api.auth import PREFIX, QUICK, Quick, quota_headers
from dispatcher.api.batcher import Batcher
from dispatcher.api.parts import parsed, text_of
from dispatcher.errors import EventRefused, RequestRefused, StorageUnavailable
from dispatcher.flow.admit import Admitted
from dispatcher.flow.record_event import drafts_of
from dispatcher.model.event import Event, EventDraft
from dispatcher.services import Services
from dispatcher.storage.events import Emit
from schemas import EventInvalid

BODY_QUICK = 512 * 1024
"""Bytes: the event loop stands still while events are checked, for 0.02 ms each, or 0.1 for a closer look."""
CALLERS_MOST, EVENTS_MOST = 100, 1_000
"""In one query, and in one commit."""

_PATH = re.compile(rf"{PREFIX}/accounts/([A-Za-z0-9_-]+)/events\.json")
_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?")
_TOKEN = re.compile(r"Bearer ([0-9a-f]+)")
_TYPES = ("application/json", "application/json; charset=utf-8", "application/json;charset=utf-8")
_ACCEPTED = ("*/*", "application/json")

_REFUSALS = (RequestRefused, ValidationError, EventInvalid, EventRefused)
"""What is wrong is told by the route, in full. Nothing was stored."""


class Answer(NamedTuple):
    """Of a request."""

    status: int
    headers: list[tuple[str, str]]
    text: bytes


class QuickEmit:
    """For one event loop."""

    def __init__(self, own: Services) -> None:
        self._own = own
        self._callers: Batcher[str, Admitted | None] = Batcher(
            "admit", own.admit, most=CALLERS_MOST, for_all=StorageUnavailable
        )
        self._commits: Batcher[Emit, list[Event] | None] = Batcher(
            "commit", own.emit_together, most=EVENTS_MOST, for_all=StorageUnavailable
        )

    async def answer(self, environ: dict[str, Any], body: bytes) -> Answer | None:
        """The answer; None: the application shall find it, for `environ`, in which it is told what is known by now."""
        slug, token = _ordinary(environ)
        if slug is None or token is None or len(body) > BODY_QUICK or self._own.settings.tracing:
            return None
        try:
            admitted = await self._callers.do(token)
        except StorageUnavailable as error:  # it would be as unavailable to the application, after as long a wait
            environ[QUICK] = Quick(error)
            return None
        except Exception:  # the application asks again, and knows what to answer
            return None
        if admitted is None:
            return None
        environ[QUICK] = Quick(admitted)
        caller, allowance = admitted
        if allowance.exceeded or caller.account.slug != slug or "events:write" not in caller.scopes:
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
        text = text_of(emitting.receipt(stored, caller.account.time_zone, is_array=is_array))
        headers = {"Content-Type": "application/json", "Content-Length": str(len(text)), **quota_headers(allowance)}
        return Answer(202, list(headers.items()), text)


def _drafts(body: bytes, key: str | None, time_zone: str) -> tuple[list[EventDraft], bool]:
    """The events in a body, and whether they are an array; raises one of _REFUSALS."""
    found = emitting.drafts_from_json(body, key, time_zone)
    if found is not None:
        return found
    items, is_array = emitting.items(parsed(body), key)
    return drafts_of([emitting.new_event(item) for item in items], time_zone), is_array


def _ordinary(environ: dict[str, Any]) -> tuple[str | None, str | None]:
    """The slug and the token of an emit about whose headers there is nothing to say; else one of them is None."""
    get: Callable[[str, str], str] = environ.get  # all that is asked for here are texts
    path = _PATH.fullmatch(get("PATH_INFO", ""))
    token = _TOKEN.fullmatch(get("HTTP_AUTHORIZATION", ""))
    if (
        path is None
        or token is None
        or get("REQUEST_METHOD", "") != "POST"
        or not get("HTTP_USER_AGENT", "").strip()
        or not _HOST.fullmatch(get("HTTP_HOST", ""))
        or get("HTTP_ACCEPT", "*/*") not in _ACCEPTED
        or get("CONTENT_TYPE", "").lower() not in _TYPES
    ):
        return None, None
    return path[1], token[1]
