"""Every error as a page, where the API answers in JSON."""

import logging

from flask import Response, request
from werkzeug.exceptions import HTTPException, NotFound

from dispatcher import log
from dispatcher.console.page import add_headers, blueprint, page
from dispatcher.errors import (
    AccountNotFound,
    ApiError,
    DeliveryNotFound,
    DispatcherError,
    EventNotFound,
    QueueUnavailable,
    ReplayNotFound,
    ScheduleUnavailable,
    StorageUnavailable,
    WebhookNotFound,
)

logger = logging.getLogger(__name__)

_UNKNOWN = (AccountNotFound, WebhookNotFound, DeliveryNotFound, EventNotFound, ReplayNotFound)
_UNAVAILABLE = (StorageUnavailable, ScheduleUnavailable, QueueUnavailable)
_NOT_FOUND = "This page does not exist, or you do not have access to it."
_AWAY = "The service is unavailable, or the request took too long. Try again, or narrow the filter."
_BROKEN = "An internal error occurred. Try again later."


@blueprint.route("/<path:rest>")
def nowhere(rest: str) -> Response:
    """Any other path of the console."""
    raise NotFound


@blueprint.errorhandler(HTTPException)
def of_http(found: HTTPException) -> Response:
    """A wrong path, a form that is not ours, too large a body."""
    code = found.code or 500
    text = _NOT_FOUND if code == 404 else found.description or found.name
    return _problem(code, found.name, text)


@blueprint.errorhandler(DispatcherError)
def of_ours(found: DispatcherError) -> Response:
    """Unknown, refused, or not available now."""
    if isinstance(found, _UNKNOWN):
        return _problem(404, "Not found", _NOT_FOUND)
    if isinstance(found, ApiError):
        return _problem(found.status, "Invalid request", str(found))
    if isinstance(found, _UNAVAILABLE):
        logger.warning(log.line("console.unavailable", path=request.path, reason=repr(str(found))))
        return _problem(503, "Service unavailable", _AWAY)
    return broken(found)


@blueprint.errorhandler(Exception)
def broken(found: Exception) -> Response:
    """The process's outermost catch of a request: what comes here is a fault of ours."""
    logger.error(log.line("console.failed", method=request.method, path=request.path), exc_info=found)
    return _problem(500, "Internal error", _BROKEN)


def _problem(status: int, title: str, text: str) -> Response:
    return add_headers(page("problem.html", status, title=title, text=text))
