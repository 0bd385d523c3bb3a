"""Every error as a page, where the API answers in JSON."""

import logging

from flask import Response, request
from werkzeug.exceptions import HTTPException, NotFound

from dispatcher import log
from dispatcher.console.page import add_headers, blueprint, page
from dispatcher.errors import ApiError, DependencyUnavailable, DispatcherError, RecordNotFound

logger = logging.getLogger(__name__)

_NOT_FOUND = "This page does not exist, or you do not have access to it."
_UNAVAILABLE = "The service is unavailable, or the request took too long. Try again, or narrow the filter."
_BROKEN = "An internal error occurred. Try again later."


@blueprint.route("/<path:rest>")
def unknown_page(rest: str) -> Response:
    """Any other path of the console."""
    raise NotFound


@blueprint.errorhandler(HTTPException)
def http_error(error: HTTPException) -> Response:
    """A wrong path, a form of another site, too large a body."""
    code = error.code or 500
    text = _NOT_FOUND if code == 404 else error.description or error.name
    return _problem(code, error.name, text)


@blueprint.errorhandler(DispatcherError)
def dispatcher_error(error: DispatcherError) -> Response:
    """Not found, refused, or not available now."""
    match error:
        case RecordNotFound():
            return _problem(404, "Not found", _NOT_FOUND)
        case ApiError():
            return _problem(error.status, "Invalid request", str(error))
        case DependencyUnavailable():
            logger.warning(log.line("console.unavailable", path=request.path, reason=repr(str(error))))
            return _problem(503, "Service unavailable", _UNAVAILABLE)
        case _:
            return internal_error(error)


@blueprint.errorhandler(Exception)
def internal_error(error: Exception) -> Response:
    """The process's outermost catch of a request: what comes here is a fault of the dispatcher."""
    logger.error(log.line("console.failed", method=request.method, path=request.path), exc_info=error)
    return _problem(500, "Internal error", _BROKEN)


def _problem(status: int, title: str, text: str) -> Response:
    return add_headers(page("problem.html", status, title=title, text=text))
