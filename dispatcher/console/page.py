"""What every page of the console has: its viewer, the account that it shows, its frame, and its safe headers.

1. A session is needed (else: the page to sign in). 2. What changes something carries the session's token (403), so no
other site can send it. 3. The account in the path is one that this person sees (404, so that nothing is revealed). 4.
Read-only users change nothing (403).

The portal has the same pages at another address, by another cookie, for a customer of one account (`portal.py`).
"""

import hashlib
import hmac
import re
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import Forbidden, NotFound

from dispatcher.api.http import LOOPBACK, container, with_safe_headers
from dispatcher.model.account import Account
from dispatcher.model.audit import Actor, acting
from dispatcher.model.portal import PortalView
from dispatcher.phrases import counted
from dispatcher.storage.admin import accounts, portal_sessions, sessions
from dispatcher.storage.admin.sessions import ActiveSession, Person
from dispatcher.storage.reads.deliveries import DeliveryRow
from dispatcher.webhooks.ping import PingResult

blueprint = Blueprint("console", __name__, url_prefix="/console", template_folder="templates", static_folder="static")

COOKIE = "console"
PORTAL = "portal"
"""The blueprint's other name, under which it is at /portal, and that of the cookie there."""
_FILES = frozenset({"console.static", "portal.static", "portal.theme"})
"""What any browser may keep."""
_OIDC = frozenset({"console.oidc_start", "console.oidc_callback", "console.oidc_sign_out"})
PUBLIC = frozenset({"console.sign_in", "console.sign_in_with", "portal.enter", "portal.start", *_FILES, *_OIDC})
"""What is shown to those who have not signed in."""
_ALLOWED_READ_ONLY = frozenset(
    {"console.end_session", "console.end_others"}
    | {f"{where}.{name}" for where in ("console", PORTAL) for name in ("sign_out", "set_time_zone")}
)
"""What read-only users may change: their own sessions and time zone."""
_POLLED = frozenset(
    f"console.{name}"
    for name in ("stats", "all_stats", "delivery_progress", "replay_progress", "live_rows", "workers_now")
)
"""What an open page requests again and again: that is no use of a session."""
_BESIDE_ACCOUNT = frozenset(
    f"portal.{name}" for name in ("home", "sign_out", "unknown_page", "time_zone", "set_time_zone")
)
"""What customers open beside the pages of their account."""
T = TypeVar("T", DeliveryRow, PingResult)

_NEXT_PAGE = re.compile(r"/console(/[A-Za-z0-9/_.-]*)?(\?[^\s\\]*)?\Z")
_TOKEN = re.compile(r"[0-9A-Za-z_-]{20,100}\Z")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:{logo}; connect-src 'self'; "
    "form-action 'self'"
)

_EXPIRED = "This form has expired. Go back, reload the page and try again."
READ_ONLY = "You have read-only access to this account."

_MESSAGE_COOKIE = "console_message"
_MESSAGES = {
    "created": "Webhook created.",
    "saved": "Webhook saved.",
    "deleted": "Webhook deleted. Its pending deliveries were cancelled.",
    "paused": "Webhook paused. New events create no deliveries for it; pending deliveries are kept.",
    "activated": "Webhook activated. Its pending deliveries resume.",
    "upgraded": "Newest version from the next attempt on.",
    "redelivered": "Redelivery queued.",
    "retried": "The next attempt is due now.",
    "redelivered_many": "Redeliveries queued: {count}.",
    "none_selected": "No deliveries selected.",
    "stopped": "Replay stopped.",
    "resumed": "Replay resumed.",
    "channel_created": "Channel created.",
    "channel_saved": "Channel saved.",
    "channel_deleted": "Channel deleted.",
    "test_sent": "Test sent.",
    "zone_set": "Time zone saved.",
    "session_ended": "Session ended.",
    "others_ended": "All other sessions ended.",
}


@blueprint.before_request
def check() -> Any:
    """Steps 1 to 4; an answer where the request ends here."""
    g.account = g.session = g.person = g.portal = None
    if request.endpoint in _FILES:
        return None
    if in_portal():
        _identify_customer()
    else:
        _identify_user()
    if request.endpoint in PUBLIC:
        return None
    if g.person is None:
        return _session_ended() if in_portal() else _to_sign_in()
    if in_portal() and "slug" not in (request.view_args or {}) and request.endpoint not in _BESIDE_ACCOUNT:
        raise NotFound
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        check_token(csrf_token())
        if not g.person.may_write and request.endpoint not in _ALLOWED_READ_ONLY:
            raise Forbidden(READ_ONLY)
    if request.view_args and "slug" in request.view_args:
        g.account = _account(request.view_args.pop("slug"))
    return None


@blueprint.after_request
def add_headers(response: Response) -> Response:
    """Only the console's own files run in a page, no other site frames it, and no cache keeps it."""
    if g.get("message_is_shown") and _MESSAGE_COOKIE in request.cookies:
        delete_cookie(response, _MESSAGE_COOKIE)
    view = portal_view()
    logo = origin(view.theme["logo_url"]) if view is not None and "logo_url" in view.theme else ""
    frame_ancestors = view.frame_ancestors if view is not None else g.get("frame_ancestors", ())
    policy = _POLICY.format(logo=logo and f" {logo}")
    with_safe_headers(response, policy, referrer="same-origin", frame_ancestors=frame_ancestors)
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    if request.endpoint in _FILES:
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if "v" in request.args else "no-cache"
    return response


def person() -> Person:
    """The viewer of this page."""
    return cast(Person, g.person)


def in_portal() -> bool:
    """Whether a customer sees this page, by a link."""
    return request.blueprint == PORTAL


def portal_view() -> PortalView | None:
    """The customer's session; None in the console, and where there is none."""
    return cast("PortalView | None", g.portal)


def visible(record: T) -> T:
    """`record` as this page's viewer may see it: operators see more of attempts than a webhook's owner."""
    return record if person().account is None else record.for_clients()


def session_id() -> int:
    """The id of the viewer's session."""
    return cast(ActiveSession, g.session).id


def account() -> Account:
    """The account that this page shows."""
    return cast(Account, g.account)


def page(template: str, status: int = 200, **context: Any) -> Response:
    """A page, or a part of one."""
    return make_response(render_template(f"console/{template}", **context), status)


def confirm(count: int, what: str, *, key: str = "the same Idempotency-Key", cancel: str) -> Response:
    """Asks before this request's form is acted on: `count` deliveries that were delivered would be sent again.

    `what` names all that the form is about; `cancel` is a path. The form comes back with `confirmed`.
    """
    fields = [(name, value) for name, value in request.form.items(multi=True) if name not in ("csrf", "confirmed")]
    return page(
        "confirm.html",
        title="Send again?",
        text=f"{what} Their receivers get {'it' if count == 1 else 'them'} a second time, with {key}.",
        fields=fields,
        button=f"Send {counted(count, 'delivery')} again",
        cancel=cancel,
    )


def is_confirmed() -> bool:
    """Whether the form comes from `confirm`."""
    return bool(request.form.get("confirmed"))


def is_part() -> bool:
    """Whether htmx requests a part of the page."""
    return request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers


def without_polling(part: Response) -> Response:
    """A part that will not change any more: the page that polls it is to be reloaded."""
    part.headers["X-Finished"] = "1"
    return part


def to(endpoint: str, **arguments: Any) -> str:
    """The path of another page, of the same account unless `slug` names another."""
    if "slug" not in arguments and g.get("account") is not None:
        arguments["slug"] = g.account.slug
    if arguments.get("slug") is None:
        arguments.pop("slug", None)
    return url_for(f"{request.blueprint or 'console'}.{endpoint}", **arguments)


def redirect_to(endpoint: str, message: str = "", count: int = 0, **arguments: Any) -> Response:
    """To another page after an action; `message` names one of _MESSAGES, `count` is the number in it.

    It travels in a cookie that the page ends, not in the address, so that a reload does not show it again; signed for
    this session, so that nobody else says something here.
    """
    response = see_other(to(endpoint, **arguments))
    if message:
        set_cookie(response, _MESSAGE_COOKIE, f"{message}.{count}.{_signature(message, str(count))}", max_age=60)
    return response


def set_cookie(response: Response, name: str, value: str, *, samesite: str = "Lax", max_age: int | None = None) -> None:
    """Of the console alone, or of the portal, and not for scripts."""
    response.set_cookie(name, value, max_age=max_age, **_of_cookie(samesite))


def delete_cookie(response: Response, name: str) -> None:
    """The opposite."""
    response.delete_cookie(name, **_of_cookie("Lax"))


def _of_cookie(samesite: str) -> dict[str, Any]:
    """A frame of another site sends no other cookies than these, and has them apart for each site that frames it.

    Browsers take them from loopback without TLS, too; elsewhere, without TLS, the portal works outside of frames only.
    """
    attributes: dict[str, Any] = {"path": "/console", "secure": is_secure(), "httponly": True, "samesite": samesite}
    if not in_portal():
        return attributes
    if is_secure() or (urlsplit(request.host_url).hostname or "") in LOOPBACK:
        attributes |= {"secure": True, "samesite": "None", "partitioned": True}
    return attributes | {"path": "/portal"}


def next_page(path: str) -> str:
    """Where somebody goes who has signed in: to the page that they wanted, if it is one of the console."""
    return path if _NEXT_PAGE.match(path) else to("home")


def origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def see_other(path: str) -> Response:
    """303: the browser goes on with a GET."""
    return cast(Response, redirect(path, 303))


def flash_message() -> str | None:
    """What the last action did, in a sentence."""
    g.message_is_shown = True
    name, _, rest = request.cookies.get(_MESSAGE_COOKIE, "").partition(".")
    count, _, signature = rest.partition(".")
    if name not in _MESSAGES or not hmac.compare_digest(signature.encode(), _signature(name, count).encode()):
        return None
    return _MESSAGES[name].format(count=count)


def _signature(message: str, count: str) -> str:
    return hmac.new(csrf_token().encode(), f"{message}.{count}".encode(), "sha256").hexdigest()


def csrf_token() -> str:
    """The token of this session's forms, derived from its cookie."""
    return hashlib.sha256(b"form:" + request.cookies.get(PORTAL if in_portal() else COOKIE, "").encode()).hexdigest()


def check_token(expected: str) -> None:
    """Raises Forbidden unless the form, or a header, carries that token, and the browser says it is the same site."""
    check_same_site()
    sent = request.headers.get("X-CSRF-Token") or request.form.get("csrf", "")
    if not hmac.compare_digest(sent.encode(), expected.encode()):
        raise Forbidden(_EXPIRED)


def check_same_site() -> None:
    """Raises Forbidden where the browser says that another site sent the form."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden(_EXPIRED)


def is_secure() -> bool:
    """Whether browsers reach the console over TLS."""
    return request.is_secure or container().settings.public_url.startswith("https:")


def _session() -> ActiveSession | None:
    token = request.cookies.get(COOKIE, "")
    if not _TOKEN.match(token):
        return None
    storage = container().storage
    session = storage.read(sessions.find, token, container().access.session_idle)
    if session is not None and session.stale and request.endpoint not in _POLLED:
        storage.transact(sessions.touch, session.id)
    return session


def _identify_user() -> None:
    g.session = _session()
    if g.session is not None:
        g.person = g.session.person
        acting.set(Actor(kind="user", id=g.person.user_id, name=g.person.email))


def _identify_customer() -> None:
    token = request.cookies.get(PORTAL, "")
    g.portal = container().storage.read(portal_sessions.find, token) if _TOKEN.match(token) else None
    if (view := portal_view()) is None:
        return
    name = view.label or f"portal session {view.id}"
    permission = "write" if view.role == "manage" else "read"
    g.person = Person(user_id=0, email=name, full_name=name, permission=permission, account=view.account)
    acting.set(Actor(kind="portal_session", id=view.id, name=name))


def _session_ended() -> Response:
    """That there is no session (any more), in the frame where it was, or as a part's reason to load the page again."""
    if is_part():
        return Response(status=401, headers={"HX-Refresh": "true"})
    g.frame_ancestors = ("*",)  # there is nothing on it to click, and whose it was is not known
    return page("portal_ended.html", 401)


def _to_sign_in() -> Response:
    next_page = request.full_path.rstrip("?") if request.method == "GET" and not is_part() else None
    path = url_for("console.sign_in", next=next_page)
    return Response(status=401, headers={"HX-Redirect": path}) if is_part() else see_other(path)


def _account(slug: str) -> Account:
    """The account of the path; raises NotFound, AccountNotFound."""
    if not person().sees(slug):
        raise NotFound
    return person().account or container().storage.read(accounts.find, slug)
