"""What every page of the console has: its viewer, the account that it shows, its frame, and its safe headers.

1. A session is needed (else: the page to sign in). 2. What changes something carries the session's token (403), so no
other site can send it. 3. The account in the path is one that this person sees (404, so that nothing is revealed). 4.
Read-only users change nothing (403).
"""

import hashlib
import hmac
import re
from typing import Any, TypeVar, cast

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import Forbidden, NotFound

from dispatcher.api.http import container, with_safe_headers
from dispatcher.model.account import Account
from dispatcher.model.audit import Actor, acting
from dispatcher.phrases import counted
from dispatcher.storage.admin import accounts, sessions
from dispatcher.storage.admin.sessions import ActiveSession, Person
from dispatcher.storage.reads.deliveries import DeliveryRow
from dispatcher.webhooks.ping import PingResult

blueprint = Blueprint("console", __name__, url_prefix="/console", template_folder="templates", static_folder="static")

COOKIE = "console"
PUBLIC = frozenset({"console.sign_in", "console.sign_in_with", "console.static"})
"""What is shown to those who have not signed in."""
_ALLOWED_READ_ONLY = frozenset({"console.sign_out", "console.end_session", "console.end_others"})
"""What read-only users may change: their own sessions."""
_POLLED = frozenset({"console.stats", "console.all_stats", "console.delivery_progress", "console.replay_progress"})
"""What an open page requests again and again: that is no use of a session."""
T = TypeVar("T", DeliveryRow, PingResult)

_TOKEN = re.compile(r"[0-9A-Za-z_-]{20,100}\Z")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'"
)

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
    acting.set(Actor(kind="user", id=g.person.user_id, name=g.person.email))
    if request.method == "POST":
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
        response.delete_cookie(_MESSAGE_COOKIE, path="/console")
    with_safe_headers(response, _POLICY, referrer="same-origin")
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if request.endpoint == "console.static":
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if "v" in request.args else "no-cache"
    return response


def person() -> Person:
    """The viewer of this page."""
    return cast(Person, g.person)


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
    return url_for(f"console.{endpoint}", **arguments)


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
    """Of the console alone, and not for scripts."""
    where: dict[str, Any] = {"path": "/console", "secure": is_secure(), "httponly": True, "samesite": samesite}
    response.set_cookie(name, value, max_age=max_age, **where)


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
    return hmac.new(request.cookies.get(COOKIE, "").encode(), f"{message}.{count}".encode(), "sha256").hexdigest()


def csrf_token() -> str:
    """The token of this session's forms, derived from its cookie."""
    return hashlib.sha256(b"form:" + request.cookies.get(COOKIE, "").encode()).hexdigest()


def check_token(expected: str) -> None:
    """Raises Forbidden unless the form, or a header, carries that token, and the browser says it is the same site."""
    sent = request.headers.get("X-CSRF-Token") or request.form.get("csrf", "")
    same_site = request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")
    if not same_site or not hmac.compare_digest(sent.encode(), expected.encode()):
        raise Forbidden("This form has expired. Go back, reload the page and try again.")


def is_secure() -> bool:
    """Whether browsers reach the console over TLS."""
    return request.is_secure or container().settings.public_url.startswith("https:")


def _session() -> ActiveSession | None:
    token = request.cookies.get(COOKIE, "")
    if request.endpoint == "console.static" or not _TOKEN.match(token):
        return None
    storage = container().storage
    session = storage.read(sessions.find, token, container().access.session_idle)
    if session is not None and session.stale and request.endpoint not in _POLLED:
        storage.transact(sessions.touch, session.id)
    return session


def _to_sign_in() -> Response:
    next_page = request.full_path.rstrip("?") if request.method == "GET" and not is_part() else None
    path = url_for("console.sign_in", next=next_page)
    return Response(status=401, headers={"HX-Redirect": path}) if is_part() else see_other(path)


def _account(slug: str) -> Account:
    """The account of the path; raises NotFound, AccountNotFound."""
    if not person().sees(slug):
        raise NotFound
    return person().account or container().storage.read(accounts.find, slug)
