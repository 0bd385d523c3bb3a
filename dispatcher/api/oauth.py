"""OAuth: tokens, their revocation, and the page on which an account's owner grants access (API v3, Authorization).

The consent page keeps no session: the owner names themselves with each decision. Its form is protected from other
sites by a cookie that must equal a field, and its headers allow neither scripts nor frames.
"""

import hmac
import secrets
from collections.abc import Callable
from typing import TypeVar, cast
from urllib.parse import urlsplit

import flask
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, UnsupportedResponseTypeError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from flask import Response, g, make_response, render_template, request
from flask_smorest import Blueprint
from werkzeug.datastructures import MultiDict

from dispatcher.api.auth import count_request
from dispatcher.api.authorization_server import OAuthServer, Parameters, TokenRequest, connection, parameters
from dispatcher.api.http import container, form_token, json_response, request_body, with_safe_headers
from dispatcher.api.sign_in_queue import refusal, sign_in_as
from dispatcher.errors import ApiError
from dispatcher.schemas.api.errors import ErrorSchema
from dispatcher.schemas.api.oauth import RevocationSchema, TokenRequestSchema, TokenSchema
from dispatcher.storage.admin import tenants, tokens
from dispatcher.storage.admin.sessions import Person
from dispatcher.storage.engine import Connection

blueprint = Blueprint("oauth", __name__, description="Tokens.")
pages = flask.Blueprint("consent", __name__)
"""For browsers, and so not in the documentation."""

T = TypeVar("T")

_server = OAuthServer()
_COOKIE = "consent"
_PARAMETERS = (
    "client_id", "redirect_uri", "response_type", "state", "scope", "code_challenge", "code_challenge_method",
)  # fmt: skip
_KINDS = ("application/json", "application/x-www-form-urlencoded")

_EXPIRED = "This form has expired. Try again."


@blueprint.route("/oauth/token", methods=["POST"])
@blueprint.route("/oauth/token.json", methods=["POST"])
@blueprint.doc(requestBody=request_body(TokenRequestSchema, kinds=_KINDS), security=[{"client": []}])
@blueprint.response(200, TokenSchema)
@blueprint.alt_response(401, schema=ErrorSchema)
@blueprint.alt_response(429, schema=ErrorSchema)
def token() -> Response:
    """A token: by client credentials, for a code, or for a refresh token (RFC 6749)."""
    form = parameters()
    if not form.get("grant_type"):
        raise ApiError(400, "invalid_request", "The grant_type is missing")

    def client_and_quota() -> tuple[int, int | None]:
        client = _server.authenticate_client(TokenRequest(form), ()).client
        return client.id, tenants.requests_per_minute(connection(), client.account_id)

    # A token is a row for hours, so it counts as a request; in Redis, and so not within the transaction below.
    count_request(*_run(client_and_quota))
    return cast(Response, _run(lambda: _server.create_token_response(form)))


@blueprint.route("/oauth/revoke", methods=["POST"])
@blueprint.route("/oauth/revoke.json", methods=["POST"])
@blueprint.doc(requestBody=request_body(RevocationSchema, kinds=_KINDS), security=[{"client": []}])
@blueprint.response(200)
@blueprint.alt_response(401, schema=ErrorSchema)
def revoke() -> Response:
    """Revokes a refresh token and its access tokens, or one access token; 200 for an unknown one too (RFC 7009)."""
    form = parameters()

    def revoke() -> None:
        client = _server.authenticate_client(TokenRequest(form), ())
        if not form.get("token"):
            raise ApiError(400, "invalid_request", "The token is missing")
        tokens.revoke(connection(), client.client.id, form["token"])

    _run(revoke)
    return json_response({})


@pages.route("/oauth")
def consent_page() -> Response:
    """The page on which the owner decides."""
    return _page(request.args, _grant(request.args))


@pages.route("/oauth", methods=["POST"])
def decide() -> Response:
    """The owner's decision: back to the client, with a code or with `access_denied`.

    1. The request is checked again. 2. The form came from this page. 3. To agree takes a password.
    """
    consent_request = MultiDict((name, value) for name in _PARAMETERS for value in request.form.getlist(name))
    grant = _grant(consent_request)
    if not _has_valid_csrf():
        return _page(consent_request, grant, _EXPIRED, 403)
    if request.form.get("decision") != "agree":
        return _back(grant, None)
    outcome = sign_in_as(request.form.get("name", ""), request.form.get("password", ""), owner=True)
    if outcome.person is not None:
        return _back(grant, outcome.person)
    return refusal(outcome, lambda problem, status: _page(consent_request, grant, problem, status))


@pages.errorhandler(OAuth2Error)
def oauth_error(error: OAuth2Error) -> Response:
    """A wrong request for consent: the client gets the error where its redirect URI is right, else the person."""
    if isinstance(error, UnsupportedResponseTypeError):
        error.description = "Only the response_type code is supported"
    if error.redirect_uri:
        return _with_safe_headers(_server.handle_error_response(None, error))
    page = make_response(render_template("refused.html", reason=error.get_error_description(), nonce=_nonce()), 400)
    return _with_safe_headers(page)


def _run(work: Callable[[], T]) -> T:
    """`work` in one transaction, which Authlib's callbacks take from `connection()`."""

    def within(transaction: Connection) -> T:
        g.oauth_connection = transaction
        return work()

    return container().storage.transact(within)


def _grant(consent_request: Parameters) -> AuthorizationCodeGrant:
    """The request for consent, checked; raises OAuth2Error."""
    try:
        return _run(lambda: _server.get_consent_grant(consent_request))
    except ValueError:  # Authlib repeats a parameter in its error, which may not hold every character
        raise InvalidRequestError("A parameter contains characters that are not allowed") from None


def _back(grant: AuthorizationCodeGrant, owner: Person | None) -> Response:
    """To the client's redirect URI, with a code where `owner` agreed."""
    response = _run(lambda: _server.create_authorization_response(grant.request, grant_user=owner, grant=grant))
    return _with_safe_headers(response)


def _page(consent_request: Parameters, grant: AuthorizationCodeGrant, problem: str = "", status: int = 200) -> Response:
    csrf = form_token(_COOKIE)
    text = render_template(
        "consent.html",
        client_name=grant.client.client.name,
        scopes=grant.request.scope.split(),
        fields=[(name, value) for name, value in consent_request.items() if name in _PARAMETERS],
        name=request.form.get("name", ""),
        csrf=csrf,
        problem=problem,
        nonce=_nonce(),
    )
    page = make_response(text, status)
    page.set_cookie(_COOKIE, csrf, path=request.path, secure=request.is_secure, httponly=True, samesite="Strict")
    # Browsers hold the redirect that follows a form to the same rule as the form.
    return _with_safe_headers(page, f"'self' {_origin(grant.redirect_uri)}")


def _has_valid_csrf() -> bool:
    return hmac.compare_digest(request.form.get("csrf", "").encode(), form_token(_COOKIE).encode())


def _nonce() -> str:
    """Of this response's one style sheet."""
    g.nonce = g.get("nonce") or secrets.token_urlsafe(16)
    return cast(str, g.nonce)


def _with_safe_headers(response: Response, form_action: str = "'none'") -> Response:
    policy = f"default-src 'none'; style-src 'nonce-{_nonce()}'; form-action {form_action}"
    return with_safe_headers(response, policy, referrer="no-referrer")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
