"""Payloads by the URLs of their claim checks."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from dispatcher.claim_check import ClaimChecks
from dispatcher.container import Container
from dispatcher.errors import InvalidWebhook
from dispatcher.payload import payload, render
from dispatcher.storage.reads import payloads
from dispatcher.webhooks.edit import create_webhook, delete_webhook, edit_webhook
from tests.support.api import AGENT, Api, a_delivery

HOOK = {"webhook_url": "https://example.com/hook", "events": ["invoice_paid"], "payload_limit": 1_024}


@pytest.fixture
def webhook(api: Api, container: Container) -> Any:
    settings = replace(container.settings, public_url="https://hooks.example.com")
    return create_webhook(container.storage, api.account.slug, HOOK, settings=settings)


def claim(container: Container, api: Api, delivery_id: int) -> tuple[str, bytes]:
    """The URL that its request would hold, on the tests' server, and the whole payload."""
    checks = ClaimChecks(api.server.url, container.drain_policy.claim_checks.keys)
    claimed, target = container.storage.read(payloads.find, container.storage.secrets, delivery_id)
    body = checks.body(delivery_id, about="{}", size=0, sent_at=int(claimed.event_created_at.timestamp()))
    assert payload(claimed, target, checks, 0) == render(claimed, target)  # that of the tests is small
    return json.loads(body)["claim_check"]["url"], render(claimed, target)


def get(url: str, method: str = "GET") -> requests.Response:
    return requests.request(method, url, headers={"User-Agent": AGENT}, timeout=10)


def test_the_url_returns_the_very_bytes_and_is_kept_by_nobody(api: Api, container: Container, webhook: Any) -> None:
    url, body = claim(container, api, a_delivery(api, webhook.id))

    answer, head = get(url), get(url, "HEAD")

    assert (answer.status_code, answer.content) == (200, body)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(len(body)))
    assert get(url, "POST").status_code == 405
    assert "signature" not in api.server.output


def test_it_is_what_the_webhook_gets_now_and_ends_with_it(api: Api, container: Container, webhook: Any) -> None:
    storage, slug = container.storage, api.account.slug
    url, _ = claim(container, api, a_delivery(api, webhook.id))

    edit_webhook(storage, container.schedule, slug, webhook.id, {"excluded_fields": ["invoice.number"]})
    assert json.loads(get(url).content)["body"] == {"invoice": {"id": 1}}
    delete_webhook(storage, slug, webhook.id)
    assert get(url).status_code == 404


def test_no_other_url_opens_anything(api: Api, container: Container, webhook: Any) -> None:
    one, other = a_delivery(api, webhook.id), a_delivery(api, webhook.id)
    url, _ = claim(container, api, one)
    parts = urlsplit(url)

    for wrong in (
        url.replace(f"/{one}?", f"/{other}?"), url[:-1], f"{url}0", url.replace("expires=", "expires=1"), parts.path,
        f"{parts.path}?expires=x&signature=x", f"{parts.path}?{parts.query.partition('&')[0]}",
        f"/payloads/{10**30}?{parts.query}",
    ):  # fmt: skip
        answer = get(wrong if wrong.startswith("http") else api.server.url + wrong)
        assert (answer.status_code, answer.json()["error"]) == (403, "forbidden"), wrong


def test_what_cannot_be_made_any_more_is_told(api: Api, container: Container, webhook: Any) -> None:
    url, _ = claim(container, api, a_delivery(api, webhook.id))
    api.sql("update dispatcher.events set version = 2 where account_id = %(id)s returning id", id=api.account.id)

    answer = get(url)

    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
    assert "cannot be made version 1" in answer.json()["error_description"]


def test_a_payload_may_be_fetched_sixty_times_a_minute(api: Api, container: Container, webhook: Any) -> None:
    url, _ = claim(container, api, a_delivery(api, webhook.id))
    other, _ = claim(container, api, a_delivery(api, webhook.id))

    assert {get(url).status_code for _ in range(60)} == {200}
    answer = get(url)
    assert (answer.status_code, answer.headers["Retry-After"].isdigit()) == (429, True)
    assert get(other).status_code == 200


def test_a_limit_needs_the_public_url(api: Api, container: Container, webhook: Any) -> None:
    storage, settings = container.storage, container.settings
    assert not settings.public_url

    with pytest.raises(InvalidWebhook, match="DISPATCHER_PUBLIC_URL"):
        create_webhook(storage, api.account.slug, HOOK, settings=settings)
    paused = edit_webhook(
        storage, container.schedule, api.account.slug, webhook.id, {"active": False}, settings=settings
    )
    assert paused.payload_limit == 1_024
