"""The portal: how a link is used, and what its session may see and change; its frames are among the pages."""

import re
from typing import Any

import pytest

from dispatcher.access import portal
from dispatcher.access import tenants as accounts
from dispatcher.alerts.channels import create_channel
from dispatcher.container import Container
from dispatcher.errors import AccountNotFound, InvalidPortalSession, PortalSessionNotFound
from dispatcher.model.account import Account
from dispatcher.storage.admin import audit, portal_sessions, tenants
from dispatcher.web.app import create_app
from tests.integration.console.conftest import CHANNEL, REPLAY, Site, Traffic
from tests.support.api import Server
from tests.support.builders import an_account

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
WITHOUT_A_SESSION = {"portal.enter", "portal.start", "portal.theme", "portal.static"}


def set_look(container: Container, account: Account, **portal: Any) -> None:
    own = dict.fromkeys(("requests_per_minute", "emits_per_minute", "retention_days"))
    container.storage.transact(tenants.set_columns, account.id, own | {"portal": portal})


def a_link(container: Container, account: Account, **attributes: Any) -> str:
    """The token of a new one."""
    return portal.create(container.storage, account.slug, attributes)[1]


class Customer(Site):
    """A customer's browser without a browser."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.url = f"{server.url}/portal"

    def follow(self, token: str) -> Any:
        self.session.cookies.clear()
        answer = self.post("/enter", {"token": token})
        self.session.cookies.clear()
        for cookie in answer.raw.headers.getlist("Set-Cookie"):  # requests sends none that are Secure to plain HTTP
            name, value = cookie.partition(";")[0].split("=", 1)
            self.session.cookies.set(name, value)
        return answer


@pytest.fixture
def customer(server: Server) -> Customer:
    return Customer(server)


def test_a_link_is_used_once_and_not_by_looking_at_it(
    customer: Customer, server: Server, container: Container, account: Account, traffic: Traffic
) -> None:
    token = a_link(container, account, label="ann@shop.example", role="manage")
    for _ in range(2):
        seen = customer.get("/enter", params={"token": token})
        assert (seen.status_code, seen.headers["Referrer-Policy"]) == (200, "same-origin")
        assert "ann@shop.example" in seen.text  # before the button is pressed
        assert seen.headers["Cache-Control"] == "no-store"
    assert customer.post("/enter", {"token": token}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403

    started = customer.follow(token)
    assert (started.status_code, started.headers["Location"]) == (303, "/portal/")
    (cookie,) = started.raw.headers.getlist("Set-Cookie")
    for attribute in ("portal=", "Secure", "HttpOnly", "SameSite=None", "Partitioned", "Path=/portal"):
        assert attribute in cookie
    assert customer.get("/").headers["Location"] == f"/portal/accounts/{account.slug}/"
    page = customer.get(f"/accounts/{account.slug}/").text
    assert "All accounts" not in page
    assert "Sessions" not in page
    assert f'class="where">{account.slug} <span class="quiet">· ann@shop.example' in page  # not a stranger's link

    for again in (customer.get("/enter", params={"token": token}), customer.post("/enter", {"token": token})):
        assert (again.status_code, again.headers["Location"]) == (303, "/portal/")  # a frame that is loaded again
    stranger = Customer(server)
    assert stranger.get("/enter", params={"token": token}).status_code == 404
    assert stranger.follow(token).status_code == 404
    stored = traffic.sql("select s::text from dispatcher.portal_sessions s where account_id = %(id)s", id=account.id)
    assert token not in stored[0][0]
    shown = customer.get(f"/accounts/{account.slug}/audit-log").text
    assert "ann@shop.example" in shown
    assert "The provider" in shown
    assert ">dispatcher <" not in shown  # who acts for the provider, and on which machine, is not for customers
    entries = container.storage.read(audit.page, account_id=account.id)
    assert [(one.action, one.actor.kind) for one in entries[:2]] == [
        ("portal_session.started", "portal_session"),
        ("portal_session.created", "system"),
    ]
    assert entries[0].actor.name == "ann@shop.example"


def test_links_and_sessions_end(customer: Customer, container: Container, account: Account, traffic: Traffic) -> None:
    path = f"/accounts/{account.slug}/"
    late = a_link(container, account)
    traffic.sql("update dispatcher.portal_sessions set ends_at = now() where account_id = %(id)s", id=account.id)
    assert customer.follow(late).status_code == 404

    customer.follow(a_link(container, account, expires_in=120))
    (session,) = container.storage.read(portal_sessions.list_all, account.id)
    assert session.started_at is not None
    assert (session.ends_at - session.started_at).total_seconds() == 120
    assert customer.get(path).status_code == 200
    traffic.sql("update dispatcher.portal_sessions set ends_at = now() where id = %(id)s", id=session.id)
    assert customer.get(path).status_code == 401
    assert customer.get(f"{path}stats", headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"

    customer.follow(a_link(container, account, return_url="https://shop.example/hooks"))
    left = customer.post("/sign-out", {"csrf": customer.token_of(customer.get(path))})
    assert "https://shop.example/hooks" in left.text
    assert customer.get(path).status_code == 401

    other = an_account(container.storage, f"{account.slug}-other")
    customer.follow(a_link(container, account))
    (live,) = container.storage.read(portal_sessions.list_all, account.id)
    with pytest.raises(PortalSessionNotFound):
        portal.revoke(container.storage, other.slug, live.id)
    assert portal.revoke(container.storage, other.slug) == 0
    for whose, goes_on in ((account, True), (other, False)):
        entered = customer.get("/enter", params={"token": a_link(container, whose)}).text
        assert ('data-submit="everywhere"' in entered, whose.slug in entered) == (goes_on, True)
    assert portal.revoke(container.storage, other.slug) == 1
    assert customer.get(path).status_code == 200
    assert portal.revoke(container.storage, account.slug) == 2
    assert customer.get(path).status_code == 401
    customer.follow(a_link(container, account))
    assert customer.get(path).status_code == 200
    accounts.delete(container.storage, account.slug)
    assert customer.get(path).status_code == 401


def test_console_and_portal_take_no_session_of_each_other(
    customer: Customer, signed_in: Site, container: Container, account: Account
) -> None:
    customer.follow(a_link(container, account, role="manage"))
    mine, theirs = customer.session.cookies["portal"], signed_in.session.cookies["console"]
    for name, cookie in (("console", theirs), ("portal", theirs)):
        customer.session.cookies.clear()
        customer.session.cookies.set(name, cookie)
        assert customer.get(f"/accounts/{account.slug}/").status_code == 401
    for name in ("console", "portal"):
        signed_in.session.cookies.clear()
        signed_in.session.cookies.set(name, mine)
        assert signed_in.get(f"/accounts/{account.slug}/").status_code == 303
    assert signed_in.get("/enter").status_code == 303


EVENT_TYPE: dict[str, Any] = {"name": "invoice_paid"}
"""The catalogue is everybody's."""


def test_of_every_page_and_form_a_customer_has_what_their_role_and_account_allow(
    container: Container, account: Account, traffic: Traffic
) -> None:
    """Each rule of the portal, so that one which is added later is tried, too."""
    other = an_account(container.storage, f"{account.slug}-other")
    ids = _things(traffic)
    theirs = _things(Traffic(container, other, traffic.receiver))
    app = create_app(container)
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("portal.")]
    clients = {}
    for role in ("read", "manage"):
        clients[role] = app.test_client()
        clients[role].set_cookie("portal", _a_session(container, account, role), path="/portal")
    tokens = {role: _csrf(client) for role, client in clients.items()}

    def answer(role: str, method: str, rule: Any, slug: str, things: dict[str, int]) -> int:
        values = {name: slug if name == "slug" else (things | EVENT_TYPE)[name] for name in rule.arguments}
        path = app.url_map.bind("localhost").build(rule.endpoint, values, method)
        return clients[role].open(path, method=method, data={"csrf": tokens[role]}).status_code

    zone = {"portal.time_zone", "portal.set_time_zone"}
    anywhere = {"portal.home", "portal.sign_out", "portal.unknown_page", *zone, *WITHOUT_A_SESSION}
    statuses = [
        (rule, method, role, whose, answer(role, method, rule, slug, things))
        for rule in rules
        if rule.endpoint not in anywhere
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        for role in ("read", "manage")
        for whose, slug, things in (
            ("own", account.slug, ids),
            ("another's thing", account.slug, theirs),
            ("another account", other.slug, theirs),
        )
        if whose != "another's thing" or rule.arguments - {"slug", "name"}
        if (whose, role) != ("own", "manage")  # what they may do is tried by the tests of the console
    ]

    assert len(statuses) > 80
    for rule, method, role, whose, status in statuses:
        if "slug" not in rule.arguments:
            assert status == 404, rule  # of operators, and of users
        elif role == "read" and method in UNSAFE:
            assert status == 403, (rule, whose)
        elif whose == "another account":
            assert status == 404, (rule, method, role)
        elif whose == "another's thing":  # a form that needs the role `manage` is refused as for one's own
            assert status == 404 or (role, status) == ("read", 403), (rule, method)
        else:
            assert status in (200, 403), rule  # 403: a form, or the audit log
    assert traffic.sql("select active from dispatcher.webhooks where id = %(id)s", id=theirs["webhook_id"]) == [(True,)]


def _things(traffic: Traffic) -> dict[str, int]:
    webhook = traffic.webhook()
    (event,) = traffic.emit()
    (replay,) = traffic.sql(REPLAY, id=traffic.account.id)[0]
    delivery = traffic.deliveries(webhook)[0]
    channel = create_channel(traffic.container.storage, traffic.account.id, CHANNEL).id
    ids = {"webhook_id": webhook, "event_id": event, "delivery_id": delivery, "replay_id": replay}
    return {**ids, "channel_id": channel, "id_": 1}


def _a_session(container: Container, account: Account, role: str) -> str:
    started = container.storage.transact(portal_sessions.start, a_link(container, account, role=role))
    assert started is not None
    return started[1]


def _csrf(client: Any) -> str:
    found: str = re.findall(r'name="csrf" value="([^"]+)"', client.get("/portal/nowhere").text)[0]
    return found


def test_a_link_with_invalid_attributes_is_refused(container: Container, account: Account) -> None:
    for attributes in (
        {"role": "owner"},
        {"expires_in": 59},
        {"expires_in": 43_201},
        {"return_url": "javascript:alert(1)"},
        {"return_url": "https://shop.example/\nx"},
        {"label": "a\nb"},
        {"theme": {"accent": "#fff;} body{display:none"}},
        {"surplus": 1},
    ):
        with pytest.raises(InvalidPortalSession):
            a_link(container, account, **attributes)
    with pytest.raises(AccountNotFound):
        portal.create(container.storage, "nobody", {})


def test_only_the_accounts_own_origins_frame_its_pages(
    customer: Customer, container: Container, account: Account
) -> None:
    path = f"/accounts/{account.slug}/"
    customer.follow(a_link(container, account))
    alone = customer.get(path).headers
    assert ("frame-ancestors 'none'" in alone["Content-Security-Policy"], alone["X-Frame-Options"]) == (True, "DENY")

    set_look(container, account, frame_ancestors=["https://a.example", "https://*.b.example"])
    for framed in (
        customer.get(path),
        customer.get("/nowhere"),
        customer.get("/enter", params={"token": a_link(container, account)}),
    ):
        assert framed.headers["Content-Security-Policy"].endswith(
            "frame-ancestors https://a.example https://*.b.example"
        )
        assert "X-Frame-Options" not in framed.headers
    set_look(container, account, theme={"logo_url": "https://cdn.example/logo.png?a=b"})
    with_logo = customer.get(path)
    assert "img-src 'self' data: https://cdn.example;" in with_logo.headers["Content-Security-Policy"]
    assert 'src="https://cdn.example/logo.png?a=b"' in with_logo.text
