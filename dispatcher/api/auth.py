"""Who calls, and whether they may: the checks of a request, in this order, and the quota's headers.

1. `User-Agent` is there (400). 2. JSON is accepted (415). 3. The Bearer token is valid (401). 4. The client has
requests left in this minute (429). 5. The account in the path is the token's (404, so that nothing is revealed). 6. The
token has the scope (403). The route itself then checks the body's type (415), its syntax (400) and its data (422).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import Any, TypeVar, cast

from flask import Flask, Response, g, request
from flask_smorest import Blueprint
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import NotFound
from werkzeug.http import parse_accept_header
from werkzeug.wsgi import get_host

from dispatcher.access.authenticate import Admission
from dispatcher.access.rate_limit import DEFAULT, Allowance
from dispatcher.api.errors import not_found
from dispatcher.api.http import container
from dispatcher.api.v1.problems import is_v1
from dispatcher.errors import ApiError
from dispatcher.model.audit import SYSTEM, Actor, acting
from dispatcher.schedule.quota import WINDOW_S
from dispatcher.storage.admin.tokens import Caller as Caller

PREFIX = "/api/v3"
# People open these, and what lies below the second, in a browser, which asks for HTML.
_CONSENT, _DOCS = f"{PREFIX}/oauth", f"{PREFIX}/docs"

ADMITTED = "dispatcher.admitted"
"""A WSGI environment holds under this name what `admit` returned, if the token was checked before the body was read:
it is not checked, or counted, again. No header can have this name."""

View = TypeVar("View", bound=Callable[..., Any])


def register(app: Flask) -> None:
    """Checks every request below /api/v3, and adds the quota's headers to every response there."""
    app.before_request(_before_request)
    app.after_request(_add_quota)
    app.teardown_request(_forget_who_acted)


def authorized(scope: str | None = None) -> Callable[[View], View]:
    """Decorates a view below /api/v3: it is called with the Caller first, and without the path's `slug`."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, slug: str | None = None, **kwargs: Any) -> Any:
            return view(_authenticate(scope, slug), *args, **kwargs)

        return cast(View, Blueprint.doc(security=security(scope))(checked))

    return decorate


def security(scope: str | None) -> list[dict[str, list[str]]]:
    """What an operation needs, for the documentation."""
    return [{"oauth2": [scope] if scope else []}, {"bearer": []}]


def _authenticate(scope: str | None, slug: str | None) -> Caller:
    admitted = request.environ[ADMITTED] if ADMITTED in request.environ else _admitted()
    if admitted is not None:
        g.caller, g.allowance = admitted
    caller = authorize(admitted, scope, slug)
    acting.set(Actor(kind="client", id=caller.client.id, name=caller.client.name))
    return caller


def _admitted() -> Admission | None:
    return container().access.admit(access_token(request.headers.get("Authorization", "")))


def authorize(admitted: Admission | None, scope: str | None, slug: str | None) -> Caller:
    """Who calls, if they may do what needs `scope` in the account `slug`; raises ApiError."""
    if admitted is None or not isinstance(admitted.caller, Caller):  # a service token is for /api/v1
        raise unauthorized("The access token is unknown, expired or revoked", error="invalid_token")
    caller = admitted.caller
    if admitted.exceeded:
        raise too_many(admitted.exceeded)
    if slug is not None and slug != caller.account.slug:
        raise not_found()
    if scope is not None and scope not in caller.scopes:
        raise ApiError(403, "forbidden", f"The access token lacks the scope {scope}")
    return caller


def count_request(client_id: int, limit: int | None) -> None:
    """Counts a request of a client without a token, by its row's id; raises ApiError (429) beyond its quota.

    `limit`: the quota of the client's account, None: the usual one.
    """
    g.allowance = container().access.limiter.spend(client_id, DEFAULT, limit)
    if g.allowance.exceeded:
        raise too_many(g.allowance)


def quota_headers(allowance: Allowance) -> dict[str, str]:
    """API v3, Rate limit."""
    return {
        "X-RateLimit-Policy": f"{allowance.name};q={allowance.quota};w={WINDOW_S}",
        "X-RateLimit": f"{allowance.name};r={allowance.left};t={allowance.reset_s}",
    }


def rate_limit_headers(allowances: Sequence[Allowance]) -> dict[str, str]:
    """The same below /api/v1, in the words of draft-ietf-httpapi-ratelimit-headers; none where there is no quota."""
    if not allowances:
        return {}
    return {
        "RateLimit-Policy": ", ".join(f'"{one.name}";q={one.quota};w={WINDOW_S}' for one in allowances),
        "RateLimit": ", ".join(f'"{one.name}";r={one.left};t={one.reset_s}' for one in allowances),
    }


def bearer(header: str) -> str | None:
    """The token in a header `Authorization`; None where there is none."""
    kind, _, token = header.partition(" ")
    return (token.strip() or None) if kind.lower() == "bearer" else None


def access_token(header: str) -> str:
    """The token in a header `Authorization`; raises ApiError (401) where there is none."""
    token = bearer(header)
    if token is None:
        raise unauthorized("An access token is required: Authorization: Bearer <access_token>", error=None)
    return token


def needs_token(path: str) -> bool:
    """Whether a request to this path is refused without an access token, before its body is read."""
    return is_v1(path) or (_is_api(path) and not _is_page(path) and not path.startswith(f"{_CONSENT}/"))


def takes_forms(path: str) -> bool:
    """Whether a POST to this path may come without an access token: credentials, consent, and the console's forms."""
    return path.startswith(("/console/", "/portal/", _CONSENT))


def too_many(allowance: Allowance) -> ApiError:
    """429; the seconds are in `X-RateLimit` too, which is API v3's, but clients look for the usual header."""
    text = f"Too many requests: the quota of {allowance.quota:,} a minute is used up; wait {allowance.reset_s} seconds"
    return ApiError(429, "rate_limit_exceeded", text, {"Retry-After": str(allowance.reset_s)})


def unauthorized(text: str, error: str | None) -> ApiError:
    """401; the header names no error where no token was sent (RFC 6750, 3.1)."""
    challenge = 'Bearer realm="api"' + (f', error="{error}"' if error else "")
    return ApiError(401, "invalid_token", text, {"WWW-Authenticate": challenge})


def check_headers(environ: dict[str, Any]) -> None:
    """Checks the headers that every request to the API needs, by its WSGI environment; raises ApiError."""
    if not get_host(environ):  # what werkzeug makes of a malformed one; `url` and `Location` could not be written
        raise ApiError(400, "invalid_request", 'The header "Host" is malformed')
    if not environ.get("HTTP_USER_AGENT", "").strip():
        raise ApiError(400, "invalid_request", 'Required header "User-Agent" is missing')
    if not _allows_json(environ.get("HTTP_ACCEPT", "")):
        raise ApiError(415, "unsupported_media_type", "Only application/json is supported")


def _before_request() -> None:
    if not _is_api(request.path) or _is_page(request.path):
        return
    check_headers(request.environ)
    if isinstance(request.routing_exception, NotFound):  # which paths exist is said with a token only
        _authenticate(None, None)


def _forget_who_acted(_error: BaseException | None) -> None:
    acting.set(SYSTEM)  # the thread serves others, or does something of its own


@lru_cache(100)
def _allows_json(accept: str) -> bool:
    """Whether the Accept header allows JSON, with any charset; werkzeug's own check compares the charset too."""
    accepted = parse_accept_header(accept, MIMEAccept)
    qualities = {kind.partition(";")[0].strip().lower(): quality for kind, quality in accepted}
    for kind in ("application/json", "application/*", "*/*"):
        if kind in qualities:
            return bool(qualities[kind] > 0)
    return not qualities


def _is_api(path: str) -> bool:
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def _is_page(path: str) -> bool:
    return path in (_CONSENT, _DOCS) or path.startswith(f"{_DOCS}/")


def _add_quota(response: Response) -> Response:
    """API v3, Rate limit: on all responses; a full quota where there was no valid token. Below /api/v1 where it is."""
    allowance: Allowance | None = g.get("allowance")
    if _is_api(request.path):
        response.headers.update(quota_headers(allowance or container().access.limiter.unused[DEFAULT]))
    elif allowance is not None:
        response.headers.update(rate_limit_headers([allowance]))
    return response
