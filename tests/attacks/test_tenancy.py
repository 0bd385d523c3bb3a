"""Five callers try every route on what is another's, and strangers try the ways by which clients get their tokens.

Each rule has its own tests in `tests/integration/api`; here all is tried on one service, one after the other, and what
is attacked must be as it was.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest

from dispatcher.container import Container
from dispatcher.storage.admin import users
from dispatcher.storage.admin.service_tokens import SCOPES
from tests.faults.conftest import bounded
from tests.integration.api.test_consent import HASH, REDIRECT_URI, Browser, brought_back
from tests.integration.api.test_oauth_tokens import S256, VERIFIER, exchanged, is_accepted, token
from tests.support.api import Api, Server
from tests.support.builders import an_account
from tests.support.routes import ROUTES, Route, call, things_of
from tests.support.service import V1_ROUTES, Service, call_v1, things_of_v1

OK = range(200, 300)
_READ = (None, "events:read")

CALLERS: dict[str, tuple[Callable[["Site"], tuple[Api, str]], Callable[[Route], Any]]] = {
    "nobody": (lambda site: (site.nobody, site.alpha.account.slug), lambda route: 401),
    "another account": (
        lambda site: (site.beta, site.alpha.account.slug),
        lambda route: 404 if "{slug}" in route.path else OK,
    ),
    "another account, by its own path": (
        lambda site: (site.beta, site.beta.account.slug),
        lambda route: 404 if route.owned else OK,
    ),
    "another client of the account": (
        lambda site: (site.second, site.alpha.account.slug),
        lambda route: 404 if route.owned else OK,
    ),
    "a client that may only read events": (
        lambda site: (site.reader, site.alpha.account.slug),
        lambda route: OK if route.scope in _READ else 403,
    ),
}
"""Who calls, and by the slug of which account; what is answered on each route."""


class Site:
    """Two accounts; `things` are those of `alpha`, which the others are after."""

    def __init__(self, server: Server, container: Container) -> None:
        alpha, beta = (an_account(container.storage, slug) for slug in ("alpha", "beta"))
        self.alpha: Api = Api.of(server, container, alpha)
        self.beta: Api = Api.of(server, container, beta)
        self.second: Api = self.alpha.another()
        self.reader: Api = self.alpha.another("events:read")
        self.nobody: Api = Api(
            server=server, container=container, account=alpha, client=self.alpha.client, secret="", token=None
        )
        self.things = things_of(self.alpha)
        key = self.alpha.sql(
            "select idempotency_key from dispatcher.deliveries where id = %(id)s", id=self.things["delivery"]
        )
        self.marks = (str(self.things["failed_deliveries_uuid"]), str(key[0][0]))
        """By these the webhook and the delivery are known, wherever they are shown."""

    def rows(self) -> list[Any]:
        """All that is stored of the things."""
        return [
            self.alpha.sql(
                f"select to_jsonb(found) from dispatcher.{table} found where id = %(id)s", id=self.things[name]
            )
            for table, name in (("webhooks", "webhook_id"), ("deliveries", "delivery"), ("replays", "replay_id"))
        ]


@pytest.fixture(scope="module")
def site(server: Server, container: Container) -> Site:
    return Site(server, container)


@pytest.mark.parametrize("who", CALLERS)
def test_no_caller_gets_at_what_is_anothers(site: Site, who: str) -> None:
    whose, expected = CALLERS[who]
    caller, slug = whose(site)
    before = site.rows()

    answers = [(route, call(caller, route, site.things | {"slug": slug})) for route in ROUTES]

    for route, answer in answers:
        allowed = expected(route)
        assert answer.status_code in (allowed if isinstance(allowed, range) else [allowed]), f"{route}: {answer.text}"
    assert not [str(route) for route, answer in answers if any(mark in answer.text for mark in site.marks)]
    assert site.rows() == before


NOT_THEIRS = {
    "id": 1,
    "account_id": 2,
    "client_id": 1,
    "signing_secret": "whsec_x",
    "failed_deliveries_uuid": "64d8ee4a-0ed9-4b3b-8d07-6d3f1c1d7a2e",
    "created_at": "2020-01-01T00:00:00Z",
    "deactivated_reason": "x",
    "failing_since": None,
    "deleted_at": None,
    "url": "x",
    "__class__": "x",
}


def test_what_is_not_theirs_to_write_is_refused(site: Site) -> None:
    before = site.rows()

    for name, value in NOT_THEIRS.items():
        answer = site.alpha.patch(f"/webhooks/{site.things['webhook_id']}.json", json={name: value})
        assert answer.status_code == 422, name
        assert site.rows() == before, name


ODD = (
    "failed'%20or%201=1--", "1%20or%201=1", "1;select%201", "%25", "%00", "-1", "0x1", "%D9%A1", "%F0%9F%92%A9",
    "infinity", "99999-01-01T00:00:00Z", "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "9" * 40, "null",
    "[]", "%ff",
)  # fmt: skip
FILTERS = {
    "deliveries.json": ("state", "event_name", "webhook_id", "before", "since", "until", "idempotency_key"),
    "events.json": ("subject_type", "subject_id", "since", "until", "page"),
    "webhooks.json": ("page", "include"),
    "replays.json": ("page",),
}


def test_no_filter_reaches_further_than_the_clients_own(site: Site) -> None:
    found: dict[str, int] = {}
    for path, names in FILTERS.items():
        for name in names:
            for odd in ODD:
                answer = site.beta.get(f"/{path}?{name}={odd}")
                found[f"{path}?{name}={odd}"] = answer.status_code
                assert not [mark for mark in site.marks if mark in answer.text]

    assert {asked: status for asked, status in found.items() if status not in (200, 400, 404)} == {}


# -- Tokens ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def integration(site: Site) -> Api:
    """A client that acts for users by code, and the owner's password."""
    site.alpha.container.storage.transact(users.set_password, site.alpha.account.id, None, HASH)
    return Api.of(site.alpha.server, site.alpha.container, site.alpha.account, redirect_uri=REDIRECT_URI)


@pytest.fixture
def browser(integration: Api) -> Browser:
    return Browser(integration)


def a_code(browser: Browser, **given: Any) -> str:
    return brought_back(browser.agree(browser.open(**given)))["code"]


ELSEWHERE = (
    f"{REDIRECT_URI}/x",
    f"{REDIRECT_URI}&a=b",
    f"{REDIRECT_URI}#x",
    REDIRECT_URI.replace("app.", "evil.app."),
    REDIRECT_URI.replace("app.example.com", "app.example.com@evil.example"),
    REDIRECT_URI.replace("app.example.com", "APP.example.com"),
    REDIRECT_URI.replace("app.example.com", "app.example.com."),
    REDIRECT_URI.replace("app.example.com", "app.example.com:443"),
    REDIRECT_URI.replace("https:", "http:"),
    "https://evil.example/",
    "javascript:alert(1)",
    "//evil.example",
    "",
    None,
)


@pytest.mark.parametrize("more", [{}, {"response_type": "token"}, {"scope": "everything"}, {"client_id": "0" * 40}])
def test_nobody_is_sent_where_the_client_did_not_say(browser: Browser, more: dict[str, Any]) -> None:
    for uri in ELSEWHERE:
        answer = browser.open(redirect_uri=uri, **more)

        assert (answer.status_code, answer.headers.get("Location")) == (400, None), uri


def test_a_code_is_good_once_for_its_client_and_its_address(browser: Browser, integration: Api, site: Site) -> None:
    other = Api.of(site.alpha.server, site.alpha.container, site.beta.account, redirect_uri=REDIRECT_URI)
    code = a_code(browser)
    assert exchanged(other, code).status_code == 400
    given = exchanged(integration, code).json()
    assert is_accepted(integration, given["access_token"])

    assert exchanged(integration, code).status_code == 400
    assert not is_accepted(integration, given["access_token"])
    assert (
        token(
            integration, grant_type="authorization_code", code=a_code(browser), redirect_uri="https://evil.example/"
        ).status_code
        == 400
    )


def test_a_code_with_a_challenge_needs_its_verifier(browser: Browser, integration: Api) -> None:
    for wrong in ({}, *({"code_verifier": verifier} for verifier in ("", "w" * 50, S256))):
        code = a_code(browser, code_challenge=S256, code_challenge_method="S256")
        assert exchanged(integration, code, **wrong).status_code == 400, wrong
    right = a_code(browser, code_challenge=S256, code_challenge_method="S256")
    assert exchanged(integration, right, code_verifier=VERIFIER).status_code == 200


def test_nobody_guesses_a_token_or_ends_anothers(site: Site, rng: random.Random) -> None:
    for _ in range(bounded(20, 2_000)):
        guess = "".join(rng.choices("0123456789abcdef", k=80))
        assert not is_accepted(site.nobody, guess)
    credentials = {"client_id": site.beta.client.client_id, "client_secret": site.beta.secret}
    assert site.nobody.post("oauth/revoke", json=credentials | {"token": site.alpha.token}).status_code == 200
    assert site.alpha.get("user.json").status_code == 200


# -- The company's own programs ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service(site: Site) -> Service:
    return Service.of(site.alpha.server, site.alpha.container)


@pytest.mark.parametrize("who", ["alpha", "reader", "nobody"])
def test_no_client_gets_at_the_api_of_the_company(site: Site, service: Service, who: str) -> None:
    caller: Api = getattr(site, who)
    things = things_of_v1(service, f"/accounts/{site.alpha.account.slug}")
    impostor = replace(service, text=caller.token or "")
    before = site.rows()

    answers = {route: call_v1(impostor, route, things) for route in V1_ROUTES}

    assert {route: answer.status_code for route, answer in answers.items() if answer.status_code != 401} == {}
    assert not [route for route, answer in answers.items() if any(mark in answer.text for mark in site.marks)]
    assert site.rows() == before


def test_a_service_token_opens_nothing_below_api_v3(site: Site, service: Service) -> None:
    impostor = replace(site.alpha, token=service.text)
    before = site.rows()

    answers = {str(route): call(impostor, route, site.things) for route in ROUTES}

    assert {route: answer.status_code for route, answer in answers.items() if answer.status_code != 401} == {}
    assert site.rows() == before


def test_a_service_token_changes_nothing_beyond_its_scope(site: Site, service: Service) -> None:
    things = things_of_v1(service, f"/accounts/{site.alpha.account.slug}")
    before = site.rows()

    for scope in SCOPES:
        others = (other for other in SCOPES if other not in (scope, scope.removesuffix(":read")))
        narrow = Service.of(service.server, service.container, *others)
        answers = {
            route: call_v1(narrow, route, things) for route, (needed, _) in V1_ROUTES.items() if scope in needed.split()
        }
        assert {answer.status_code for answer in answers.values()} == {403}, scope
    assert site.rows() == before


def test_a_path_of_one_account_leads_to_nothing_of_another(site: Site, service: Service) -> None:
    things = things_of_v1(service, f"/accounts/{site.alpha.account.slug}")
    before = site.rows()

    answers = {
        route: call_v1(service, route, things | {"account": f"/accounts/{site.beta.account.slug}"})
        for route in V1_ROUTES
        if route.count("{") > 1
    }

    assert {answer.status_code for answer in answers.values()} == {404}
    assert site.rows() == before


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_an_ended_service_token_is_refused_within_a_moment(service: Service, end: str) -> None:
    ended = Service.of(service.server, service.container)
    emit = "POST {account}/events"
    things = {"account": "/accounts/nobody"}
    assert (ended.get("/accounts").status_code, call_v1(ended, emit, things).status_code) == (200, 404)

    column = "revoked_at" if end == "revoked" else "expires_at"
    ended.sql(f"update dispatcher.service_tokens set {column} = now() where id = %(id)s", id=ended.token.id)
    ended_s = monotonic()

    asked_s = ended_s
    while call_v1(ended, emit, things).status_code != 401:
        assert asked_s - ended_s < 0.5  # 50 ms; who asks later is refused, however long the answer takes
        asked_s = monotonic()
    assert ended.get("/accounts").status_code == 401  # is looked up each time


def test_nobody_guesses_a_service_token(service: Service, rng: random.Random) -> None:
    for _ in range(bounded(20, 2_000)):
        guess = replace(service, text="whd_" + "".join(rng.choices("0123456789abcdef", k=64)))
        assert guess.get("/accounts").status_code == 401
    for text in ("whd_", "whd_" + "0" * 10_000, service.text[:-1], f"{service.text}0", service.text.upper()):
        assert replace(service, text=text).get("/accounts").status_code in (401, 431)
