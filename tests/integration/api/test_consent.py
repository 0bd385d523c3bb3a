"""The page on which an account's owner agrees, as a browser uses it."""

import itertools
import re
from html import unescape
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.storage.admin import users
from tests.integration.api.test_oauth_tokens import S256, VERIFIER, token
from tests.support.api import AGENT, Api, Server
from tests.support.builders import PASSWORDS, an_account

REDIRECT_URI = "https://app.example.com/callback?from=us"
PASSWORD = "correct horse battery staple"
HASH = PASSWORDS.hash(PASSWORD)
_numbers = itertools.count(1)


@pytest.fixture
def integration(server: Server, container: Container, account: Account) -> Api:
    container.storage.transact(users.set_password, account.id, None, HASH)
    return Api.of(server, container, account, "webhooks", "deliveries", redirect_uri=REDIRECT_URI)


@pytest.fixture
def browser(integration: Api) -> "Browser":
    return Browser(integration)


class Browser:
    """Opens the page and sends its form, with cookies; follows no redirect."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.session = requests.Session()
        self.session.headers["User-Agent"] = "Mozilla/5.0"
        # From an address of its own, as wrong passwords count for an address too.
        self.session.headers["X-Forwarded-For"] = str(ip_address("10.0.0.0") + next(_numbers))
        self.session.headers["Accept"] = "text/html,application/xhtml+xml"

    def open(self, **given: Any) -> Any:
        asked = {"client_id": self.api.client.client_id, "redirect_uri": REDIRECT_URI, "response_type": "code"}
        asked = {name: value for name, value in (asked | given).items() if value is not None}
        return self.session.get(f"{self.api.server.root}/oauth", params=asked, allow_redirects=False, timeout=30)

    def fields(self, page: Any) -> dict[str, str]:
        found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
        return {name: unescape(value) for name, value in found}

    def decide(self, page: Any, decision: str = "agree", **given: str) -> Any:
        form = self.fields(page) | {"decision": decision} | given
        return self.session.post(f"{self.api.server.root}/oauth", data=form, allow_redirects=False, timeout=30)

    def agree(self, page: Any, name: str | None = None, password: str = PASSWORD, **given: str) -> Any:
        return self.decide(page, name=self.api.account.slug if name is None else name, password=password, **given)


def brought_back(answer: Any) -> dict[str, str]:
    """The parameters with which the client gets its user back."""
    assert answer.status_code == 302
    parts = urlsplit(answer.headers["Location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://app.example.com/callback"
    found = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert found.pop("from") == "us"
    return found


def test_who_agrees_brings_a_code_back_and_the_code_gives_tokens(browser: Browser, integration: Api) -> None:
    page = browser.open(state='a "state" & more')
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "a test requests access" in page.text
    assert [scope in page.text for scope in ("webhooks", "deliveries", "events:read")] == [True, True, False]

    back = brought_back(browser.agree(page))

    assert back["state"] == 'a "state" & more'
    assert len(back["code"]) == 80
    given = token(integration, grant_type="authorization_code", code=back["code"], redirect_uri=REDIRECT_URI).json()
    header = {"Authorization": f"Bearer {given['access_token']}"}
    assert integration.get("user.json", headers=header).json()["default_account"] == integration.account.slug
    assert integration.get("/webhooks.json", headers=header).json() == []


def test_the_owner_of_another_account_may_agree_for_that(
    browser: Browser, integration: Api, container: Container
) -> None:
    other = an_account(container.storage, f"{integration.account.slug}-other")
    container.storage.transact(users.set_password, other.id, None, HASH)

    code = brought_back(browser.agree(browser.open(), name=f"{other.slug}@dispatcher.example"))["code"]

    given = token(integration, grant_type="authorization_code", code=code, redirect_uri=REDIRECT_URI).json()
    header = {"Authorization": f"Bearer {given['access_token']}"}
    assert integration.get("user.json", headers=header).json()["default_account"] == other.slug
    assert integration.get("/webhooks.json", headers=header).status_code == 404


def test_without_state_none_comes_back(browser: Browser) -> None:
    assert brought_back(browser.agree(browser.open())).keys() == {"code"}


def test_who_does_not_agree_brings_back_that(browser: Browser, integration: Api) -> None:
    back = brought_back(browser.decide(browser.open(state="x"), "deny"))

    assert (back["error"], back["state"]) == ("access_denied", "x")
    assert (
        integration.sql(
            "select from dispatcher.tokens where kind = 'code' and client_id = %(id)s", id=integration.client.id
        )
        == []
    )


def test_a_wrong_client_or_redirect_uri_is_told_to_the_person_only(browser: Browser) -> None:
    wrong: list[dict[str, Any]] = [
        {"client_id": None},
        {"client_id": "0" * 40},
        {"client_id": "\0"},
        {"redirect_uri": None},
        {"redirect_uri": "https://app.example.com/callback"},
        {"redirect_uri": REDIRECT_URI + "&more=1"},
        {"redirect_uri": "https://evil.example.com/"},
        {"redirect_uri": 'javascript:alert("\u2028")'},
        {"redirect_uri": [REDIRECT_URI, REDIRECT_URI]},
    ]
    for given in wrong:
        page = browser.open(**given)

        assert (page.status_code, page.headers["Content-Type"]) == (400, "text/html; charset=utf-8"), given
        assert "Location" not in page.headers
        assert "form-action 'none'" in page.headers["Content-Security-Policy"]


def test_what_else_is_wrong_is_told_to_the_client(browser: Browser) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": "events:write"}, "invalid_scope"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": S256, "code_challenge_method": "S512"}, "invalid_request"),
    ]
    for given, code in wrong:
        back = brought_back(browser.open(state="x", **given))

        assert (back["error"], back["state"]) == (code, "x"), given


def test_characters_that_an_error_may_not_hold_do_no_harm(browser: Browser) -> None:
    for word in ("é", '"', "\n", "x" * 5_000):
        for given in ({"response_type": word}, {"scope": word}, {"code_challenge": word}):
            assert browser.open(**given).status_code in (200, 302, 400), given
        assert browser.open(state=word).status_code == 200, word


def test_a_scope_that_is_asked_for_is_all_that_is_given(browser: Browser, integration: Api) -> None:
    code = brought_back(browser.agree(browser.open(scope="deliveries")))["code"]

    given = token(integration, grant_type="authorization_code", code=code, redirect_uri=REDIRECT_URI).json()
    header = {"Authorization": f"Bearer {given['access_token']}"}
    assert integration.get("/webhooks.json", headers=header).status_code == 403


def test_a_challenge_is_kept_with_the_code(browser: Browser, integration: Api) -> None:
    for method, challenge in (("S256", S256), ("plain", VERIFIER), (None, VERIFIER)):
        code = brought_back(browser.agree(browser.open(code_challenge=challenge, code_challenge_method=method)))["code"]

        asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}
        assert token(integration, **asked, code_verifier=VERIFIER).status_code == 200, method


def test_a_wrong_name_is_refused_in_the_same_words_as_a_wrong_password(integration: Api) -> None:
    wrong = [{"name": name} for name in ("nobody", "nobody@example.com", "", "\0", "a" * 1_000)]
    wrong += [{"password": password} for password in ("", "wrong", PASSWORD + " ", "x" * 2_000)]
    for given in wrong:
        browser = Browser(integration)

        answer = browser.agree(browser.open(state="x"), **given)

        assert (answer.status_code, "Incorrect e-mail or password" in answer.text) == (403, True), str(given)[:50]
        assert brought_back(browser.agree(answer))["state"] == "x"


def test_a_user_who_is_no_owner_cannot_agree(browser: Browser, integration: Api) -> None:
    integration.sql(
        "insert into dispatcher.users (account_id, email, full_name, permission, password_hash) "
        "values (%(id)s, 'reader@example.com', 'Reader', 'read', %(hash)s)",
        id=integration.account.id,
        hash=HASH,
    )

    assert browser.agree(browser.open(), name="reader@example.com").status_code == 403


def test_an_owner_without_a_password_cannot_sign_in(browser: Browser, integration: Api) -> None:
    integration.sql(
        "update dispatcher.users set password_hash = null where account_id = %(id)s", id=integration.account.id
    )

    assert browser.agree(browser.open(), password="").status_code == 403


def test_after_five_wrong_passwords_a_minute_no_more_are_looked_at_from_there(
    browser: Browser, integration: Api
) -> None:
    page = browser.open()
    for _ in range(5):
        assert browser.agree(page, password="wrong").status_code == 403

    refused = browser.agree(page)
    assert (refused.status_code, "Too many attempts" in refused.text) == (429, True)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    elsewhere = Browser(integration)
    assert elsewhere.agree(elsewhere.open()).status_code == 302


def test_a_right_password_forgives_the_wrong_ones(browser: Browser) -> None:
    page = browser.open()
    for _ in range(3):
        assert [browser.agree(page, password="wrong").status_code for _ in range(3)] == [403] * 3
        assert browser.agree(page).status_code == 302


def test_a_form_of_another_site_is_refused(browser: Browser, integration: Api) -> None:
    page = browser.open()
    form = browser.fields(page)
    right = {"name": integration.account.slug, "password": PASSWORD, "decision": "agree"}
    for forged in (
        {"csrf": ""},
        {"csrf": "0" * 64},
        {"csrf": "é"},
    ):
        assert browser.decide(page, **(right | forged)).status_code == 403
    url = f"{integration.server.root}/oauth"
    without_cookie = requests.post(url, data=form | right, headers={"User-Agent": AGENT}, timeout=30)
    assert (without_cookie.status_code, "has expired" in without_cookie.text) == (403, True)
    assert browser.decide(page, "deny", csrf="").status_code == 403
    cookie: Any = next(iter(browser.session.cookies))
    assert len(browser.session.cookies) == 1
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "Strict"
    assert cookie.path == "/api/v3/oauth"


def test_what_the_form_brings_is_checked_anew(browser: Browser) -> None:
    page = browser.open()

    assert browser.agree(page, redirect_uri="https://evil.example.com/").status_code == 400
    assert brought_back(browser.agree(page, scope="everything"))["error"] == "invalid_scope"


def test_the_page_allows_no_scripts_no_frames_and_is_not_kept(browser: Browser) -> None:
    page = browser.open()

    policy = page.headers["Content-Security-Policy"]
    nonce = re.search(r"style-src 'nonce-([^']+)'", policy)
    assert nonce
    assert f'<style nonce="{nonce[1]}">' in page.text
    assert "default-src 'none'" in policy
    assert "form-action 'self' https://app.example.com;" in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "<script" not in page.text
    assert nonce[1] not in browser.open().text


def test_names_are_shown_as_text(server: Server, container: Container, account: Account) -> None:
    bold = Api.of(server, container, account, redirect_uri=REDIRECT_URI)
    bold.sql("update dispatcher.clients set name = '<b>bold</b>' where id = %(id)s", id=bold.client.id)

    page = Browser(bold).open(state='"><script>alert(1)</script>')

    assert "&lt;b&gt;bold&lt;/b&gt; requests access" in page.text
    assert "<script" not in page.text


def test_a_revoked_client_cannot_ask(browser: Browser, integration: Api) -> None:
    page = browser.open()
    integration.sql("update dispatcher.clients set revoked_at = now() where id = %(id)s", id=integration.client.id)

    assert browser.open().status_code == 400
    assert browser.agree(page).status_code == 400
