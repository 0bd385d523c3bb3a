"""Event types over HTTP: stored, used at once by who emits, and kept so that receivers need not notice."""

import itertools
import json
import re
from typing import Any

import pytest
from click.testing import CliRunner

from dispatcher.cli.catalogue import catalogue
from dispatcher.container import Container
from dispatcher.storage.engine import scalar
from tests.support.event_types import BODY, ID, SCHEMA, TYPE, schema_with
from tests.support.places import ROOT
from tests.support.service import Service

_numbers = itertools.count(1)


@pytest.fixture
def name(service: Service) -> str:
    """Of a stored type."""
    name = f"order.shipped{next(_numbers)}"
    assert service.put(f"/event_types/{name}", json=TYPE).status_code == 201
    return name


def problems(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 422, response.text
    found: dict[str, list[str]] = {}
    for one in response.json()["errors"]:
        found.setdefault(one["field"], []).append(one["detail"])
    return found


def test_a_type_is_stored_listed_and_shown(service: Service, name: str) -> None:
    shown = service.get(f"/event_types/{name}").json()

    assert {key: shown[key] for key in ("name", "version", "versions", "catalogue", "resource_id")} == {
        "name": name,
        "version": 1,
        "versions": [1],
        "catalogue": "stored",
        "resource_id": "id",
    }
    assert {key: shown[key] for key in TYPE} == TYPE
    assert service.put(f"/event_types/{name}", json=TYPE).json() == shown
    listed: list[str] = []
    page = service.get("/event_types?limit=30").json()
    while page["next"]:
        listed += [one["name"] for one in page["data"]]
        page = service.get("/event_types", params={"limit": 30, "cursor": page["next"]}).json()
    listed += [one["name"] for one in page["data"]]
    assert {name, "invoice_paid"} <= set(listed)
    assert listed == sorted(set(listed))


def test_who_has_stored_a_type_can_emit_and_subscribe_to_it_at_once(
    service: Service, container: Container, customer: str, name: str
) -> None:
    hook = {"webhook_url": "https://example.com/hook", "events": [name], "filter": {"order": {"total": [12.5]}}}
    assert service.post(f"{customer}/webhooks", json=hook).status_code == 201
    wildcard = {"webhook_url": "https://example.com/all", "events": [f"{name[:-1]}*"]}
    assert service.post(f"{customer}/webhooks", json=wildcard).status_code == 201
    text = json.dumps([{"name": name, "body": BODY}] * 2, indent=1)

    (first, _) = service.post(f"{customer}/events", data=text, headers={"Content-Type": "application/json"}).json()

    read = "select body::text from dispatcher.events where id = %(id)s"
    assert container.storage.read(scalar, read, id=first["id"]) == json.dumps(BODY, separators=(",", ":"))
    waits = "select resource from dispatcher.events_waiting where event_id = %(id)s"
    assert container.storage.read(scalar, waits, id=first["id"]) == f"order:{ID}"


def test_what_is_wrong_with_a_body_is_told_by_path_and_values_are_not_repeated(
    service: Service, customer: str, name: str
) -> None:
    order = {"id": "secret", "number": "x", "total": "12", "placed_at": "today", "lines": [{}], "extra": 1}
    event = {"name": name, "body": {"order": order}}

    for given, at in ((event, "body.order"), ([event], "[0].body.order")):
        assert problems(service.post(f"{customer}/events", json=given)) == {
            f"{at}.id": ['must be of the format "uuid"'],
            f"{at}.number": ['must match "^[0-9]{4}-[0-9]+$"'],
            f"{at}.total": ["must be a number"],
            f"{at}.placed_at": ['must be of the format "date-time"'],
            f"{at}.lines[0].sku": ["missing"],
            f"{at}.extra": ["unknown attribute"],
        }


def test_invalid_attributes_are_named(service: Service, name: str) -> None:
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"schema": {"type": "string"}}, "schema", 'must have "type": "object"'),
        ({"schema": schema_with(note={"$ref": "http://127.0.0.1:9/x"})}, "schema", "must be #/$defs/ and the name"),
        ({"schema": schema_with(note={"pattern": "(a+)+(?=b)"})}, "schema", "look-around"),
        ({"schema": schema_with(note={"type": "text"})}, "schema", "properties.order.properties.note.type"),
        (
            {
                "schema": {**SCHEMA, "required": ["order", "x"], "properties": {"order": True, "x": False}},
                "example": BODY,
            },
            "schema",
            "breaks receivers",
        ),
        ({"example": {"order": {}}}, "example", "order.id: missing"),
        ({"resource": "invoice"}, "resource", "must be a key of the body"),
        ({"resource": None, "supersedes": True}, "supersedes", "needs `resource`"),
        ({"version": 3}, "version", "must be from 1 to 2"),
        ({"downgrade": [{"op": "rename"}]}, "downgrade", "[0]: must be an object whose `op`"),
        ({"downgrade": [{"op": "add", "path": "/x", "value": "\ud800"}]}, "downgrade", "holds what is no JSON"),
        ({"version": 101}, "version", "must be a number from 1 to 100"),
        ({"description": "\0"}, "description", "is invalid"),
        ({"color": "red"}, "color", "Unknown field."),
    ]
    for attributes, field, text in wrong:
        found = problems(service.put(f"/event_types/{name}", json=attributes))

        assert text in found[field][0], ascii(attributes)
    assert service.get(f"/event_types/{name}").json()["schema"] == SCHEMA


def test_some_names_cannot_be_stored(service: Service) -> None:
    for name, status in (("invoice_paid", 409), ("ping", 422), ("order shipped", 422), ("order.shipped.v2", 422)):
        assert service.put(f"/event_types/{name}", json=TYPE).status_code == status, name
    assert service.put("/event_types/order.new", json={}).status_code == 422  # it needs a schema


def test_what_breaks_receivers_is_a_new_version_with_a_downgrade(service: Service, customer: str, name: str) -> None:
    path, changed = f"/event_types/{name}", schema_with(total=None, sum={"type": "number"})
    order = changed["properties"]["order"] | {"required": ["id"]}
    changed = changed | {"properties": {"order": order}}
    body = {"order": {"id": ID, "sum": 12.5}}
    wanted = {"schema": changed, "example": body}

    refused = problems(service.put(path, json=wanted))
    assert refused["schema"] == ["breaks receivers; store it as version 2", "order.total: removed"]
    refused = problems(service.put(path, json=wanted | {"version": 2}))
    assert refused["schema"][0] == "breaks receivers; give a `downgrade` to version 1"
    refused = problems(service.put(path, json=wanted | {"version": 2, "downgrade": []}))
    assert "order.total: missing" in refused["downgrade"][0]
    added = {"schema": schema_with(note={"type": "string"}), "version": 2}  # version 1 has no other attributes
    refused = problems(service.put(path, json=added))
    assert refused["schema"][1] == "order.note: added"

    move = [{"op": "move", "from": "/order/sum", "path": "/order/total"}]
    misspelt = [{"op": "remove", "path": "/order/summ"}, *move]
    refused = problems(service.put(path, json=wanted | {"version": 2, "downgrade": misspelt}))
    assert refused["downgrade"] == ["the example: there is no /order/summ"]
    assert service.put(path, json=wanted | {"version": 2, "downgrade": move}).status_code == 201
    assert service.post(f"{customer}/events", json={"name": name, "body": body}).status_code == 202
    assert service.post(f"{customer}/events", json={"name": name, "body": BODY}).status_code == 422
    assert service.get(path).json()["versions"] == [1, 2]
    assert service.get(f"{path}?version=1").json()["schema"] == SCHEMA


def test_what_breaks_nobody_changes_the_version_and_the_rest_can_be_forced(service: Service, name: str) -> None:
    path = f"/event_types/{name}"
    assert service.put(path, json={"schema": schema_with(note={"type": "string"})}).status_code == 200

    without = {"schema": schema_with(placed_at=None)}
    assert service.put(path, json=without).status_code == 422
    assert service.put(f"{path}?force=true", json=without).status_code == 200


def test_a_deprecated_type_goes_on_and_one_with_subscribers_is_not_deleted(
    service: Service, customer: str, name: str
) -> None:
    path, event = f"/event_types/{name}", {"name": name, "body": BODY}
    hook = service.post(f"{customer}/webhooks", json={"webhook_url": "https://example.com/", "events": [name]}).json()

    assert service.put(path, json={"deprecated": True}).json()["deprecated_at"] is not None
    assert service.post(f"{customer}/events", json=event).status_code == 202
    assert service.delete(path).status_code == 409

    service.delete(f"{customer}/webhooks/{hook['id']}")
    assert service.delete(path).status_code == 204
    assert service.get(path).status_code == 404
    assert service.post(f"{customer}/events", json=event).status_code == 422
    assert service.put(path, json=TYPE).status_code == 200  # it is there again, in the version that it had
    assert service.post(f"{customer}/events", json=event).status_code == 202


def test_documents_have_stored_types(service: Service, name: str) -> None:
    document = service.call("GET", "/../v3/openapi.json").json()

    payload = document["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert payload["properties"]["type"] == {"const": name}
    line = f"{name}.Line"
    assert payload["properties"]["data"]["properties"]["order"]["properties"]["lines"]["items"] == {
        "$ref": f"#/components/schemas/{line}"
    }
    assert line in document["components"]["schemas"]
    assert service.put(f"/event_types/{name}", json={"deprecated": True}).status_code == 200
    assert service.call("GET", "/../v3/openapi.json").json()["webhooks"][name]["post"]["deprecated"] is True


def test_a_catalogue_is_compared_with_what_a_dispatcher_publishes(service: Service, name: str) -> None:
    """This process knows no stored types, and the server knows those of all tests here."""
    compared = CliRunner().invoke(catalogue, ["diff", "--against", service.server.url, "--no-stored"])

    assert f"BREAKS {name}: removed" in compared.output.splitlines()
    assert [line for line in compared.output.splitlines() if not line.endswith(": removed")] == []
    assert not any(event in compared.output for event in ("invoice_", "expense_", "subject_"))


def test_the_guide_does_what_it_says(service: Service) -> None:
    page = (ROOT / "docs/guides/event-types.md").read_text()
    calls = re.findall(r"curl -X (\w+) \$API(\S+) .*?-d '(.*?)'\n```", page, re.DOTALL)

    statuses = [service.call(method, path, json=json.loads(body)).status_code for method, path, body in calls]

    assert statuses == [201, 201, 202]
    refused = service.put(calls[0][1], json={"schema": {"type": "object", "properties": {}}})
    assert problems(refused)["schema"][0] == "breaks receivers; store it as version 2"
