"""Signing in and out, and the sessions that somebody has."""

from flask import Response, g, request
from werkzeug.exceptions import NotFound

from dispatcher.api.http import ROW_ID, address, container, form_token
from dispatcher.api.sign_in_queue import refusal, sign_in_as
from dispatcher.console import portal
from dispatcher.console.oidc_provider import provider_of
from dispatcher.console.page import (
    COOKIE,
    blueprint,
    check_token,
    delete_cookie,
    in_portal,
    next_page,
    page,
    person,
    redirect_to,
    see_other,
    session_id,
    set_cookie,
    to,
)
from dispatcher.storage.admin import sessions
from dispatcher.storage.admin.sessions import LIFETIME, Candidate

_FORM_COOKIE = "console_form"


@blueprint.route("/sign-in")
def sign_in() -> Response:
    """The page to sign in."""
    return _form()


@blueprint.route("/sign-in", methods=["POST"], endpoint="sign_in_with")
def sign_in_with() -> Response:
    """A new session, and on to the requested page. Each attempt counts before its password is checked."""
    check_token(form_token(_FORM_COOKIE))
    form = request.form
    outcome = sign_in_as(form.get("name", ""), form.get("password", ""), slug=form.get("account", ""))
    cookie = start_session(outcome.candidate) if outcome.candidate is not None else None
    if cookie is None:
        return refusal(outcome, _form)
    response = see_other(next_page(request.form.get("next", "")))
    set_cookie(response, COOKIE, cookie, max_age=int(LIFETIME.total_seconds()))
    delete_cookie(response, _FORM_COOKIE)
    return response


@blueprint.route("/sign-out", methods=["POST"])
def sign_out() -> Response:
    """Ends the session, also on the server."""
    if in_portal():
        return portal.leave()
    container().storage.transact(sessions.end, session_id())
    response = see_other(to("sign_in"))
    delete_cookie(response, COOKIE)
    return response


@blueprint.route("/sessions", endpoint="sessions")
def list_() -> Response:
    """The sessions of the viewer."""
    idle, user_id = container().access.session_idle, person().user_id
    user_sessions = container().storage.read(sessions.list_all, idle, user_id=user_id)
    return page("sessions.html", sessions=user_sessions, this=session_id())


@blueprint.route(f"/sessions/<{ROW_ID}:id_>/end", methods=["POST"])
def end_session(id_: int) -> Response:
    """Ends one of them."""
    if not container().storage.transact(sessions.end, id_, person().user_id):
        raise NotFound
    return redirect_to("sessions", "session_ended")


@blueprint.route("/sessions/end-others", methods=["POST"])
def end_others() -> Response:
    """Ends all but this one."""
    container().storage.transact(sessions.end_all, person().user_id, but=session_id())
    return redirect_to("sessions", "others_ended")


def start_session(candidate: Candidate) -> str | None:
    """The value of the cookie; None where somebody changed the password a moment ago."""
    agent = request.headers.get("User-Agent")
    return container().storage.transact(
        sessions.start, candidate, container().access.session_idle, address=address(), agent=agent
    )


def _form(problem: str = "", status: int = 200) -> Response:
    token = form_token(_FORM_COOKIE)
    response = page(
        "sign_in.html",
        status,
        form_token=token,
        problem=problem,
        name=request.form.get("name", ""),
        slug=request.form.get("account", ""),
        next_page=request.values.get("next", ""),
        has_provider=provider_of(container().settings) is not None,
    )
    set_cookie(response, _FORM_COOKIE, token, samesite="Strict")
    g.person = None
    return response
