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
_NOT_FOUND = "There is no such page, or it is not yours to see."
_AWAY = "The service does not answer now, or this took too long. Please try again, or ask for less at a time."
_BROKEN = "Something went wrong here. Please try again later."


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
        return _problem(found.status, "This cannot be shown", str(found))
    if isinstance(found, _UNAVAILABLE):
        logger.warning(log.line("console.unavailable", path=request.path, reason=repr(str(found))))
        return _problem(503, "Not available now", _AWAY)
    return broken(found)


@blueprint.errorhandler(Exception)
def broken(found: Exception) -> Response:
    """The process's outermost catch of a request: what comes here is a fault of ours."""
    logger.error(log.line("console.broken", method=request.method, path=request.path), exc_info=found)
    return _problem(500, "Something went wrong", _BROKEN)


def _problem(status: int, title: str, text: str) -> Response:
    return add_headers(page("problem.html", status, title=title, text=text))
