"""Signing in and out."""

import re
import secrets

from flask import Response, g, redirect, request

from dispatcher.api.console.frame import COOKIE, blueprint, check_token, is_secure, page, to
from dispatcher.api.parts import own
from dispatcher.storage import sessions, users
from dispatcher.storage.passwords import is_right
from dispatcher.storage.sessions import LIFETIME, Person

_FORM_COOKIE = "console_form"
_FORM_TOKEN = re.compile(r"[0-9a-f]{64}\Z")
_NAME_LIMIT, _PASSWORD_LIMIT = 320, 1_024
_WRONG = "This name and password do not fit together."
_TOO_MANY = "Too many tries; wait a minute."
_PLACE = re.compile(r"/console(/[A-Za-z0-9/_.-]*)?(\?[^\s\\]*)?\Z")


@blueprint.route("/sign-in")
def sign_in() -> Response:
    """The page to sign in."""
    return _form()


@blueprint.route("/sign-in", methods=["POST"], endpoint="sign_in_with")
def sign_in_with() -> Response:
    """A new session, and on to the page that was wanted. Each try counts before its password is looked at."""
    token = request.cookies.get(_FORM_COOKIE, "")
    check_token(token if _FORM_TOKEN.match(token) else secrets.token_hex(32))
    name, slug = request.form.get("name", "").strip(), request.form.get("account", "").strip()
    password = request.form.get("password", "")
    fits = len(name + slug) <= _NAME_LIMIT and (name + slug).isprintable() and len(password) <= _PASSWORD_LIMIT
    found, refused = _who(name, slug, password) if fits else (None, 403)
    if found is None:
        return _form(_TOO_MANY if refused == 429 else _WRONG, refused)
    user_id = found.user_id
    cookie, _ = own().storage.run(lambda connection: sessions.start(connection, user_id))
    wanted = request.form.get("next", "")
    answer: Response = redirect(wanted if _PLACE.match(wanted) else to("home"), 303)  # type: ignore[assignment]
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=int(LIFETIME.total_seconds()),
        path="/console",
        secure=is_secure(),
        httponly=True,
        samesite="Lax",
    )
    answer.delete_cookie(_FORM_COOKIE, path="/console")
    return answer


@blueprint.route("/sign-out", methods=["POST"])
def sign_out() -> Response:
    """Ends the session, also on the server."""
    token = request.cookies[COOKIE]
    own().storage.run(lambda connection: sessions.end(connection, token))
    answer: Response = redirect(to("sign_in"), 303)  # type: ignore[assignment]
    answer.delete_cookie(COOKIE, path="/console")
    return answer


def _who(name: str, slug: str, password: str) -> tuple[Person | None, int]:
    """The person, or None and a status; as long, and in the same words, whether there is one or not."""
    storage = own().storage
    found = storage.look(lambda connection: sessions.candidates(connection, name, slug))
    allowed = [
        one
        for one in found
        if storage.run(lambda connection, id_=one.person.user_id: users.may_try_password(connection, id_))  # type: ignore[misc]
    ]
    if found and not allowed:
        return None, 429
    right = [one.person for one in allowed if is_right(password, one.password_hash)]
    if not allowed:
        is_right(password, None)
    if not right:
        return None, 403
    storage.run(lambda connection: users.signed_in(connection, right[0].user_id))
    return right[0], 200


def _form(problem: str = "", status: int = 200) -> Response:
    token = request.cookies.get(_FORM_COOKIE, "")
    if not _FORM_TOKEN.match(token):
        token = secrets.token_hex(32)
    answer = page(
        "sign_in.html",
        status,
        form_token=token,
        problem=problem,
        name=request.form.get("name", ""),
        slug=request.form.get("account", ""),
        wanted=request.values.get("next", ""),
    )
    answer.set_cookie(_FORM_COOKIE, token, path="/console", secure=is_secure(), httponly=True, samesite="Strict")
    g.person = None
    return answer
