"""Failed deliveries as API v3 has them."""

from typing import Any

import pytest

from dispatcher.container import Container
from dispatcher.model.account import Account
from tests.support.api import Api, a_delivery
from tests.support.builders import a_webhook

ATTRIBUTES = ["id", "event_name", "idempotency_key", "url", "body", "created_at", "updated_at", "deliveries"]
ATTEMPT = [
    "id",
    "request_id",
    "response_status",
    "response_content_type",
    "response_body",
    "started_at",
    "finished_at",
    "created_at",
]


@pytest.fixture
def webhook(container: Container, account: Account, api: Api) -> Any:
    return a_webhook(container.storage, account, url="https://example.com/hook", client_id=api.client.id)


def path(webhook: Any) -> str:
    return f"/webhooks/{webhook.failed_deliveries_uuid}/failed_deliveries.json"


def test_a_failed_delivery_is_shown_with_its_envelope_and_its_attempts_newest_first(api: Api, webhook: Any) -> None:
    id_ = a_delivery(api, webhook.id)

    answer = api.get(path(webhook))

    (shown,) = answer.json()
    assert answer.status_code == 200
    assert list(shown) == ATTRIBUTES
    assert (shown["id"], shown["event_name"], shown["url"]) == (id_, "invoice_paid", "https://example.com/hook")
    assert list(shown["body"]) == ["webhook_id", "event_name", "created_at", "body"]
    assert shown["body"]["body"] == {"invoice": {"id": 1}}
    assert [list(one) for one in shown["deliveries"]] == [ATTEMPT, ATTEMPT]
    assert [one["response_status"] for one in shown["deliveries"]] == ["connection_failed", "404"]
    assert [one["response_body"] for one in shown["deliveries"]] == [None, "not here"]


def test_others_than_failed_ones_are_not_listed(api: Api, webhook: Any) -> None:
    for state in ("pending", "delivered", "cancelled"):
        a_delivery(api, webhook.id, state)

    assert api.get(path(webhook)).json() == []


def test_forty_a_page_newest_first_and_an_empty_page_past_the_end(api: Api, webhook: Any) -> None:
    ids = sorted((a_delivery(api, webhook.id) for _ in range(41)), reverse=True)

    pages = [[one["id"] for one in api.get(path(webhook), params={"page": page}).json()] for page in (1, 2, 3, 10**18)]

    assert pages == [ids[:40], ids[40:], [], []]


def test_only_the_webhooks_own_client_sees_them(api: Api, webhook: Any, container: Container, account: Account) -> None:
    a_delivery(api, webhook.id)
    by_command = a_webhook(container.storage, account)

    for answer in (api.another().get(path(webhook)), api.get(path(by_command))):
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


def test_those_of_a_deleted_webhook_are_gone(api: Api, webhook: Any) -> None:
    a_delivery(api, webhook.id)
    assert api.delete(f"/webhooks/{webhook.id}.json").status_code == 204

    assert api.get(path(webhook)).status_code == 404


def test_what_is_no_uuid_of_a_webhook_is_not_found(api: Api, webhook: Any) -> None:
    for name in (webhook.id, "0", "x", "00000000-0000-0000-0000-000000000000", "%00", "1" * 1_000):
        answer = api.get(f"/webhooks/{name}/failed_deliveries.json")

        assert (answer.status_code, answer.json()["error"]) == (404, "not_found"), name
