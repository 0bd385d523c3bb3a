"""Polled webhooks as their readers use them: fetched, waited for, acknowledged, and nobody else's."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import pytest
import requests

from dispatcher.sdk import PollClient, verify
from dispatcher.storage.pipeline import events
from dispatcher.web.long_polls import WAITING_OF_WEBHOOK
from tests.support.api import Server
from tests.support.service import POLLED, Service
from tests.support.waiting import eventually


class Reader:
    """Of a new polled webhook, with its token."""

    def __init__(self, service: Service, account: str, **attributes: Any) -> None:
        created = service.post(
            f"{account}/webhooks", json=POLLED | {"secret_headers": {"X-Key": "secret"}} | attributes
        )
        assert created.status_code == 201, created.text
        self.webhook = created.json()
        self.service, self.account, self.id = service, account, self.webhook["id"]
        self.path = f"{account}/poll/{self.id}"
        self.token = service.post(f"{self.path}/token/rotate").json()["poll_token"]

    def call(self, method: str, path: str = "", **given: Any) -> Any:
        headers = {"Authorization": f"Bearer {given.pop('token', self.token)}"}
        url = f"{self.service.server.url}/api/v1{given.pop('of', self.path)}{path}"
        return requests.request(method, url, headers=headers, timeout=40, **given)

    def emit(self, *counts: int) -> None:
        event = [{"name": "inbox_file_removed_all", "body": {"inbox_files": {"count": one}}} for one in counts]
        assert self.service.post(f"{self.account}/events", json=event).status_code == 202
        self.service.container.storage.transact(events.fan_out, 500)

    def fetch(self, **query: Any) -> Any:
        return self.call("GET", params=query).json()


@pytest.fixture
def reader(service: Service, customer: str) -> Reader:
    return Reader(service, customer)


def counts(page: Any) -> list[int]:
    return [json.loads(one["body"])["body"]["inbox_files"]["count"] for one in page["data"]]


def test_deliveries_are_fetched_in_order_until_they_are_acknowledged(reader: Reader) -> None:
    assert reader.fetch() == {"data": [], "cursor": None, "has_more": False}
    reader.emit(1, 2, 3)
    first = reader.fetch(limit=2)
    second = reader.fetch(cursor=first["cursor"])

    assert (counts(first), counts(second), counts(reader.fetch())) == ([1, 2], [3], [1, 2, 3])
    assert reader.call("POST", "/ack", json={"cursor": first["data"][0]["cursor"]}).json() == {"acknowledged": 1}
    assert counts(reader.fetch()) == [2, 3]
    assert reader.call("POST", "/ack", json={"cursor": second["cursor"]}).json() == {"acknowledged": 2}
    assert reader.fetch(cursor=second["cursor"]) == {"data": [], "cursor": second["cursor"], "has_more": False}
    states = reader.service.get(f"{reader.account}/deliveries").json()["data"]
    assert {(one["state"], one["next_attempt_at"]) for one in states} == {("delivered", None)}


def test_a_delivery_has_the_body_and_the_headers_of_the_request(reader: Reader) -> None:
    reader.emit(5)
    (one,) = reader.fetch()["data"]

    assert verify(one["body"], one["headers"], reader.webhook["signing_secret"])["body"]["inbox_files"]["count"] == 5
    assert one["id"] == one["headers"]["webhook-id"] == one["headers"]["Idempotency-Key"]
    assert (one["event_name"], one["headers"]["Content-Type"]) == ("inbox_file_removed_all", "application/json")
    assert "secret" not in str(one["headers"])


def test_who_waits_is_answered_when_something_comes_and_holds_up_nobody(reader: Reader) -> None:
    began_s = time.monotonic()
    with ThreadPoolExecutor(WAITING_OF_WEBHOOK + 1) as pool:
        waiting = as_completed([pool.submit(reader.fetch, wait=30) for _ in range(WAITING_OF_WEBHOOK + 1)])
        assert counts(next(waiting).result()) == []  # one more of a webhook than may wait
        reader.emit(1)

        assert [counts(one.result()) for one in waiting] == [[1]] * WAITING_OF_WEBHOOK
    assert time.monotonic() - began_s < 25
    assert counts(reader.fetch(wait=20)) == [1]


def test_a_poll_token_opens_its_own_webhook_and_nothing_else(service: Service, customer: str, reader: Reader) -> None:
    service.put("/accounts/cus.other", json={"time_zone": "UTC"})
    other, hook = Reader(service, customer), {"webhook_url": "https://example.com/", "events": ["invoice_paid"]}
    pushed = service.post(f"{customer}/webhooks", json=hook).json()["id"]
    narrow = Service.of(service.server, service.container, "deliveries:read", "webhooks")

    assert reader.call("GET", of=other.path).status_code == 403
    assert reader.call("GET", of=f"/accounts/cus.other/poll/{reader.id}").status_code == 404
    assert reader.call("POST", "/token/rotate").status_code == 401
    assert {reader.call("GET", of=f"{customer}{path}").status_code for path in ("/deliveries", "/webhooks")} == {401}
    assert reader.call("POST", "/events", of=customer, json={}).status_code == 401
    assert reader.call("GET", token="whp_" + "0" * 64).status_code == 401
    assert narrow.get(reader.path).status_code == 403
    assert service.get(f"{customer}/poll/{pushed}").status_code == 422
    assert service.get(reader.path).status_code == 200


def test_a_cursor_of_another_webhook_acknowledges_nothing(service: Service, customer: str, reader: Reader) -> None:
    other = Reader(service, customer)
    reader.emit(1)
    cursor = other.fetch()["cursor"]

    assert reader.call("GET", params={"cursor": cursor}).status_code == 400
    for wrong in (cursor, "", "1", None, f"{reader.id}-x", f"{reader.id}-{10**18}\n"):
        assert reader.call("POST", "/ack", json={"cursor": wrong}).status_code == 422
    assert counts(reader.fetch()) == [1]


def test_a_token_that_was_rotated_goes_on_as_long_as_was_said(reader: Reader) -> None:
    path = f"{reader.path}/token/rotate"
    second = reader.service.post(path, json={"previous_valid_for_s": 60}).json()
    assert second["previous_valid_until"] is not None
    assert {reader.call("GET", token=one).status_code for one in (reader.token, second["poll_token"])} == {200}

    third = reader.service.post(path, json={"previous_valid_for_s": 0}).json()["poll_token"]

    tokens = (reader.token, second["poll_token"], third)
    eventually(lambda: [reader.call("GET", token=one).status_code for one in tokens] == [401, 401, 200])
    assert "poll_token" in reader.service.get(f"{reader.account}/audit_log").text


def test_what_does_not_go_with_polling_is_refused(reader: Reader) -> None:
    def refused(method: str, **attributes: Any) -> list[str]:
        path = f"{reader.account}/webhooks" + (f"/{reader.id}" if method == "PATCH" else "")
        return [one["field"] for one in reader.service.call(method, path, json=attributes).json()["errors"]]

    url = "https://example.com/"
    assert refused("PATCH", ordering="resource", superseding=True) == ["ordering", "superseding"]
    assert refused("PATCH", webhook_url=url) == ["webhook_url"]
    assert refused("PATCH", delivery="push", webhook_url=url) == ["delivery"]
    assert refused("POST", delivery="push", events=["invoice_paid"]) == ["webhook_url"]
    assert refused("POST", webhook_url="poll:", events=["invoice_paid"]) == ["webhook_url"]
    assert (reader.webhook["delivery"], reader.webhook["webhook_url"]) == ("poll", "poll:")
    assert reader.service.post(f"{reader.account}/webhooks/{reader.id}/ping").status_code == 422
    assert reader.service.patch(f"{reader.account}/webhooks/{reader.id}", json={"active": False}).ok
    assert reader.call("GET").status_code == 409


def test_the_sdk_goes_on_and_acknowledges_what_was_handled(reader: Reader, server: Server) -> None:
    reader.emit(1, 2, 3)
    account = reader.account.rpartition("/")[2]
    client = PollClient(f"{server.url}/api/v1", reader.token, account, reader.id)

    def handled(most: int) -> Iterator[int]:
        for event in client.events(wait_s=0, stop_when_empty=True, secrets=reader.webhook["signing_secret"]):
            if event.data["body"]["inbox_files"]["count"] > most:
                raise ValueError("cannot be handled")
            yield event.data["body"]["inbox_files"]["count"]

    seen: list[int] = []
    with pytest.raises(ValueError, match="handled"):
        seen.extend(handled(2))
    assert counts(reader.fetch()) == [3]
    assert (list(handled(3)), reader.fetch()["data"]) == ([3], [])
