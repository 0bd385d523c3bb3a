"""Who may call /api/v1: the company's own programs, by a service token with the scope that an operation needs.

1. The token is valid (401). 2. Its quota, if it has one, is not used up (429). 3. It has the scope (403). The view then
looks for what the path names (404), and checks the body's type (415), its syntax (400) and its data (422).
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import g, request
from flask_smorest import Blueprint

from dispatcher.access.authenticate import Admission
from dispatcher.api.auth import ADMITTED, access_token, too_many, unauthorized
from dispatcher.api.errors import not_found
from dispatcher.api.http import container
from dispatcher.errors import ApiError
from dispatcher.model.audit import Actor, acting
from dispatcher.storage.admin.poll_tokens import Reader
from dispatcher.storage.admin.service_tokens import ServiceToken

View = TypeVar("View", bound=Callable[..., Any])


def service(*scopes: str, or_reader: bool = False) -> Callable[[View], View]:
    """Decorates a view below /api/v1, which is called with the ServiceToken first; that needs all of these scopes.

    `or_reader`: it is of one polled webhook, `webhook_id`, whose poll token will do; it is called without a token.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            admitted = _admitted()
            g.allowance = admitted and admitted.allowance
            if or_reader and admitted is not None and isinstance(admitted.caller, Reader):
                _authorize_reader(admitted, admitted.caller, kwargs["webhook_id"])
                check_path(request.path)
                return view(*args, **kwargs)
            token = authorize_service(admitted, *scopes)
            acting.set(Actor(kind="service_token", id=token.id, name=token.name))
            check_path(request.path)
            return view(*args, **kwargs) if or_reader else view(token, *args, **kwargs)

        return cast(View, Blueprint.doc(security=security(*scopes, or_reader=or_reader))(checked))

    return decorate


def security(*scopes: str, or_reader: bool = False) -> list[dict[str, list[str]]]:
    """What an operation needs, for the documentation."""
    return [{"service_token": [*scopes]}] + ([{"poll_token": []}] if or_reader else [])


def authorize_service(admitted: Admission | None, *scopes: str) -> ServiceToken:
    """Who calls, if they may do what needs these scopes; raises ApiError, also for a client's token.

    Who has the scope `webhooks` has `webhooks:read`, too.
    """
    if admitted is None or not isinstance(admitted.caller, ServiceToken):
        raise unauthorized("The service token is unknown, expired or revoked", error="invalid_token")
    if admitted.exceeded:
        raise too_many(admitted.exceeded)
    for scope in scopes:
        if scope not in admitted.caller.scopes and scope.removesuffix(":read") not in admitted.caller.scopes:
            raise ApiError(403, "forbidden", f"The service token lacks the scope {scope}")
    return admitted.caller


def _authorize_reader(admitted: Admission, reader: Reader, webhook_id: int) -> None:
    if admitted.exceeded:
        raise too_many(admitted.exceeded)
    if reader.webhook_id != webhook_id:
        raise ApiError(403, "forbidden", "The poll token is for another webhook")


def sees_personal(token: ServiceToken) -> bool:
    """Whether it may read personal fields of payloads; else `***` stands in their place."""
    return "personal" in token.scopes


def check_path(path: str) -> None:
    """Raises ApiError (404) for a path with a NUL: no id has one, and Postgres refuses it as text."""
    if "\0" in path:
        raise not_found()


def _admitted() -> Admission | None:
    if ADMITTED in request.environ:
        return cast("Admission | None", request.environ[ADMITTED])
    return container().access.admit(access_token(request.headers.get("Authorization", "")))
