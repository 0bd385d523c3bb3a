"""Every route × everything that must not get in. The table is in `routes.py`; no route may be missing there."""

import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from dispatcher.access.clients import revoke_client
from dispatcher.api import auth
from dispatcher.container import Container
from dispatcher.web.app import create_app
from tests.integration.api.conftest import Known
from tests.support.api import AGENT, Api, send
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
    client = create_app(container).test_client()
    document = json.loads(client.get(f"{auth.PREFIX}/openapi.json", headers={"User-Agent": AGENT}).data)

    found = {
        (method.upper(), path, next(iter(security["oauth2"]), None))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method != "parameters"
        for security in operation.get("security", [])
        if "oauth2" in security
    }

    assert found == {(route.method, auth.PREFIX + route.path, route.scope) for route in ROUTES}


@every_route
def test_whoever_may_call_gets_an_answer(api: Api, route: Route) -> None:
    answer = call(api, route, things_of(api))

    assert answer.status_code in (200, 201, 202, 204), answer.text


@every_route
def test_without_a_token_or_with_a_malformed_one_nobody_gets_in(known: Known, route: Route) -> None:
    for header in ("", "Bearer", "Bearer ", "Basic {token}", "{token}", "Bearer {token}x", "Bearer é\0"):
        value = header.format(token=known.api.token).encode("latin-1", "replace").replace(b"\0", b"")

        answer = call(known.api, route, known.things, headers={"Authorization": value})

        assert error_of(answer) == (401, "invalid_token"), header
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.fixture(scope="module")
def ended(known: Known) -> dict[str, Api]:
    """Clients of the account whose tokens are good for nothing, by the reason."""
    made = {reason: known.api.another() for reason in ("expires_at = now()", "revoked_at = now()", "kind = 'refresh'")}
    for change, client in made.items():
        client.sql(f"update dispatcher.tokens set {change} where client_id = %(id)s", id=client.client.id)
    made["revoked client"] = known.api.another()
    revoke_client(known.api.container.storage, made["revoked client"].client.client_id)
    return made


@every_route
def test_a_token_that_has_ended_or_is_no_access_token_is_refused(
    known: Known, ended: dict[str, Api], route: Route
) -> None:
    for reason, client in ended.items():
        assert error_of(call(client, route, known.things)) == (401, "invalid_token"), reason


@account_routes
def test_another_account_is_not_found_whether_it_exists_or_not(api: Api, known: Known, route: Route) -> None:
    for slug in (known.api.account.slug, "nobody", "%00", "%F0%9F%92%A9", "x" * 2_000, f"{api.account.slug}%2f"):
        assert error_of(call(api, route, known.things | {"slug": slug})) == (404, "not_found"), slug


@owned_routes
def test_a_thing_of_another_client_is_not_found_and_stays_as_it_is(known: Known, route: Route) -> None:
    before = known.api.get("/webhooks.json").json()

    assert error_of(call(known.api.another(), route, known.things)) == (404, "not_found")
    assert known.api.get("/webhooks.json").json() == before


@owned_routes
def test_a_thing_that_does_not_exist_is_not_found(known: Known, route: Route) -> None:
    for id_ in (0, 2_000_000_000, 2**31, 2**62, 2**63, 10**40, "-1", "1%00", "%ff", "x", uuid4()):
        answer = call(known.api, route, dict.fromkeys(known.things, id_) | {"slug": known.api.account.slug})

        assert error_of(answer) == (404, "not_found"), id_


@scoped_routes
def test_a_missing_scope_is_told(api: Api, route: Route) -> None:
    things = things_of(api)
    for scopes in ({"webhooks", "events:read", "events:write", "deliveries"} - {route.scope},):
        api.sql(
            "update dispatcher.tokens set scopes = %(s)s where client_id = %(id)s", s=list(scopes), id=api.client.id
        )

        answer = call(api, route, things)

        assert error_of(answer) == (403, "forbidden")
        assert route.scope in answer.json()["error_description"]


@every_route
def test_what_is_refused_has_no_effect(api: Api, route: Route) -> None:
    things = things_of(api)
    count = "select count(*), max(updated_at) from dispatcher.webhooks where account_id = %(id)s and deleted_at is null"
    before = api.sql(count, id=api.account.id)

    call(replace(api, token=None), route, things)
    call(api.another("events:read" if route.scope != "events:read" else "webhooks"), route, things)

    assert api.sql(count, id=api.account.id) == before


@every_route
def test_a_request_without_a_user_agent_is_refused_before_all_else(known: Known, route: Route) -> None:
    path = auth.PREFIX + route.path.format(**known.things)

    for headers in ({}, {"User-Agent": ""}, {"Accept": "text/html"}, {"Authorization": f"Bearer {known.api.token}"}):
        answer = send(known.api.server, route.method, path, headers)

        assert (answer.status, answer.json()["error"]) == (400, "invalid_request")
        assert answer.json()["error_description"] == 'Required header "User-Agent" is missing'


@every_route
def test_another_type_than_json_is_not_served(known: Known, route: Route) -> None:
    for wanted in ("text/html", "application/xml;q=0.9, image/*", "application/json;q=0"):
        answer = call(known.api, route, known.things, headers={"Accept": wanted, "Authorization": ""})

        assert error_of(answer) == (415, "unsupported_media_type"), wanted


@every_route
def test_every_way_to_ask_for_json_does(api: Api, route: Route) -> None:
    for wanted in ("", "*/*", "application/*", "application/json; charset=utf-8", "text/html, */*;q=0.1"):
        assert call(api, route, things_of(api), headers={"Accept": wanted}).status_code < 300, wanted
