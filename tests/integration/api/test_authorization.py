"""Every route is closed to whom it must be. The table is in `routes.py`; no route may be missing there.

Headers are read at two places, so each kind of bad ones is tried at both (ENTRANCES), and one of them on every route.
"""

import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

from dispatcher.access.clients import revoke_client
from dispatcher.api import auth
from dispatcher.container import Container
from dispatcher.storage.admin.clients import SCOPES
from dispatcher.web.app import create_app
from tests.integration.api.conftest import Known
from tests.support.api import AGENT, Api, send
from tests.support.routes import ROUTES, Route, call, things_of

OWNED = [route for route in ROUTES if route.owned]
OF_AN_ACCOUNT = [route for route in ROUTES if "{slug}" in route.path]
BY_SCOPE = {scope: [route for route in ROUTES if route.scope == scope] for scope in SCOPES}
ENTRANCES = [BY_SCOPE["webhooks"][0], BY_SCOPE["events:write"][0]]
"""Flask's application, and the endpoint of emits."""


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


def test_whoever_may_call_gets_an_answer(api: Api) -> None:
    things = things_of(api)

    for route in ROUTES:
        answer = call(api, route, things)

        assert answer.status_code in (200, 201, 202, 204), f"{route}: {answer.text}"


def test_without_a_token_or_with_a_malformed_one_nobody_gets_in(known: Known) -> None:
    malformed = ("Bearer", "Bearer ", "Basic {token}", "{token}", "Bearer {token}x", "Bearer é\0")
    tried = [(route, "") for route in ROUTES] + [(route, header) for route in ENTRANCES for header in malformed]

    for route, header in tried:
        value = header.format(token=known.api.token).encode("latin-1", "replace").replace(b"\0", b"")

        answer = call(known.api, route, known.things, headers={"Authorization": value})

        assert error_of(answer) == (401, "invalid_token"), f"{route}: {header!r}"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_token_that_has_ended_or_is_no_access_token_is_refused(known: Known) -> None:
    changes = ("expires_at = now()", "revoked_at = now()", "kind = 'refresh'")
    ended = {change: known.api.another() for change in changes}
    for change, client in ended.items():
        client.sql(f"update dispatcher.tokens set {change} where client_id = %(id)s", id=client.client.id)
    ended["revoked client"] = known.api.another()
    revoke_client(known.api.container.storage, ended["revoked client"].client.client_id)

    for reason, client in ended.items():
        for route in ENTRANCES:
            assert error_of(call(client, route, known.things)) == (401, "invalid_token"), f"{route}: {reason}"


def test_another_account_is_not_found_whether_it_exists_or_not(api: Api, known: Known) -> None:
    odd = ("%00", "%F0%9F%92%A9", "x" * 2_000, f"{api.account.slug}%2f")
    tried = [(route, slug) for route in OF_AN_ACCOUNT for slug in (known.api.account.slug, "nobody")]
    tried += [(route, slug) for route in ENTRANCES for slug in odd]

    for route, slug in tried:
        answer = call(api, route, known.things | {"slug": slug})

        assert error_of(answer) == (404, "not_found"), f"{route}: {slug}"


def test_a_thing_of_another_client_is_not_found_and_stays_as_it_is(known: Known) -> None:
    before, other = known.api.get("/webhooks.json").json(), known.api.another()

    for route in OWNED:
        assert error_of(call(other, route, known.things)) == (404, "not_found"), route
    assert known.api.get("/webhooks.json").json() == before


def test_a_thing_that_does_not_exist_is_not_found(known: Known) -> None:
    for route in OWNED:
        for id_ in (0, 2_000_000_000, 2**31, 2**62, 2**63, 10**40, "-1", "1%00", "%ff", "x", uuid4()):
            answer = call(known.api, route, dict.fromkeys(known.things, id_) | {"slug": known.api.account.slug})

            assert error_of(answer) == (404, "not_found"), f"{route}: {id_}"


def test_a_missing_scope_is_told(known: Known) -> None:
    for scope, routes in BY_SCOPE.items():
        poor = known.api.another(*(one for one in SCOPES if one != scope))
        for route in routes:
            answer = call(poor, route, known.things)

            assert error_of(answer) == (403, "forbidden"), route
            assert scope in answer.json()["error_description"]


def test_what_is_refused_has_no_effect(api: Api) -> None:
    things, nobody = things_of(api), replace(api, token=None)
    poor, poorer = api.another("webhooks"), api.another("events:read")
    count = "select count(*), max(updated_at) from dispatcher.webhooks where account_id = %(id)s and deleted_at is null"
    before = api.sql(count, id=api.account.id)

    for route in ROUTES:
        call(nobody, route, things)
        call(poor if route.scope == "events:read" else poorer, route, things)

        assert api.sql(count, id=api.account.id) == before, route


def test_a_request_without_a_user_agent_is_refused_before_all_else(known: Known) -> None:
    others = ({"User-Agent": ""}, {"Accept": "text/html"}, {"Authorization": f"Bearer {known.api.token}"})
    tried: list[tuple[Route, dict[str, str]]] = [(route, {}) for route in ROUTES]
    tried += [(route, headers) for route in ENTRANCES for headers in others]

    for route, headers in tried:
        answer = send(known.api.server, route.method, auth.PREFIX + route.path.format(**known.things), headers)

        assert (answer.status, answer.json()["error"]) == (400, "invalid_request"), f"{route}: {headers}"
        assert answer.json()["error_description"] == 'Required header "User-Agent" is missing'


def test_another_type_than_json_is_not_served(known: Known) -> None:
    tried = [(route, "text/html") for route in ROUTES]
    tried += [
        (route, wanted) for route in ENTRANCES for wanted in ("application/xml;q=0.9, image/*", "application/json;q=0")
    ]

    for route, wanted in tried:
        answer = call(known.api, route, known.things, headers={"Accept": wanted, "Authorization": ""})

        assert error_of(answer) == (415, "unsupported_media_type"), f"{route}: {wanted}"


def test_every_way_to_ask_for_json_does(api: Api) -> None:
    for route in ENTRANCES:
        for wanted in ("", "*/*", "application/*", "application/json; charset=utf-8", "text/html, */*;q=0.1"):
            answer = call(api, route, {"slug": api.account.slug}, headers={"Accept": wanted})

            assert answer.status_code < 300, f"{route}: {wanted}"
