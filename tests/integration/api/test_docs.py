"""The OpenAPI document and the page to try it."""

import json
import re
from collections.abc import Callable

import jsonschema_rs
import pytest
import requests

from dispatcher.container import Container
from dispatcher.schemas import api_v3
from dispatcher.schemas.active_catalogues import Catalogues, use
from dispatcher.storage.admin.service_tokens import SCOPES
from dispatcher.web.app import create_app
from tests.support import shop
from tests.support.api import AGENT, Server
from tests.support.service import V1_ROUTES


@pytest.fixture
def get(server: Server) -> Callable[[str], requests.Response]:
    return lambda path: requests.get(f"{server.root}{path}", headers={"User-Agent": AGENT}, timeout=30)


def test_the_document_tells_every_route(get: Callable[[str], requests.Response], container: Container) -> None:
    document = get("/openapi.json").json()

    assert document["openapi"] == "3.1.0"
    told = {(path, method) for path, operations in document["paths"].items() for method in operations}
    assert ("/api/v3/accounts/{slug}/events.json", "post") in told  # no route of Flask's
    hidden = {"/api/v3/oauth", "/api/v3/openapi.json", "/api/v3/docs", "/api/v3/docs/{name}"}
    for rule in create_app(container).url_map.iter_rules():
        path = re.sub(r"<(?:[^<>]*:)?(\w+)>", r"{\1}", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            assert path in hidden or path.startswith(("/console", "/portal")) or (path, method.lower()) in told


def test_its_references_lead_somewhere_and_its_schemas_are_valid(get: Callable[[str], requests.Response]) -> None:
    document = get("/openapi.json").json()

    for reference in re.findall(r'"\$ref": "#/([^"]+)"', get("/openapi.json").text):
        found = document
        for part in reference.split("/"):
            found = found[part]
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


def test_every_operation_has_a_name_of_its_own(get: Callable[[str], requests.Response]) -> None:
    paths = get("/openapi.json").json()["paths"].values()

    names = [one[method]["operationId"] for one in paths for method in one if method != "parameters"]
    assert {"v1.webhooks.create", "v3.webhooks.create", "v1.events.emit", "v3.oauth.token"} <= set(names)
    assert len(set(names)) == len(names)


def test_what_a_request_takes_and_what_a_response_has_are_told_apart(get: Callable[[str], requests.Response]) -> None:
    schemas = get("/openapi.json").json()["components"]["schemas"]

    user, given = schemas["TenantUser"], schemas["TenantUserInput"]
    assert user["required"] == ["email", "full_name", "id", "permission"]
    assert (list(user["properties"]), given["required"]) == (["id", "email", "full_name", "permission"], ["email"])
    assert list(given["properties"]) == ["email", "full_name", "permission", "password"]
    assert "rate_limit" not in schemas["WebhookWithExtras"]["required"]  # without ?include=extras
    written, read = (schemas[name]["properties"]["event_versions"] for name in ("TenantWebhookInput", "TenantWebhook"))
    assert [one["type"] for one in written["anyOf"]] == ["object", "string"]
    assert (read["type"], "anyOf" in read) == ("object", False)  # "newest" is only asked for


def test_it_has_the_events_of_the_active_catalogues(container: Container) -> None:
    own = shop.a_versioned_catalogue()
    use(Catalogues(own, api_v3.catalogue))
    try:
        text = create_app(container).test_client().get("/api/v3/openapi.json", headers={"User-Agent": AGENT}).text
    finally:
        use(None)

    document = json.loads(text)
    names = [*own.events, *api_v3.EVENT_TYPES]
    assert [name for name in document["webhooks"] if name != "order.shipped.v2"] == names
    variants = {one["title"]: one for one in document["components"]["schemas"]["NewEvent"]["oneOf"]}
    assert variants["order.shipped"]["required"] == ["version"]
    assert variants["order.shipped.v2"]["properties"]["version"] == {"enum": [2, None]}
    assert document["components"]["schemas"]["NewEvent"]["properties"]["name"]["enum"] == names
    shipped = document["webhooks"]["order.shipped"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    paid = document["webhooks"]["invoice_paid"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert list(shipped["properties"]) == ["type", "timestamp", "data"]
    assert list(paid["properties"]) == ["webhook_id", "event_name", "created_at", "body"]
    (listed,) = (
        one
        for one in document["paths"]["/api/v3/accounts/{slug}/deliveries.json"]["get"]["parameters"]
        if one.get("name") == "event_name"
    )
    assert listed["schema"]["enum"] == names
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', text):
        found = document
        for part in reference.split("/"):
            found = found[part]


def test_every_operation_below_the_api_says_how_to_authorize_and_what_can_go_wrong(
    get: Callable[[str], requests.Response],
) -> None:
    for path, operations in get("/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            if method == "parameters" or not path.startswith("/api/v3"):
                continue
            assert operation["security"], path
            assert {"400", "401", "415", "503"} <= operation["responses"].keys(), path
            assert "default" not in operation["responses"]
            assert operation["summary"]


def test_every_operation_of_the_company_needs_a_service_token_with_a_scope(
    get: Callable[[str], requests.Response],
) -> None:
    paths = {path: found for path, found in get("/openapi.json").json()["paths"].items() if "/v1/" in path}
    operations = {f"{method} {path}": one for path in paths for method, one in paths[path].items()}
    scopes = {
        name: one["security"][0]["service_token"] for name, one in operations.items() if "parameters /" not in name
    }

    assert len(scopes) == len(V1_ROUTES)
    fetching = tuple(scopes.pop("get /api/v1/accounts/{external_id}/poll/{webhook_id}"))
    assert fetching == ("deliveries", of_what_is_shown := "personal")
    assert {tuple(scope) for scope in scopes.values()} == {(scope,) for scope in SCOPES if scope != of_what_is_shown}
    for name in scopes:
        assert {"401", "403", "503"} <= operations[name]["responses"].keys()
        assert operations[name]["summary"]


def test_the_page_loads_nothing_from_elsewhere_and_holds_no_script(get: Callable[[str], requests.Response]) -> None:
    page = get("/docs")

    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    assert re.findall(r"<script[^>]*>([^<]*)", page.text) == ["", ""]
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert linked
    for name in [*linked, "docs/oauth2-redirect.html", "docs/oauth2-redirect.js"]:
        file = get(f"/{name}")
        assert file.status_code == 200, name
        assert file.headers["X-Content-Type-Options"] == "nosniff"


def test_no_other_file_is_served(get: Callable[[str], requests.Response]) -> None:
    for name in ("swagger-ui.js", "LICENSE", "../app.py", "..%2Fapp.py", "docs.html"):
        assert get(f"/docs/{name}").status_code in (401, 404)
