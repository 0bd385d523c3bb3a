"""Operators sign in by OpenID Connect, where the settings name an identity provider.

What belongs to an attempt is in a cookie, encrypted: the browser that ends a sign-in is the one that began it.
"""

import hmac
import json
import logging
import secrets

from flask import Response, request
from werkzeug.exceptions import NotFound

from dispatcher import log, operator_rules
from dispatcher.api.addresses import throttle_key
from dispatcher.api.http import address, container, public_url
from dispatcher.console.oidc_provider import Attempt, Provider, SignInFailed, provider_of
from dispatcher.console.page import COOKIE, blueprint, delete_cookie, next_page, page, see_other, set_cookie, to
from dispatcher.console.session import start_session
from dispatcher.errors import SecretDecryptionFailed
from dispatcher.storage.admin import users

logger = logging.getLogger(__name__)

_COOKIE = "console_oidc"
_ATTEMPT_S = 600
_FAILED = "Signing in did not work. Try again, or ask whoever runs the identity provider."
_NOT_AN_OPERATOR = "You are signed in there, but are not an operator here."


@blueprint.route("/oidc")
def oidc_start() -> Response:
    """On to the identity provider."""
    provider = _provider()
    attempt = Attempt(**{name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")})
    try:
        response = see_other(provider.authorization_url(attempt, _callback()))
    except SignInFailed as error:
        return _failed(error)
    kept = [attempt.state, attempt.nonce, attempt.verifier, request.args.get("next", "")[:2_000]]
    set_cookie(response, _COOKIE, container().storage.secrets.close(json.dumps(kept)), max_age=_ATTEMPT_S)
    return response


@blueprint.route("/oidc/callback")
def oidc_callback() -> Response:
    """Back from there: a session of an operator. What each of them may do is decided each time."""
    provider = _provider()
    if wait_s := container().access.sign_in.wait_s(throttle_key(address())):
        return _refused(f"Too many attempts. Try again in {wait_s} seconds.", 429)
    try:
        attempt, path = _begun()
        provider.check_issuer(request.args.get("iss"))
        if "error" in request.args:
            raise SignInFailed(f"the identity provider answered {request.args['error']!r:.100}")
        claims = provider.claims(request.args.get("code", ""), attempt, _callback())
    except SignInFailed as error:
        return _failed(error)
    settings = container().settings
    permission = operator_rules.permission_of(claims, settings.oidc_operators, settings.oidc_read_only)
    if permission is None:
        return _refused(_NOT_AN_OPERATOR, 403)
    container().access.sign_in.forgive(throttle_key(address()))
    email = operator_rules.name_of(claims, settings.oidc_host)
    operator = container().storage.transact(
        users.vouched_operator, email, str(claims.get("name") or email)[:320], permission
    )
    response = see_other(next_page(path))
    delete_cookie(response, _COOKIE)
    set_cookie(response, COOKIE, start_session(operator) or "")
    return response


@blueprint.route("/oidc/sign-out")
def oidc_sign_out() -> Response:
    """On to the page of the identity provider that ends the session there."""
    try:
        url = _provider().sign_out_url(public_url() + to("sign_in"))
    except SignInFailed as error:
        return _failed(error)
    return see_other(url or to("sign_in"))


def _begun() -> tuple[Attempt, str]:
    """The attempt that this browser began, and the page that it requested; raises SignInFailed for another one."""
    try:
        kept = container().storage.secrets.open(request.cookies.get(_COOKIE, ""))
    except SecretDecryptionFailed:
        raise SignInFailed("no sign-in began in this browser") from None
    state, nonce, verifier, path = json.loads(kept)
    if not hmac.compare_digest(request.args.get("state", "").encode(), state.encode()):
        raise SignInFailed("the state is not that of the sign-in which this browser began")
    return Attempt(state=state, nonce=nonce, verifier=verifier), path


def _provider() -> Provider:
    provider = provider_of(container().settings)
    if provider is None:
        raise NotFound
    return provider


def _callback() -> str:
    return public_url() + to("oidc_callback")


def _failed(error: SignInFailed) -> Response:
    logger.warning(log.line("oidc.failed", reason=repr(str(error)), address=address()))
    return _refused(_FAILED, 403)


def _refused(text: str, status: int) -> Response:
    response = page("problem.html", status, title="Not signed in", text=text)
    delete_cookie(response, _COOKIE)
    return response
