"""Who sees what, by plain HTTP: sessions, accounts, forms of other sites, headers."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from dispatcher import event_types
from dispatcher.access import users
from dispatcher.access.sign_in import PER_ADDRESS
from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.model.webhook import POLL_URL
from dispatcher.storage.admin.webhooks import find
from dispatcher.storage.engine import rows
from dispatcher.web.app import create_app
from tests.integration.console.conftest import PASSWORD, Site, Traffic, a_session
from tests.integration.console.test_console_pages import PAGES
from tests.support.builders import a_webhook, an_account
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually

_IDS = {"webhook": 1, "off": 1, "delivery": 1, "retrying": 1, "event": 1, "replay": 1, "channel": 1}
ACTIONS = (
    "/webhooks",
    "/webhooks/{webhook}/edit",
    "/webhooks/{webhook}/ping",
    "/webhooks/{webhook}/secret",
    "/webhooks/{webhook}/secret/rotate",
    "/webhooks/{webhook}/poll_token",
    "/webhooks/{webhook}/pause",
    "/webhooks/{webhook}/activate",
    "/webhooks/{webhook}/upgrade",
    "/webhooks/{webhook}/delete",
    "/deliveries/{delivery}/redeliver",
    "/deliveries/{delivery}/retry",
    "/deliveries/redeliver",
    "/replays",
    "/replays/{replay}/stop",
    "/replays/{replay}/resume",
    "/alerts",
    "/alerts/{channel}/edit",
    "/alerts/{channel}/test",
    "/alerts/{channel}/delete",
)


@pytest.fixture
def theirs(container: Container, traffic: Traffic) -> dict[str, Any]:
    """An account of others, with a webhook, a delivery and an event; the ids by which its pages are found."""
    webhook = traffic.webhook()
    (event,) = traffic.emit()
    return {**_IDS, "webhook": webhook, "off": webhook, "event": event, "delivery": traffic.deliveries(webhook)[0]}


def test_without_a_session_every_page_leads_to_the_sign_in(site: Site, account: Account) -> None:
    for path in PAGES:
        answer = site.get(f"/accounts/{account.slug}" + path.format(**_IDS))
        assert (answer.status_code, answer.headers["Location"][:17]) == (303, "/console/sign-in?"), path
    for path in ACTIONS:
        answer = site.post(f"/accounts/{account.slug}" + path.format(**_IDS))
        assert (answer.status_code, answer.headers["Location"]) == (303, "/console/sign-in"), path
    part = site.get(f"/accounts/{account.slug}/stats", headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["HX-Redirect"]) == (401, "/console/sign-in")


def test_who_signs_in_comes_to_the_page_that_was_wanted_and_only_within_the_console(
    site: Site, person: Callable[..., str], account: Account
) -> None:
    wanted = f"/console/accounts/{account.slug}/events?event_name=invoice_paid"
    assert site.sign_in(person(), next=wanted).headers["Location"] == wanted
    for place in ("https://evil.example.com/", "//evil.example.com", "/console/\\evil", "/console@evil", "/api/v3"):
        assert Site(_server(site)).sign_in(person(), next=place).headers["Location"] == "/console/"
    assert site.get("/").headers["Location"] == f"/console/accounts/{account.slug}/"


def _server(site: Site) -> Any:
    class At:
        url = site.url.removesuffix("/console")

    return At


def test_the_account_of_others_is_not_found(
    container: Container, site: Site, person: Callable[..., str], account: Account, theirs: dict[str, Any]
) -> None:
    other = an_account(container.storage, f"{account.slug}-other")
    site.sign_in(person(of=other))
    token = site.token(f"/accounts/{other.slug}/")

    for slug in (account.slug, "nobody"):
        assert {site.get(f"/accounts/{slug}" + path.format(**theirs)).status_code for path in PAGES} == {404}
        assert {
            site.post(f"/accounts/{slug}" + path.format(**theirs), {"csrf": token}).status_code for path in ACTIONS
        } == {404}
    assert site.get("/stats").status_code == 404


def test_what_is_of_others_is_not_found_below_the_own_account(
    container: Container, site: Site, person: Callable[..., str], account: Account, theirs: dict[str, Any]
) -> None:
    other = an_account(container.storage, f"{account.slug}-other")
    site.sign_in(person(of=other))
    token = site.token(f"/accounts/{other.slug}/")

    for path in ("/webhooks/{webhook}", "/webhooks/{webhook}/edit", "/deliveries/{delivery}", "/events/{event}"):
        assert site.get(f"/accounts/{other.slug}" + path.format(**theirs)).status_code == 404, path
    for path in ACTIONS[2:9]:
        answer = site.post(f"/accounts/{other.slug}" + path.format(**theirs), {"csrf": token})
        assert answer.status_code == 404, path
    is_active = "select active from dispatcher.webhooks where id = %(id)s"
    assert container.storage.transact(rows, is_active, id=theirs["webhook"]) == [(True,)]


def test_operators_see_all_accounts(
    site: Site, person: Callable[..., str], account: Account, theirs: dict[str, Any]
) -> None:
    site.sign_in(person("operator"))

    assert account.slug in site.get("/").text
    assert site.get("/stats").status_code == 200
    assert site.get(f"/accounts/{account.slug}/webhooks/{theirs['webhook']}").status_code == 200
    assert site.get("/accounts/nobody/").status_code == 404


def test_who_may_only_look_changes_nothing_and_does_not_see_the_token_in_a_url(
    site: Site, person: Callable[..., str], account: Account, theirs: dict[str, Any], traffic: Traffic
) -> None:
    traffic.sql("update dispatcher.webhooks set webhook_url = webhook_url || '?token=hunter3'")
    site.sign_in(person("read"))
    base = f"/accounts/{account.slug}"

    page = site.get(f"{base}/webhooks/{theirs['webhook']}")
    assert page.status_code == 200
    assert re.findall("<button[^>]*>([^<]+)", page.text) == ["Sign out"]
    for path in ACTIONS:
        answer = site.post(base + path.format(**theirs), {"csrf": site.token_of(page)})
        assert answer.status_code == 403, path
    assert "hunter" not in page.text
    for path in ("/webhooks/{webhook}/edit", "/webhooks/new"):
        assert site.get(base + path.format(**theirs)).status_code == 403, path
    assert site.post("/sign-out", {"csrf": site.token_of(page)}).status_code == 303


def test_a_form_without_the_sessions_token_changes_nothing(signed_in: Site, account: Account, traffic: Traffic) -> None:
    webhook = traffic.webhook()
    path = f"/accounts/{account.slug}/webhooks/{webhook}/pause"
    token = signed_in.token(f"/accounts/{account.slug}/")

    for form, headers in (
        ({}, {}),
        ({"csrf": "0" * 64}, {}),
        ({"csrf": token[:-1]}, {}),
        ({"csrf": "é"}, {}),
        ({"csrf": token}, {"Sec-Fetch-Site": "cross-site"}),
    ):
        assert signed_in.post(path, form, headers=headers).status_code == 403
    assert traffic.sql("select active from dispatcher.webhooks where id = %(id)s", id=webhook) == [(True,)]
    assert signed_in.post(path, {"csrf": token}).status_code == 303


def test_signing_out_ends_the_session_on_the_server(site: Site, person: Callable[..., str], account: Account) -> None:
    site.sign_in(person())
    cookie = site.session.cookies["console"]
    assert site.send("/sign-out").status_code == 303

    assert site.session.cookies.get("console") is None
    site.session.cookies.set("console", cookie)
    assert site.get(f"/accounts/{account.slug}/").status_code == 303


def test_a_webhook_of_wildcards_and_fields_is_made_by_the_form_which_shows_what_would_be_sent(
    signed_in: Site, container: Container, account: Account, traffic: Traffic
) -> None:
    base = f"/accounts/{account.slug}"
    form = {"wildcards": "expense_*, *_paid", "events": "invoice_sent", "only_fields": "invoice.number expense.number"}
    form |= {"webhook_url": "https://example.com/hook", "payload_version": "v3", "signing": "standard"}
    form |= {"ordering": "none", "payload_limit": ""}
    traffic.emit("invoice_paid")

    shown = signed_in.send(f"{base}/webhooks/0/payload_preview", **form).text
    assert "of the last such event" in shown
    assert "number" in shown
    assert "client_name" not in shown
    refused = signed_in.send(f"{base}/webhooks/0/payload_preview", **form | {"wildcards": "oder_*"}).text
    assert "oder_*" in refused

    made = signed_in.send(f"{base}/webhooks", **form)
    id_ = int(made.headers["Location"].partition("?")[0].rpartition("/")[2])
    webhook = container.storage.read(find, container.storage.secrets, account.id, id_)
    assert webhook.events == ("expense_*", "*_paid", "invoice_sent")
    assert webhook.only_fields == ("invoice.number", "expense.number")
    assert 'value="expense_* *_paid"' in signed_in.get(f"{base}/webhooks/{id_}/edit").text
    assert "<code>expense_*</code>" in signed_in.get(f"{base}/webhooks/{id_}").text


def test_a_webhook_is_moved_to_a_newer_version_of_an_event(
    signed_in: Site, container: Container, account: Account, traffic: Traffic
) -> None:
    name, schema = "parcel.sent", {"type": "object", "required": ["number"]}
    number, reference = (
        {"properties": {key: {"type": "string"}}, "required": [key]} for key in ("number", "reference")
    )
    event_types.put(container.storage, name, {"schema": schema | number, "example": {"number": "7"}})
    id_ = traffic.webhook(events=[name])
    rename = [{"op": "move", "from": "/reference", "path": "/number"}]
    version = {"version": 2, "schema": schema | reference, "example": {"reference": "7"}, "downgrade": rename}
    event_types.put(container.storage, name, version)
    path = f"/accounts/{account.slug}/webhooks/{id_}"

    def page(text: str) -> str:
        """Once the server knows of it."""
        return eventually(lambda: found if text in (found := signed_in.get(path).text) else "", what=text)

    shown = page("Pinned to version 1; version 2 is the newest.")
    assert "<code>number</code> removed <strong>(breaks)</strong>" in shown

    assert signed_in.send(f"{path}/upgrade", event_name=name).status_code == 303
    assert "Version 2, the newest" in page("Version 2")
    assert container.storage.read(find, container.storage.secrets, account.id, id_).event_versions == {name: 2}
    assert signed_in.send(f"{path}/delete").status_code == 303
    event_types.delete(container.storage, name)  # other tests have no such event


def test_a_session_that_has_expired_is_over(signed_in: Site, account: Account, traffic: Traffic) -> None:
    traffic.sql("update dispatcher.sessions set expires_at = now() - interval '1 second'")

    assert signed_in.get(f"/accounts/{account.slug}/").status_code == 303


def test_a_session_that_nobody_uses_is_over(
    signed_in: Site, container: Container, account: Account, traffic: Traffic
) -> None:
    idle_s = container.settings.session_idle_s
    page = f"/accounts/{account.slug}/"

    traffic.sql("update dispatcher.sessions set last_used_at = now() - make_interval(secs => %(s)s)", s=idle_s - 30)
    assert signed_in.get(page).status_code == 200  # and by that it is used
    assert traffic.sql(
        "select count(*) from dispatcher.sessions where last_used_at > now() - interval '20 seconds'"
    ) == [(1,)]

    traffic.sql("update dispatcher.sessions set last_used_at = now() - make_interval(secs => %(s)s)", s=idle_s + 1)
    assert signed_in.get(page).status_code == 303


def test_what_an_open_page_asks_by_itself_is_no_use_of_a_session(
    signed_in: Site, account: Account, traffic: Traffic
) -> None:
    traffic.sql("update dispatcher.sessions set last_used_at = now() - interval '1 hour'")

    assert signed_in.get(f"/accounts/{account.slug}/stats", headers={"HX-Request": "true"}).status_code == 200
    assert traffic.sql(
        "select count(*) from dispatcher.sessions where last_used_at > now() - interval '50 minutes'"
    ) == [(0,)]


def test_the_use_of_a_session_is_written_down_once_a_minute(
    signed_in: Site, account: Account, traffic: Traffic
) -> None:
    for ago, written in (("40 seconds", False), ("70 seconds", True)):
        traffic.sql(f"update dispatcher.sessions set last_used_at = now() - interval '{ago}'")
        signed_in.get(f"/accounts/{account.slug}/")
        assert traffic.sql("select max(last_used_at) > now() - interval '30 seconds' from dispatcher.sessions") == [
            (written,)
        ]


@pytest.mark.parametrize("permission", ["write", "read", "operator"])
def test_everybody_sees_and_ends_their_own_sessions(
    container: Container, site: Site, person: Callable[..., str], account: Account, permission: str
) -> None:
    email, stranger = person(permission), person()
    browsers = [Site(_server(site)) for _ in range(4)]
    for browser, whose in zip(browsers, (email, email, email, stranger), strict=True):
        browser.session.cookies.set("console", a_session(container, whose))
    page = browsers[0].get("/sessions")
    ends = re.findall(r"/sessions/(\d+)/end", page.text)
    assert (page.status_code, page.text.count("Browser/1"), len(ends)) == (200, 3, 2)

    assert browsers[0].send(f"/sessions/{ends[0]}/end").status_code == 303
    assert sorted(browser.get("/sessions").status_code for browser in browsers) == [200, 200, 200, 303]
    assert browsers[3].send(f"/sessions/{ends[1]}/end").status_code == 404
    assert browsers[0].send("/sessions/end-others").status_code == 303
    assert [browser.get("/sessions").status_code for browser in browsers] == [200, 303, 303, 200]


def test_a_session_tells_where_it_was_signed_in(site: Site, person: Callable[..., str]) -> None:
    site.sign_in(person(), headers={"User-Agent": "Firefox <of mine>"})

    page = site.get("/sessions").text
    assert "Firefox &lt;of mine&gt;" in page
    assert site.session.headers["X-Forwarded-For"] in page


def test_the_session_is_stored_as_a_hash_only(signed_in: Site, traffic: Traffic) -> None:
    cookie = signed_in.session.cookies["console"].encode()

    assert cookie not in [bytes(hash_) for (hash_,) in traffic.sql("select hash from dispatcher.sessions")]


def test_cookies_are_kept_from_scripts_and_other_sites(site: Site, person: Callable[..., str]) -> None:
    answer = site.sign_in(person())
    (cookie,) = [one for one in answer.raw.headers.getlist("Set-Cookie") if one.startswith("console=")]
    assert ("HttpOnly" in cookie, "SameSite=Lax" in cookie, "Path=/console" in cookie) == (True, True, True)
    assert "Secure" not in cookie

    form = {"csrf": site.token_of(site.get("/sign-in")), "name": person(), "password": PASSWORD}
    behind_tls = site.post("/sign-in", form, headers={"X-Forwarded-Proto": "https"})
    assert all("Secure" in one for one in behind_tls.raw.headers.getlist("Set-Cookie") if "Max-Age=0" not in one)


def test_a_wrong_sign_in_is_refused_in_the_same_words(site: Site, person: Callable[..., str]) -> None:
    wrong: tuple[dict[str, Any], ...] = (
        {"password": "wrong"},
        {"name": "nobody@example.com"},
        {"name": ""},
        {"password": "x" * 2_000},
        {"name": "\0"},
        {"account": "nobody"},
    )
    for given in wrong:
        answer = site.sign_in(**({"name": person(), "password": PASSWORD} | given))

        assert answer.status_code == 403, given
        assert "Incorrect e-mail or password" in answer.text, given
        assert site.session.cookies.get("console") is None, given


def test_a_sign_in_needs_its_own_form(site: Site, person: Callable[..., str]) -> None:
    form = {"name": person(), "password": PASSWORD, "csrf": "0" * 64}
    assert site.post("/sign-in", form).status_code == 403


@pytest.mark.parametrize("exists", [True, False])
def test_too_many_tries_from_one_address_are_refused_unseen_there_alone(
    site: Site, person: Callable[..., str], exists: bool
) -> None:
    email = person() if exists else "nobody@example.com"

    assert [site.sign_in(email, "wrong").status_code for _ in range(6)] == [403] * 5 + [429]
    refused = site.sign_in(email.upper())
    assert (refused.status_code, "Too many attempts" in refused.text) == (429, True)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert Site(_server(site)).sign_in(email).status_code == (303 if exists else 403)


def test_an_address_that_tries_many_names_is_sent_away(site: Site, person: Callable[..., str]) -> None:
    statuses = [site.sign_in(f"nobody{number}@example.com", "wrong").status_code for number in range(PER_ADDRESS + 2)]

    assert statuses == [403] * PER_ADDRESS + [429] * 2
    assert site.sign_in(person()).status_code == 429
    assert Site(_server(site)).sign_in(person()).status_code == 303


def test_right_passwords_use_nothing_up(site: Site, person: Callable[..., str]) -> None:
    email = person()
    for _ in range(PER_ADDRESS // 3 + 1):
        assert [site.sign_in(email, "wrong").status_code for _ in range(2)] == [403] * 2
        assert site.sign_in(email).status_code == 303
        site.session.cookies.clear()
    assert site.sign_in(email, "wrong").status_code == 403


def test_of_one_e_mail_in_two_accounts_the_account_decides(
    container: Container, site: Site, person: Callable[..., str], account: Account, traffic: Traffic
) -> None:
    email = person()
    other = an_account(container.storage, f"{account.slug}-other")
    again = person(of=other)
    traffic.sql("update dispatcher.users set email = %(email)s where email = %(again)s", email=email, again=again)

    assert site.sign_in(email).status_code == 403
    assert site.sign_in(email, account=other.slug).status_code == 303
    assert site.get("/").headers["Location"] == f"/console/accounts/{other.slug}/"


def test_every_answer_has_headers_that_keep_other_scripts_out(signed_in: Site, account: Account) -> None:
    for path in ("/sign-in", f"/accounts/{account.slug}/", "/nowhere", "/static/console.css"):
        headers = signed_in.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(
            policy.split("; ")
        )
        assert (headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == ("DENY", "nosniff")
    assert signed_in.get(f"/accounts/{account.slug}/").headers["Cache-Control"] == "no-store"


def test_pages_hold_no_inline_scripts_or_styles(signed_in: Site, account: Account, theirs: dict[str, Any]) -> None:
    for path in PAGES:
        text = signed_in.get(f"/accounts/{account.slug}" + path.format(**theirs)).text
        assert re.findall(r"<script(?![^>]*src=)|<style|style=|\son\w+=|javascript:", text) == [], path


def test_secrets_are_on_no_page_unless_they_are_asked_for(
    container: Container, signed_in: Site, account: Account, traffic: Traffic
) -> None:
    webhook = traffic.webhook(auth_header="Bearer hunter2")
    traffic.sql(
        "update dispatcher.webhooks set webhook_url = webhook_url || '?token=hunter3' where id = %(id)s", id=webhook
    )
    traffic.emit()
    traffic.drain(webhook)
    (delivery,) = traffic.deliveries(webhook)
    ids = {**_IDS, "webhook": webhook, "off": webhook, "delivery": delivery, "retrying": delivery}
    for path in PAGES:
        if path.endswith("/edit"):
            continue  # there the URL is what is edited
        text = signed_in.get(f"/accounts/{account.slug}" + path.format(**ids)).text
        assert re.findall("hunter|whsec_", text) == [], path
    assert "hunter2" not in signed_in.get(f"/accounts/{account.slug}/webhooks/{webhook}/edit").text
    revealed = signed_in.send(f"/accounts/{account.slug}/webhooks/{webhook}/secret")
    assert "whsec_" in revealed.text


def test_a_polled_webhook_shows_its_lag_and_gets_a_token(
    container: Container, signed_in: Site, account: Account, traffic: Traffic
) -> None:
    webhook = a_webhook(container.storage, account, POLL_URL).id
    traffic.emit()
    path = f"/accounts/{account.slug}/webhooks/{webhook}"

    text = signed_in.get(path).text
    assert re.search(r"Not acknowledged</dt><dd>1, oldest", text)
    assert "Send a test event" not in text
    assert "whp_" in signed_in.send(f"{path}/poll_token").text
    assert "whp_" not in signed_in.get(path).text


def test_operators_see_of_an_attempt_what_its_webhooks_owner_is_not_told(
    container: Container, site: Site, person: Callable[..., str], account: Account, traffic: Traffic
) -> None:
    webhook = traffic.webhook()
    traffic.sql("update dispatcher.webhooks set webhook_url = 'http://10.0.0.1/' where id = %(id)s", id=webhook)
    traffic.emit()
    traffic.drain(webhook)
    (delivery,) = traffic.deliveries(webhook)

    for permission, told in (
        ("operator", "blocked_address"),
        ("write", "connection_failed"),
        ("read", "connection_failed"),
    ):
        viewer = Site(_server(site))
        viewer.session.cookies.set("console", a_session(container, person(permission)))
        for path in (f"deliveries/{delivery}", "deliveries"):
            text = viewer.get(f"/accounts/{account.slug}/{path}").text
            assert re.findall("blocked_address|connection_failed", text) == [told], (permission, path)


def test_personal_fields_are_shown_to_those_who_may_see_them(
    container: Container, site: Site, person: Callable[..., str], account: Account, traffic: Traffic
) -> None:
    webhook = traffic.webhook(Answer(body=b"thank you, Jana"), events=["subject_created"])
    body = {"subject": {"id": 17, "name": "Jana", "due": 1400}}
    (event,) = traffic.emit("subject_created", body=body)
    traffic.drain(webhook)
    (delivery,) = traffic.deliveries(webhook)
    paths = (f"deliveries/{delivery}", f"events/{event}")
    traffic.emit("subject_created", count=41, body={"subject": {"id": 18, "name": "Petr", "due": 0}})

    allowed = person("operator")
    users.show_personal(container.storage, None, allowed, sees_personal=True)
    for email, sees in (
        (person("operator"), False), (person("read"), False), (person("write"), True), (allowed, True)
    ):  # fmt: skip
        viewer = Site(_server(site))
        viewer.session.cookies.set("console", a_session(container, email))
        for path in paths:
            text = viewer.get(f"/accounts/{account.slug}/{path}").text
            assert ("Jana" in text, "Personal fields are masked" in text, "1400" in text) == (sees, not sees, True), (
                path
            )

        for sought, is_found in (("Jana", sees), ("1400", True)):
            text = viewer.get(f"/accounts/{account.slug}/search?text=1&q={sought}").text
            assert (f"#{event} " in text) == is_found, (email, sought)
        text = viewer.get(f"/accounts/{account.slug}/search?text=1&q=Petr").text
        assert ("All 42 events" in text) != sees, email  # a page that is full would tell that there are many

    traffic.sql("update dispatcher.events set erasure = 'subject', body = '{}'")
    for path in paths:
        assert "The payload was erased" in viewer.get(f"/accounts/{account.slug}/{path}").text


def test_errors_are_pages(signed_in: Site, account: Account) -> None:
    for path, status in (
        ("/nowhere", 404),
        (f"/accounts/{account.slug}/webhooks/999999999", 404),
        (f"/accounts/{account.slug}/deliveries/99999999999999999999", 404),
        (f"/accounts/{account.slug}/events/99999999999999999999", 404),
        (f"/accounts/{account.slug}/webhooks?after=x", 400),
        (f"/accounts/{account.slug}/deliveries?before=x", 200),
    ):
        answer = signed_in.get(path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8"), path


def test_a_refresh_of_the_overview_asks_postgres_at_most_five_times(
    container: Container, account: Account, person: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = create_app(container).test_client()
    cookies = {permission: a_session(container, person(permission)) for permission in ("write", "operator")}
    asked: list[int] = []
    read = type(container.storage).read
    monkeypatch.setattr(type(container.storage), "read", lambda self, *work: (asked.append(1), read(self, *work))[1])
    monkeypatch.setattr(type(container.storage), "transact", None)

    for permission, cookie in cookies.items():
        client.set_cookie("console", cookie, path="/console")
        asked.clear()
        answer = client.get(f"/console/accounts/{account.slug}/stats")

        assert answer.status_code == 200, permission
        assert len(asked) <= 5, permission


def test_people_of_an_account_alert_its_users_and_operators_whom_they_like(
    site: Site, person: Callable[..., str], account: Account, receiver: Receiver
) -> None:
    email, alerts = person(), f"/accounts/{account.slug}/alerts"
    site.sign_in(email)
    form = {
        "name": "ops",
        "type": "email",
        "alerts": ["failing", "recovered"],
        "failing_after_minutes": "5",
        "active": "1",
    }

    assert "must be the e-mail address of a user" in site.send(alerts, **form, target="ceo@example.com").text
    assert "must be among failing" in site.send(alerts, **form | {"alerts": "backlog"}, target=email).text
    assert site.send(alerts, **form, target=email).status_code == 303
    assert "Channel created." in site.get(alerts).text
    (path,) = set(re.findall(r'/console(/accounts/[^"]+/alerts/\d+)/edit', site.get(alerts).text))
    assert site.send(f"{path}/edit", **form | {"name": "<b>night"}, target=email).status_code == 303
    assert "&lt;b&gt;night" in site.get(alerts).text
    assert "the mail server cannot be used at the moment" in site.send(f"{path}/test").text
    assert site.send(f"{path}/test").status_code == 503  # once a minute
    assert [site.get(one).status_code for one in ("/alerts", "/alerts/new")] == [404, 404]

    reader = Site(_server(site))
    reader.sign_in(person("read"))
    assert reader.get(alerts).status_code == 403
    assert reader.send(f"{path}/delete").status_code == 403

    operator, number = Site(_server(site)), path.rpartition("/")[2]
    operator.sign_in(person("operator"))
    assert operator.send(f"/alerts/{number}/delete").status_code == 404
    assert operator.send(f"{path}/edit", **form, target="ceo@example.com").status_code == 303
    url = receiver.script("/alerts-of-operators", Answer())
    created = operator.send("/alerts", **form | {"type": "webhook"}, target=url).text
    assert "whsec_" in created
    assert "alerts-of-operators" not in created
    (theirs,) = re.findall(r"/console(/alerts/\d+)/edit", created)
    assert operator.send(f"{theirs}/test").status_code == 303
    assert operator.send(f"{theirs}/delete").status_code == 303
    assert operator.send(f"{path}/delete").status_code == 303
