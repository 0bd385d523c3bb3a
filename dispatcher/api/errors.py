"""Every error as API v3 answers it: messages by field for invalid data, `error` and `error_description` for the rest.

The one place that turns exceptions, ours and HTTP's, into answers. A 500 says nothing of the inside.
"""

import logging
from collections.abc import Mapping

from flask import Flask, Response, request
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException

from dispatcher import log
from dispatcher.api.parts import answer
from dispatcher.errors import (
    AccountNotFound,
    ApiError,
    ClientNotFound,
    DeliveryNotFound,
    DispatcherError,
    IllegalTransition,
    InvalidReplay,
    InvalidWebhook,
    QueueUnavailable,
    ReplayNotFound,
    ScheduleUnavailable,
    StorageUnavailable,
    TooManyPings,
    WebhookNotFound,
)
from schemas.errors import texts

logger = logging.getLogger(__name__)

UNPROCESSABLE = "422 Unprocessable Content"
"""With the reason phrase of RFC 9110, which API v3 names; the libraries still have the one before."""

_UNKNOWN = (AccountNotFound, WebhookNotFound, DeliveryNotFound, ReplayNotFound, ClientNotFound)
_UNAVAILABLE = (StorageUnavailable, ScheduleUnavailable, QueueUnavailable)
_LATER = {"Retry-After": "5"}

# What werkzeug and Flask raise by themselves: a wrong path, a body too large.
_OF_HTTP: Mapping[int, tuple[str, str]] = {
    400: ("invalid_request", "The request is malformed"),
    404: ("not_found", "There is no such record"),
    405: ("method_not_allowed", "This path does not take that method"),
    413: ("payload_too_large", "The body is larger than 5 MiB"),
    414: ("invalid_request", "The URL is too long"),
    415: ("unsupported_media_type", "The body must be JSON, with Content-Type application/json"),
}


def not_found() -> ApiError:
    """404: there is none, or it is somebody else's, which is the same to whoever asks."""
    return ApiError(404, *_OF_HTTP[404])


def field_errors(messages: Mapping[str, object]) -> Response:
    """Body A with status 422: field → texts."""
    made = answer({"errors": messages})
    made.status = UNPROCESSABLE
    return made


def error(status: int, code: str, description: str, headers: Mapping[str, str] | None = None) -> Response:
    """Body B."""
    return answer({"error": code, "error_description": description}, status, headers)


def register(app: Flask) -> None:
    """Makes the app answer every exception in one of the two bodies."""
    app.register_error_handler(ApiError, _refused)
    app.register_error_handler(InvalidWebhook, _invalid_of_ours)
    app.register_error_handler(InvalidReplay, _invalid_of_ours)
    app.register_error_handler(IllegalTransition, _illegal_move)
    app.register_error_handler(ValidationError, _invalid)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(DispatcherError, _ours)
    app.register_error_handler(Exception, _broken)


def _refused(refused: ApiError) -> Response:
    return error(refused.status, refused.code, str(refused), refused.headers)


def _invalid_of_ours(invalid: InvalidWebhook | InvalidReplay) -> Response:
    return field_errors(invalid.messages)


def _illegal_move(illegal: IllegalTransition) -> Response:
    return field_errors({"state": [illegal.detail]})


def _invalid(invalid: ValidationError) -> Response:
    return field_errors({name: texts(found) for name, found in invalid.normalized_messages().items()})


def _ours(found: DispatcherError) -> Response:
    if isinstance(found, _UNKNOWN):
        return _refused(not_found())
    if isinstance(found, TooManyPings):
        return error(503, "temporarily_unavailable", str(found), _LATER)
    if isinstance(found, _UNAVAILABLE):
        logger.warning(log.line("request.unavailable", path=request.path, reason=repr(str(found))))
        return error(503, "temporarily_unavailable", "The service is not available now; try again later", _LATER)
    return _broken(found)


def _http(found: HTTPException) -> Response:
    code = found.code or 500
    if code == 422:  # webargs: messages by location, then by field
        by_location: Mapping[str, Mapping[str, object]] = getattr(found, "data", {}).get("messages", {})
        return field_errors({name: texts(said) for of in by_location.values() for name, said in of.items()})
    word, text = _OF_HTTP.get(code, ("invalid_request" if code < 500 else "server_error", found.name))
    headers = {name: value for name, value in found.get_headers() if name in ("Allow", "Retry-After")}
    return error(code, word, text, headers)


def _broken(found: Exception) -> Response:
    """The process's outermost catch of a request: what comes here is a fault of ours."""
    logger.error(log.line("request.broken", method=request.method, path=request.path), exc_info=found)
    return error(500, "server_error", "Something went wrong here; try again later")
