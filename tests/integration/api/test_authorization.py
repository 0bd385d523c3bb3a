"""Every route × everything that must not get in. The table is in `routes.py`; no route may be missing there."""

import re
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from dispatcher.access.clients import revoke_client
from dispatcher.api import auth
from dispatcher.container import Container
from dispatcher.web.app import create_app
from tests.support.api import Api, send
from tests.support.builders import an_account
from tests.support.routes import ROUTES, Route, call, things_of

every_route = pytest.mark.parametrize("route", ROUTES, ids=str)
owned_routes = pytest.mark.parametrize("route", [route for route in ROUTES if route.owned], ids=str)
account_routes = pytest.mark.parametrize("route", [route for route in ROUTES if "{slug}" in route.path], ids=str)
scoped_routes = pytest.mark.parametrize("route", [route for route in ROUTES if route.scope], ids=str)


def error_of(answer: Any) -> tuple[int, str]:
    """Status and code; the body is B, in JSON, with the quota's headers."""
    assert list(answer.json()) == ["error", "error_description"]
    assert answer.headers["Content-Type"] == "application/json"
    assert "X-RateLimit" in answer.headers
    assert "X-RateLimit-Policy" in answer.headers
    return answer.status_code, answer.json()["error"]


def test_the_table_has_every_route_that_takes_a_token(container: Container) -> None:
    app = create_app(container)

    found = {
        (method, _template(rule.rule), view.scope)
        for rule in app.url_map.iter_rules()
        if hasattr(view := app.view_functions[rule.endpoint], "scope")
        for method in rule.methods - {"HEAD"}
    }

    found.add(("POST", f"{auth.PREFIX}/accounts/{{slug}}/events.json", "events:write"))  # no route of Flask's
    assert found == {(route.method, auth.PREFIX + route.path, route.scope) for route in ROUTES}


def _template(rule: str) -> str:
    return re.sub("<(?:[^<>]*:)?([a-z_]+)>", r"{\1}", rule)


@every_route
def test_whoever_may_call_gets_an_answer(api: Api, route: Route) -> None:
    answer = call(api, route, things_of(api))

    assert answer.status_code in (200, 201, 202, 204), answer.text


@every_route
@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic {token}", "{token}", "Bearer {token}x", "Bearer é\0"]
)
def test_without_a_token_or_with_a_malformed_one_nobody_gets_in(api: Api, route: Route, header: str) -> None:
    value = header.format(token=api.token).encode("latin-1", "replace").replace(b"\0", b"")

    answer = call(api, route, things_of(api), headers={"Authorization": value})

    assert error_of(answer) == (401, "invalid_token")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


@every_route
@pytest.mark.parametrize("change", ["expires_at = now()", "revoked_at = now()", "kind = 'refresh'"])
def test_a_token_that_has_ended_or_is_no_access_token_is_refused(api: Api, route: Route, change: str) -> None:
    things = things_of(api)
    api.sql(f"update tokens set {change} where client_id = %(id)s", id=api.client.id)

    assert error_of(call(api, route, things)) == (401, "invalid_token")


@every_route
def test_the_tokens_of_a_revoked_client_are_refused(api: Api, route: Route) -> None:
    things = things_of(api)
    revoke_client(api.container.storage, api.client.client_id)

    assert error_of(call(api, route, things)) == (401, "invalid_token")


@account_routes
def test_another_account_is_not_found_whether_it_exists_or_not(api: Api, container: Container, route: Route) -> None:
    other = Api.of(api.server, container, an_account(container.storage, f"{api.account.slug}-too"))

    for slug in (other.account.slug, "nobody", "%00", "%F0%9F%92%A9", "x" * 2_000, f"{api.account.slug}%2f"):
        assert error_of(call(api, route, things_of(other) | {"slug": slug})) == (404, "not_found")


@owned_routes
def test_a_thing_of_another_client_is_not_found_and_stays_as_it_is(api: Api, route: Route) -> None:
    other = api.another()
    things = things_of(other)
    before = other.get("/webhooks.json").json()

    assert error_of(call(api, route, things)) == (404, "not_found")
    assert other.get("/webhooks.json").json() == before


@owned_routes
@pytest.mark.parametrize("id_", [0, 2_000_000_000, 2**31, 2**62, 2**63, 10**40, "-1", "1%00", "%ff", "x", uuid4()])
def test_a_thing_that_does_not_exist_is_not_found(api: Api, route: Route, id_: int) -> None:
    names = ("webhook_id", "failed_deliveries_uuid", "delivery", "replay_id")

    answer = call(api, route, {"slug": api.account.slug} | dict.fromkeys(names, id_))

    assert error_of(answer) == (404, "not_found")


@scoped_routes
def test_a_missing_scope_is_told(api: Api, route: Route) -> None:
    things = things_of(api)
    for scopes in ({"webhooks", "events:read", "events:write", "deliveries"} - {route.scope},):
        api.sql("update tokens set scopes = %(s)s where client_id = %(id)s", s=list(scopes), id=api.client.id)

        answer = call(api, route, things)

        assert error_of(answer) == (403, "forbidden")
        assert route.scope in answer.json()["error_description"]


@every_route
def test_what_is_refused_has_no_effect(api: Api, route: Route) -> None:
    things = things_of(api)
    count = "select count(*), max(updated_at) from webhooks where account_id = %(id)s and deleted_at is null"
    before = api.sql(count, id=api.account.id)

    call(replace(api, token=None), route, things)
    call(api.another("events:read" if route.scope != "events:read" else "webhooks"), route, things)

    assert api.sql(count, id=api.account.id) == before


@every_route
def test_a_request_without_a_user_agent_is_refused_before_all_else(api: Api, route: Route) -> None:
    path = auth.PREFIX + route.path.format(**things_of(api))

    for headers in ({}, {"User-Agent": ""}, {"Accept": "text/html"}, {"Authorization": f"Bearer {api.token}"}):
        answer = send(api.server, route.method, path, headers)

        assert (answer.status, answer.json()["error"]) == (400, "invalid_request")
        assert answer.json()["error_description"] == 'Required header "User-Agent" is missing'


@every_route
@pytest.mark.parametrize("wanted", ["text/html", "application/xml;q=0.9, image/*", "application/json;q=0"])
def test_another_type_than_json_is_not_served(api: Api, route: Route, wanted: str) -> None:
    answer = call(api, route, things_of(api), headers={"Accept": wanted, "Authorization": ""})

    assert error_of(answer) == (415, "unsupported_media_type")


@every_route
@pytest.mark.parametrize(
    "wanted", ["", "*/*", "application/*", "application/json; charset=utf-8", "text/html, */*;q=0.1"]
)
def test_every_way_to_ask_for_json_does(api: Api, route: Route, wanted: str) -> None:
    assert call(api, route, things_of(api), headers={"Accept": wanted}).status_code < 300
