"""Webhooks whose events go into a queue, over HTTP: whom their credentials are shown to, and who may make them."""

from dispatcher.container import Container
from dispatcher.storage.engine import scalar, scalars
from tests.support.api import Api
from tests.support.service import Service

QUEUE = {
    "webhook_url": "amqps://mq.example.com/shop",
    "events": ["invoice_paid"],
    "destination": {"routing_key": "{event}"},
    "credentials": {"username": "events", "password": "s3cret"},
}


def test_credentials_are_encrypted_kept_by_their_names_and_shown_to_nobody(
    service: Service, customer: str, container: Container
) -> None:
    created = service.post(f"{customer}/webhooks", json=QUEUE)
    path = f"{customer}/webhooks/{created.json()['id']}"
    changed = service.patch(path, json={"credentials": {"username": None, "password": "n3w"}})

    assert (created.status_code, changed.status_code) == (201, 200)
    assert changed.json()["credentials"] == {"username": None, "password": None}
    assert changed.json()["destination"] == {"routing_key": "{event}"}
    storage = container.storage
    stored = storage.read(scalar, "select options::text from dispatcher.webhooks order by id desc limit 1")
    log = "".join(storage.read(scalars, "select details::text from dispatcher.audit_log"))
    assert "s3cret" not in stored + log
    assert "n3w" not in stored + log
    assert "routing_key" in log


def test_stored_credentials_are_sent_to_no_other_host(service: Service, customer: str) -> None:
    path = f"{customer}/webhooks/{service.post(f'{customer}/webhooks', json=QUEUE).json()['id']}"

    moves: list[dict[str, object]] = [
        {"webhook_url": "amqps://attacker.example/shop"},
        {"webhook_url": "amqps://mq.example.com:444/shop"},
        {"webhook_url": "amqp://mq.example.com/shop"},
        {"webhook_url": "amqps://attacker.example/", "credentials": {"username": None, "password": None}},
        {"webhook_url": "https://attacker.example/"},
    ]
    for changes in moves:
        refused = service.patch(path, json=changes)

        assert refused.status_code == 422, changes
        assert "credentials" in refused.text
    moved = service.patch(path, json={"webhook_url": "https://example.com/", "destination": None, "credentials": None})
    assert (moved.status_code, moved.json()["credentials"]) == (200, None)


def test_webhooks_of_api_v3_are_http_alone(api: Api) -> None:
    queue = api.post("/webhooks.json", json={"webhook_url": QUEUE["webhook_url"], "events": ["invoice_paid"]})
    options = api.post("/webhooks.json", json=QUEUE | {"webhook_url": "https://example.com/"})
    created = api.post("/webhooks.json", json={"webhook_url": "https://example.com/", "events": ["invoice_paid"]})
    changed = api.patch(f"/webhooks/{created.json()['id']}.json", json={"webhook_url": QUEUE["webhook_url"]})

    assert [one.status_code for one in (queue, options, created, changed)] == [422, 422, 201, 422]
    assert queue.json()["errors"] == changed.json()["errors"] == {"webhook_url": ["is invalid"]}
    assert options.json()["errors"] == {name: ["Unknown field."] for name in ("credentials", "destination")}
