"""The quick way for what nearly every POST of events is: plain headers, a token that may, events that are in order.

It stands before Flask and answers 202, exactly as the route in `events.py` would. Whatever looks otherwise it leaves to
the application, with what it found out so far.
"""

import re
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import TYPE_CHECKING

from marshmallow import ValidationError

from dispatcher.api import emitting
from dispatcher.api.auth import PREFIX, QUICK, Quick, quota_headers
from dispatcher.api.parts import BODY_LIMIT, parsed, text_of
from dispatcher.errors import EventRefused, RequestRefused
from dispatcher.services import Services
from schemas import EventInvalid

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PATH = re.compile(rf"{PREFIX}/accounts/([A-Za-z0-9_-]+)/events\.json")
_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?")
_TOKEN = re.compile(r"Bearer ([0-9a-f]+)")
_LENGTH = re.compile(r"[0-9]{1,7}")
_TYPES = ("application/json", "application/json; charset=utf-8", "application/json;charset=utf-8")
_ACCEPTED = ("*/*", "application/json")

_REFUSALS = (RequestRefused, ValidationError, EventInvalid, EventRefused)
"""What is wrong is told by the route, in full. Nothing was stored."""


class QuickEmit:
    """A WSGI application before `app`."""

    def __init__(self, app: "WSGIApplication", own: Services) -> None:
        self._app = app
        self._own = own

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answers, or lets `app` answer."""
        slug, token = _ordinary(environ)
        admitted = self._own.admit(token) if slug and token else None
        if admitted is None:
            return self._app(environ, start_response)
        environ[QUICK] = Quick(admitted)
        caller, allowance = admitted
        if allowance.exceeded or caller.account.slug != slug or "events:write" not in caller.scopes:
            return self._app(environ, start_response)
        data = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = BytesIO(data)
        try:
            items, is_array = emitting.items(parsed(data), environ.get("HTTP_IDEMPOTENCY_KEY"))
            events = [emitting.new_event(item) for item in items]
            traceparent = environ.get("HTTP_TRACEPARENT") if self._own.settings.tracing else None
            stored = self._own.emit(caller.account, events, lives_on=True, traceparent=traceparent)
        except _REFUSALS:
            return self._app(environ, start_response)
        except Exception as error:  # the route's handlers know what to answer
            environ[QUICK] = Quick(admitted, error)
            return self._app(environ, start_response)
        text = text_of(emitting.receipt(stored, caller.account.time_zone, is_array=is_array))
        headers = {"Content-Type": "application/json", "Content-Length": str(len(text)), **quota_headers(allowance)}
        start_response("202 ACCEPTED", list(headers.items()))
        return (text,)


def _ordinary(environ: "WSGIEnvironment") -> tuple[str | None, str | None]:
    """The slug and the token of an emit about whose headers there is nothing to say; else one of them is None."""
    get: Callable[[str, str], str] = environ.get  # all that is asked for here are texts
    path = _PATH.fullmatch(get("PATH_INFO", ""))
    token = _TOKEN.fullmatch(get("HTTP_AUTHORIZATION", ""))
    length = get("CONTENT_LENGTH", "")
    if (
        path is None
        or token is None
        or get("REQUEST_METHOD", "") != "POST"
        or get("SCRIPT_NAME", "")
        or not get("HTTP_USER_AGENT", "").strip()
        or not _HOST.fullmatch(get("HTTP_HOST", ""))
        or get("HTTP_ACCEPT", "*/*") not in _ACCEPTED
        or get("CONTENT_TYPE", "").lower() not in _TYPES
        or not _LENGTH.fullmatch(length)
        or int(length) > BODY_LIMIT
        or "HTTP_TRANSFER_ENCODING" in environ
    ):
        return None, None
    return path[1], token[1]
