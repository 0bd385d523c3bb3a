"""Every error as API v3 answers it: messages by field for invalid data, `error` and `error_description` for the rest.

The one place that turns exceptions, the dispatcher's and HTTP's, into responses. A 500 says nothing of the inside.
"""

import logging
from collections.abc import Mapping

from flask import Flask, request
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException

from dispatcher import log
from dispatcher.api.http import Answer, json_answer, response
from dispatcher.errors import (
    ApiError,
    DependencyUnavailable,
    IllegalTransition,
    InvalidFields,
    RecordNotFound,
    TooManyPings,
)
from dispatcher.schemas.errors import texts

logger = logging.getLogger(__name__)

_LATER = {"Retry-After": "5"}

# What werkzeug and Flask raise by themselves: a wrong path, a body too large.
_OF_HTTP: Mapping[int, tuple[str, str]] = {
    400: ("invalid_request", "The request is malformed"),
    404: ("not_found", "The record does not exist"),
    405: ("method_not_allowed", "This path does not support that method"),
    413: ("payload_too_large", "The body is larger than 5 MiB"),
    414: ("invalid_request", "The URL is too long"),
    415: ("unsupported_media_type", "The body must be JSON, with Content-Type application/json"),
}


def not_found() -> ApiError:
    """404: the record does not exist, or belongs to somebody else, which looks the same."""
    return ApiError(404, *_OF_HTTP[404])


def method_not_allowed(allowed: str) -> ApiError:
    """405; `allowed`: the methods that the path has."""
    return ApiError(405, *_OF_HTTP[405], {"Allow": allowed})


def register(app: Flask) -> None:
    """Makes the app answer every exception in one of the two bodies."""
    app.register_error_handler(HTTPException, lambda error: response(_http(error)))
    app.register_error_handler(Exception, lambda error: response(error_answer(error, request.method, request.path)))


def error_answer(error: Exception, method: str, path: str) -> Answer:
    """The response to a request that raised `error`."""
    match error:
        case ApiError():
            return _error(error.status, error.code, str(error), error.headers)
        case InvalidFields():
            return _field_errors(error.messages)
        case IllegalTransition():
            return _field_errors({"state": [error.detail]})
        case ValidationError():
            return _field_errors({name: texts(said) for name, said in error.normalized_messages().items()})
        case RecordNotFound():
            return error_answer(not_found(), method, path)
        case TooManyPings():
            return _error(503, "temporarily_unavailable", str(error), _LATER)
        case DependencyUnavailable():
            logger.warning(log.line("request.unavailable", path=path, reason=repr(str(error))))
            text = "The service is unavailable; try again later"
            return _error(503, "temporarily_unavailable", text, _LATER)
        case _:  # the outermost catch of a request: what comes here is a fault of the dispatcher
            logger.error(log.line("request.failed", method=method, path=path), exc_info=error)
            return _error(500, "server_error", "An internal error occurred; try again later")


def _http(error: HTTPException) -> Answer:
    code = error.code or 500
    if code == 422:  # webargs: messages by location, then by field
        by_location: Mapping[str, Mapping[str, object]] = getattr(error, "data", {}).get("messages", {})
        return _field_errors({name: texts(said) for of in by_location.values() for name, said in of.items()})
    word, text = _OF_HTTP.get(code, ("invalid_request" if code < 500 else "server_error", error.name))
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    return _error(code, word, text, headers)


def _field_errors(messages: Mapping[str, object]) -> Answer:
    """Body A with status 422: field → texts."""
    return json_answer(422, {"errors": messages})


def _error(status: int, code: str, description: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Body B."""
    return json_answer(status, {"error": code, "error_description": description}, headers)
