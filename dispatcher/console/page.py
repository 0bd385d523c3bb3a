"""What every page of the console has: who looks at it, whose account it shows, its frame, and its safe headers.

1. A session is needed (else: the page to sign in). 2. What changes something carries the session's token (403), so no
other site can send it. 3. The account in the path is one that this person sees (404, so that nothing is revealed). 4.
Who may only look changes nothing (403).
"""

import hashlib
import hmac
import re
from typing import Any, Protocol, Self, TypeVar

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import Forbidden, NotFound

from dispatcher.api.parts import container
from dispatcher.storage.admin import accounts, sessions
from dispatcher.storage.admin.accounts import Account
from dispatcher.storage.admin.sessions import ActiveSession, Person

blueprint = Blueprint("console", __name__, url_prefix="/console", template_folder="templates", static_folder="static")

COOKIE = "console"
PUBLIC = frozenset({"console.sign_in", "console.sign_in_with", "console.static"})
"""What is shown to those who have not signed in."""
_OF_ONESELF = frozenset({"console.sign_out", "console.end_session", "console.end_others"})
"""What somebody may change who may only look."""
_ASKED_BY_PAGES = frozenset(
    {"console.figures", "console.all_figures", "console.delivery_progress", "console.replay_progress"}
)
"""What an open page asks for again and again: that is no use of a session."""
T = TypeVar("T", bound="Telling")

_TOKEN = re.compile(r"[0-9A-Za-z_-]{20,100}\Z")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

NO_CHANGES = "You have read-only access to this account."

_SAID_COOKIE = "console_said"
_SAID = {
    "created": "Webhook created.",
    "saved": "Webhook saved.",
    "deleted": "Webhook deleted. Its pending deliveries were cancelled.",
    "paused": "Webhook paused. New events create no deliveries for it; pending deliveries are kept.",
    "activated": "Webhook activated. Its pending deliveries resume.",
    "redelivered": "Redelivery queued.",
    "redelivered_many": "Redeliveries queued: {n}.",
    "none_chosen": "No deliveries selected.",
    "stopped": "Replay stopped.",
    "resumed": "Replay resumed.",
    "session_ended": "Session ended.",
    "others_ended": "All other sessions ended.",
}


@blueprint.before_request
def check() -> Any:
    """Steps 1 to 4; an answer where the request ends here."""
    g.account = None
    g.session = _session()
    g.person = g.session.person if g.session is not None else None
    if request.endpoint in PUBLIC:
        return None
    if g.person is None:
        return _to_sign_in()
    if request.method == "POST":
        check_token(csrf_token())
        if not g.person.may_write and request.endpoint not in _OF_ONESELF:
            raise Forbidden(NO_CHANGES)
    if request.view_args and "slug" in request.view_args:
        g.account = _account(request.view_args.pop("slug"))
    return None


@blueprint.after_request
def add_headers(response: Response) -> Response:
    """Nothing may run or frame a page but what is ours, and no page is kept where others may find it."""
    if g.get("is_said") and _SAID_COOKIE in request.cookies:
        response.delete_cookie(_SAID_COOKIE, path="/console")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if request.endpoint == "console.static":
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if "v" in request.args else "no-cache"
    else:
        response.headers["Cache-Control"] = "no-store"
    return response


def person() -> Person:
    """Who looks at this page."""
    found: Person = g.person
    return found


class Telling(Protocol):
    """What tells of attempts: operators see more of them than a webhook's owner."""

    def for_clients(self) -> Self: ...  # noqa: D102


def for_eyes_of(viewer: Person, told: T) -> T:
    """`told` as they are to see it."""
    return told if viewer.account is None else told.for_clients()


def session_id() -> int:
    """Of the session by which they look at it."""
    found: ActiveSession = g.session
    return found.id


def account() -> Account:
    """Whose account this page shows."""
    found: Account = g.account
    return found


def page(template: str, status: int = 200, **given: Any) -> Response:
    """A page in its frame; its parts alone where htmx asks, which puts them into the frame that is there."""
    return make_response(render_template(f"console/{template}", **given), status)


def is_part() -> bool:
    """Whether htmx asks for a part of the page."""
    return request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers


def finished(part: Response) -> Response:
    """A part that will not change any more: the page that asks for it again and again is to be loaded anew."""
    part.headers["X-Finished"] = "1"
    return part


def to(endpoint: str, **given: Any) -> str:
    """The path of another page, of the same account unless `slug` names another."""
    if "slug" not in given and g.get("account") is not None:
        given["slug"] = g.account.slug
    if given.get("slug") is None:
        given.pop("slug", None)
    return url_for(f"console.{endpoint}", **given)


def go(endpoint: str, said: str = "", n: int = 0, **given: Any) -> Response:
    """To another page after something was done there; `said` names a sentence of _SAID, `n` is the number in it.

    It travels in a cookie that the page ends, not in the address: what was done is not said again by a reload.
    """
    answer: Any = redirect(to(endpoint, **given), 303)
    if said:
        answer.set_cookie(
            _SAID_COOKIE, f"{said}.{n}", max_age=60, path="/console", secure=is_secure(), httponly=True, samesite="Lax"
        )
    return answer  # type: ignore[no-any-return]


def said() -> str | None:
    """What the last action did, in a sentence."""
    name, _, number = request.cookies.get(_SAID_COOKIE, "").partition(".")
    sentence = _SAID.get(name)
    g.is_said = True
    return sentence and sentence.format(n=number if number.isdecimal() and len(number) < 6 else "some")


def csrf_token() -> str:
    """Of this session's forms: made of what only its cookie holds."""
    return hashlib.sha256(b"form:" + request.cookies.get(COOKIE, "").encode()).hexdigest()


def check_token(expected: str) -> None:
    """Raises Forbidden unless the form, or its header, carries that token, and the browser says it is from here."""
    sent = request.headers.get("X-CSRF-Token") or request.form.get("csrf", "")
    from_here = request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")
    if not from_here or not hmac.compare_digest(sent.encode(), expected.encode()):
        raise Forbidden("This form has expired. Go back, reload the page and try again.")


def is_secure() -> bool:
    """Whether people reach this over TLS."""
    return request.is_secure or container().settings.public_url.startswith("https:")


def _session() -> ActiveSession | None:
    token = request.cookies.get(COOKIE, "")
    if request.endpoint == "console.static" or not _TOKEN.match(token):
        return None
    storage = container().storage
    found = storage.read(sessions.find, token, container().access.session_idle)
    if found is not None and found.stale and request.endpoint not in _ASKED_BY_PAGES:
        storage.transact(sessions.touch, found.id)
    return found


def _to_sign_in() -> Response:
    wanted = request.full_path.rstrip("?") if request.method == "GET" and not is_part() else None
    place = url_for("console.sign_in", next=wanted)
    if is_part():
        return Response(status=401, headers={"HX-Redirect": place})
    answer: Any = redirect(place, 303)
    return answer  # type: ignore[no-any-return]


def _account(slug: str) -> Account:
    """The account of the path; raises NotFound, AccountNotFound."""
    if not person().sees(slug):
        raise NotFound
    return person().account or container().storage.read(accounts.find, slug)
