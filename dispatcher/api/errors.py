"""Every error as API v3 answers it: messages by field for invalid data, `error` and `error_description` for the rest.

The one place that turns exceptions, the dispatcher's and HTTP's, into responses. A 500 says nothing of the inside.
Below /api/v1 they are problems (RFC 9457).
"""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import Flask, request
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException

from dispatcher import log
from dispatcher.api.http import Answer, json_answer, response
from dispatcher.api.v1.problems import is_v1, problem
from dispatcher.errors import (
    AccountExists,
    ApiError,
    DependencyUnavailable,
    EventTypeConflict,
    IllegalTransition,
    InvalidClientAttribute,
    InvalidFields,
    RecordNotFound,
    TooManyPings,
    TooManyTestAlerts,
    UserExists,
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


class Failure(NamedTuple):
    """What is said of an error: messages by field for invalid data, else a code and a description."""

    status: int
    code: str
    description: str
    fields: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None


def register(app: Flask) -> None:
    """Makes the app answer every exception in one of the two bodies."""
    app.register_error_handler(HTTPException, lambda error: response(_answer(_of_http(error), request.path)))
    app.register_error_handler(Exception, lambda error: response(error_answer(error, request.method, request.path)))


def error_answer(error: Exception, method: str, path: str) -> Answer:
    """The response to a request that raised `error`."""
    return _answer(_failure(error, method, path), path)


def _answer(failure: Failure, path: str) -> Answer:
    if is_v1(path):
        return problem(*failure)
    status, code, description, fields, headers = failure
    if fields is not None:
        return json_answer(status, {"errors": fields})
    return json_answer(status, {"error": code, "error_description": description}, headers)


def _failure(error: Exception, method: str, path: str) -> Failure:
    match error:
        case ApiError():
            return Failure(error.status, error.code, str(error), headers=error.headers)
        case InvalidFields():
            return _invalid(error.messages)
        case InvalidClientAttribute():
            return _invalid({error.attribute: [error.reason]})
        case IllegalTransition():
            return _invalid({"state": [error.detail]})
        case ValidationError():
            return _invalid({name: texts(said) for name, said in error.normalized_messages().items()})
        case RecordNotFound():
            return _failure(not_found(), method, path)
        case AccountExists() | UserExists() | EventTypeConflict():
            return Failure(409, "conflict", str(error))
        case TooManyPings() | TooManyTestAlerts():
            return Failure(503, "temporarily_unavailable", str(error), headers=_LATER)
        case DependencyUnavailable():
            logger.warning(log.line("request.unavailable", path=path, reason=repr(str(error))))
            text = "The service is unavailable; try again later"
            return Failure(503, "temporarily_unavailable", text, headers=_LATER)
        case _:  # the outermost catch of a request: what comes here is a fault of the dispatcher
            logger.error(log.line("request.failed", method=method, path=path), exc_info=error)
            return Failure(500, "server_error", "An internal error occurred; try again later")


def _of_http(error: HTTPException) -> Failure:
    code = error.code or 500
    if code == 422:  # webargs: messages by location, then by field
        by_location: Mapping[str, Mapping[str, object]] = getattr(error, "data", {}).get("messages", {})
        return _invalid({name: texts(said) for of in by_location.values() for name, said in of.items()})
    word, text = _OF_HTTP.get(code, ("invalid_request" if code < 500 else "server_error", error.name))
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    return Failure(code, word, text, headers=headers)


def _invalid(messages: Mapping[str, Any]) -> Failure:
    """422: field → texts."""
    return Failure(422, "invalid_attributes", "Some attributes are invalid", fields=messages)
