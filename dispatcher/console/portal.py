"""The portal: the console of one account, for a customer who comes by a link and has no password.

A link is followed by GET, which changes nothing: what follows links before people do, such as a mail scanner, does not
use it up. Its page sends the token by POST, which starts the session: at once in a frame, or where another page led to
it and this browser has no session of another account; else when somebody presses the button.
"""

import re

from flask import Response, g, request
from werkzeug.exceptions import NotFound

from dispatcher.api.http import address, container
from dispatcher.console.page import (
    PORTAL,
    blueprint,
    check_same_site,
    delete_cookie,
    in_portal,
    page,
    portal_view,
    see_other,
    set_cookie,
    to,
)
from dispatcher.console.theme import style_sheet
from dispatcher.model.audit import Actor, acting
from dispatcher.model.portal import PortalView
from dispatcher.storage.admin import audit, portal_sessions
from dispatcher.storage.engine import Connection

_COLOUR = re.compile(r"[0-9a-f]{6}\Z")


@blueprint.route("/enter")
def enter() -> Response:
    """The page of a link: it sends the token, and has no other content."""
    _check_in_portal()
    token = request.args.get("token", "")
    view = container().storage.read(portal_sessions.of_link, token)
    if view is not None and view.is_started and _is_theirs(view):
        return see_other(to("home"))
    if view is None or view.is_started:
        return _not_valid()
    mine = portal_view()
    is_other = mine is not None and mine.account.id != view.account.id  # a stranger's link? The viewer decides
    g.portal, g.person = view, None
    response = page("portal_enter.html", token=token, goes_on=not is_other)
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@blueprint.route("/enter", methods=["POST"])
def start() -> Response:
    """Starts the session, once. A second one who has its cookie gets on, too: frames are loaded again."""
    _check_in_portal()
    check_same_site()
    token = request.form.get("token", "")
    started = container().storage.transact(_start, token, address())
    if started is None:
        view = container().storage.read(portal_sessions.of_link, token)
        return see_other(to("home")) if view is not None and _is_theirs(view) else _not_valid()
    g.portal, cookie = started
    response = see_other(to("home"))
    set_cookie(response, PORTAL, cookie)
    return response


@blueprint.route("/theme.css")
def theme() -> Response:
    """The colours of a theme, by `accent` and `accent_dark` (`rrggbb`): for everybody."""
    _check_in_portal()
    colours = {name: value for name in ("accent", "accent_dark") if (value := request.args.get(name))}
    if not all(_COLOUR.match(value) for value in colours.values()):
        raise NotFound
    return Response(style_sheet({name: f"#{value}" for name, value in colours.items()}), mimetype="text/css")


def leave() -> Response:
    """Ends the session, also on the server; the page says so and leads back to where the customer came from."""
    view = portal_view()
    assert view is not None  # noqa: S101 - `check` lets nobody else in
    container().storage.transact(portal_sessions.end, view.account.id, view.id)
    g.person = None
    response = page("portal_ended.html", left=True)
    delete_cookie(response, PORTAL)
    return response


def _start(connection: Connection, token: str, from_address: str) -> tuple[PortalView, str] | None:
    started = portal_sessions.start(connection, token)
    if started is not None:
        view, _ = started
        acting.set(Actor(kind="portal_session", id=view.id, name=view.label or f"portal session {view.id}"))
        audit.record(connection, "portal_session.started", view.id, account_id=view.account.id, address=from_address)
    return started


def _is_theirs(view: PortalView) -> bool:
    """Whether this browser has the session that the link started."""
    mine = portal_view()
    return mine is not None and mine.id == view.id


def _not_valid() -> Response:
    g.portal, g.person, g.frame_ancestors = None, None, ("*",)  # as where a session has ended
    return page("portal_ended.html", 404, is_link=True)


def _check_in_portal() -> None:
    """The console has these paths, too, as the two are one blueprint."""
    if not in_portal():
        raise NotFound
