"""Trying a webhook out, and its signing secret."""

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from dispatcher import sdk
from dispatcher.access.rate_limit import KEY_SETS
from dispatcher.container import Container
from dispatcher.schemas.api_v3 import EVENT_TYPES
from dispatcher.web.app import create_app
from tests.support.api import Api, Server
from tests.support.receiver import Answer, Receiver


@pytest.fixture
def receiver() -> Any:
    with Receiver() as receiver:
        yield receiver


def a_hook(api: Api, url: str, **given: Any) -> str:
    """The path of a new webhook, without `.json`."""
    answer = api.post("/webhooks.json", json={"webhook_url": url, "events": ["invoice_paid"]} | given)
    assert answer.status_code == 201, answer.text
    return f"/webhooks/{answer.json()['id']}"


def secret(api: Api, hook: str) -> str:
    found: str = api.get(f"{hook}/secret.json").json()["signing_secret"]
    return found


def verify(signing_secret: str, request: Any) -> Any:
    return Verifier(signing_secret).verify(request.body, dict(request.headers))


def test_a_ping_is_sent_at_once_and_its_answer_told(api: Api, receiver: Any) -> None:
    receiver.script("/hook", Answer(status=201, headers=[("Content-Type", "text/x-thanks")], body=b"thank you"))
    hook = a_hook(api, receiver.url("/hook"), auth_header="Bearer x")

    answer = api.post(f"{hook}/ping.json")
    (request,) = receiver.wait_for(1)
    shown = answer.json()
    assert answer.status_code == 200
    assert list(shown) == [
        "idempotency_key", "response_status", "reason", "duration_ms", "response_content_type", "response_body",
        "response_headers",
    ]  # fmt: skip
    assert (shown["response_status"], shown["reason"]) == ("201", None)
    assert (shown["response_content_type"], shown["response_body"]) == ("text/x-thanks", "thank you")
    assert "Content-Type: text/x-thanks" in shown["response_headers"]
    assert 0 <= shown["duration_ms"] < 5_000
    assert UUID(shown["idempotency_key"]).version == 7
    assert request.header("Idempotency-Key") == request.header("webhook-id") == shown["idempotency_key"]
    assert request.header("Authorization") == "Bearer x"
    envelope = verify(secret(api, hook), request)
    assert list(json.loads(request.body)) == ["webhook_id", "event_name", "created_at", "body"]
    assert (envelope["event_name"], envelope["body"]) == ("ping", {})
    assert hook.endswith(f"/{envelope['webhook_id']}")
    assert api.get("/deliveries.json").json() == api.get("/events.json").json() == []


def test_an_example_is_sent_as_a_test_whatever_the_webhook_wants(api: Api, receiver: Any) -> None:
    hook = a_hook(api, receiver.url(), headers={"X-Env": "test"})

    answer = api.post(f"{hook}/ping.json", json={"event_name": "expense_created"})
    (request,) = receiver.wait_for(1)

    assert (answer.status_code, answer.json()["response_status"]) == (200, "200")
    assert (request.header("webhook-test"), request.header("X-Env")) == ("true", "test")
    envelope = verify(secret(api, hook), request)
    assert (envelope["event_name"], envelope["body"]) == ("expense_created", EVENT_TYPES["expense_created"].example)
    assert api.get("/deliveries.json").json() == api.get("/events.json").json() == []
    refused = api.post(f"{hook}/ping.json", json={"event_name": "expense_craeted"})
    assert refused.status_code == 422
    assert "did you mean expense_created" in refused.json()["errors"]["event_name"][0]


def test_any_webhook_can_be_pinged(api: Api, receiver: Any) -> None:
    kinds: list[dict[str, Any]] = [{"active": False}, {"payload_version": "legacy"}, {"signing": "none"}]
    for number, given in enumerate(kinds, start=1):
        hook = a_hook(api, receiver.url(), **given)

        assert api.post(f"{hook}/ping.json").json()["response_status"] == "200", given
        request = receiver.wait_for(number)[-1]
        assert json.loads(request.body)["event_name"] == "ping"
        assert (request.header("webhook-signature") is None) == ("signing" in given), given


def test_what_goes_wrong_is_told_like_an_attempts_failure(api: Api, receiver: Any) -> None:
    receiver.script("/cut", Answer(hang_up="before_head"))
    receiver.script("/moved", Answer(status=302, headers=[("Location", receiver.url("/other"))]))
    receiver.script("/odd", Answer(body=b"\xff\x00", headers=[("Content-Type", "a\x01b")]))
    receiver.script("/long", Answer(body=b"x" * 100_000))

    def pinged(url: str) -> Any:
        return api.post(f"{a_hook(api, url)}/ping.json").json()

    assert pinged(receiver.url("/cut"))["response_status"] == "connection_failed"
    assert pinged(receiver.url("/moved"))["response_status"] == "302"
    assert pinged(receiver.url("/odd"))["response_body"] == "\N{REPLACEMENT CHARACTER}" * 2
    assert len(pinged(receiver.url("/long"))["response_body"]) == 65_536


def test_no_ping_tells_which_names_there_are_in_the_network_behind(api: Api, serve: Callable[..., Server]) -> None:
    strict = replace(api, server=serve(DISPATCHER_ALLOWED_NETWORKS="192.0.2.0/24"))

    def pinged(url: str) -> Any:
        answer = strict.post(f"{a_hook(strict, url)}/ping.json").json()
        return {name: answer[name] for name in ("response_status", "reason", "response_body")}

    there, not_there = pinged("http://localhost:1/hook"), pinged("http://nowhere.invalid/hook")
    assert there == not_there == pinged("http://10.0.0.1/hook")
    assert there["response_status"] == "connection_failed"
    assert there["reason"] == "the host has no address that may be connected to"


def test_receivers_that_hang_do_not_take_all_threads(api: Api, serve: Callable[..., Server], receiver: Any) -> None:
    receiver.script("/slow", *[Answer(delay_s=3)] * 2)
    other = replace(api, server=serve(DISPATCHER_WEB_THREADS="8"))
    hook = a_hook(other, receiver.url("/slow"))
    with ThreadPoolExecutor() as threads:
        slow = [threads.submit(other.post, f"{hook}/ping.json") for _ in range(2)]
        receiver.wait_for(2)

        refused = other.post(f"{hook}/ping.json")
        assert (refused.status_code, refused.json()["error"]) == (503, "temporarily_unavailable")
        assert refused.headers["Retry-After"] == "5"
        assert other.get("user.json").status_code == 200
        assert [one.result().json()["response_status"] for one in slow] == ["200", "200"]


def test_after_a_rotation_both_secrets_sign_for_a_day(api: Api, receiver: Any) -> None:
    hook = a_hook(api, receiver.url())
    old = secret(api, hook)

    rotated = api.post(f"{hook}/secret/rotate.json").json()
    api.post(f"{hook}/ping.json")
    (request,) = receiver.wait_for(1)

    new = rotated["signing_secret"]
    assert new != old
    assert verify(new, request) == verify(old, request)
    assert len(request.header("webhook-signature").split(" ")) == 2
    left = datetime.fromisoformat(rotated["previous_valid_until"]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < left <= timedelta(days=1)
    assert api.get(f"{hook}/secret.json").json() == rotated


def test_a_key_pair_signs_and_its_public_keys_are_for_everybody(api: Api, receiver: Any) -> None:
    hook = a_hook(api, receiver.url())
    shown = api.get(f"{hook}.json?include=extras").json()
    assert (shown["public_key"], shown["jwks_path"]) == (None, None)
    edited = api.patch(f"{hook}.json?include=extras", json={"signature_schemes": ["v1", "v1a"]}).json()
    rotated = api.post(f"{hook}/secret/rotate.json").json()
    api.post(f"{hook}/ping.json")
    (request,) = receiver.wait_for(1)

    signatures = [one.partition(",")[0] for one in request.header("webhook-signature").split(" ")]
    assert signatures == ["v1", "v1", "v1a", "v1a"]
    public_keys = [rotated["public_key"], edited["public_key"]]
    for key in (rotated["signing_secret"], *public_keys):
        sdk.verify(request.body, dict(request.headers), key)
    answer = requests.get(f"{api.server.url}{edited['jwks_path']}", timeout=30)
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    in_set = [base64.urlsafe_b64decode(one["x"] + "=") for one in answer.json()["keys"]]
    assert in_set == [base64.b64decode(key.removeprefix("whpk_")) for key in public_keys]

    api.delete(f"{hook}.json")
    assert requests.get(answer.url, timeout=30).status_code == 404


def test_who_asks_for_key_sets_of_ids_that_it_tries_is_soon_refused(container: Container) -> None:
    unused = container.access.limiter.unused
    usual, client = unused[KEY_SETS], create_app(container).test_client()
    unused[KEY_SETS] = replace(usual, quota=2)

    def ask(address: str) -> Any:
        path = f"/webhooks/{uuid4()}/.well-known/jwks.json"
        return client.get(path, environ_base={"REMOTE_ADDR": address})

    answers = [ask("192.0.2.7") for _ in range(3)]
    unused[KEY_SETS] = usual

    assert [answer.status_code for answer in answers] == [404, 404, 429]
    assert answers[-1].headers["Retry-After"].isdigit()
    assert ask("192.0.2.8").status_code == 404


def test_the_old_secret_may_end_at_once(api: Api, receiver: Any) -> None:
    hook = a_hook(api, receiver.url())
    old = secret(api, hook)

    rotated = api.post(f"{hook}/secret/rotate.json", json={"previous_valid_for_s": 0}).json()
    api.post(f"{hook}/ping.json")
    (request,) = receiver.wait_for(1)

    assert rotated["previous_valid_until"] is None
    verify(rotated["signing_secret"], request)
    with pytest.raises(WebhookVerificationError):
        verify(old, request)


def test_a_second_rotation_ends_the_first_secret(api: Api, receiver: Any) -> None:
    hook = a_hook(api, receiver.url())
    secrets = [secret(api, hook)]
    for _ in range(2):
        secrets.append(api.post(f"{hook}/secret/rotate.json", json={}).json()["signing_secret"])
    api.post(f"{hook}/ping.json")
    (request,) = receiver.wait_for(1)

    verify(secrets[2], request)
    verify(secrets[1], request)
    with pytest.raises(WebhookVerificationError):
        verify(secrets[0], request)


def test_a_rotation_that_says_something_else_is_refused(api: Api) -> None:
    hook = a_hook(api, "https://example.com/hook")
    old = secret(api, hook)

    wrong: list[tuple[dict[str, Any], str]] = [
        ({"previous_valid_for_s": -1}, "must be between 0 and 604800"),
        ({"previous_valid_for_s": 604_801}, "must be between 0 and 604800"),
        ({"previous_valid_for_s": 10**30}, "beyond 64 bits"),
        ({"previous_valid_for_s": "1"}, "not an integer"),
        ({"previous_valid_for_s": True}, "not an integer"),
        ({"previous_valid_for_s": None}, "Field may not be null."),
        ({"valid": 1}, "Unknown field."),
    ]
    for given, text in wrong:
        answer = api.post(f"{hook}/secret/rotate.json", json=given)
        assert (answer.status_code, [*answer.json()["errors"].values()]) == (422, [[text]]), given
    assert secret(api, hook) == old


def test_another_clients_webhook_is_not_found(api: Api) -> None:
    hook, other = a_hook(api, "https://example.com/hook"), api.another()

    for method, path in (("POST", "ping.json"), ("POST", "secret/rotate.json"), ("GET", "secret.json")):
        assert other.call(method, f"{hook}/{path}").status_code == 404
        assert api.call(method, f"/webhooks/{2**31 - 1}/{path}").status_code == 404
        assert api.call(method, f"/webhooks/{10**30}/{path}").status_code == 404
        assert api.another("deliveries").call(method, f"{hook}/{path}").status_code == 403


def test_a_deleted_webhook_is_not_pinged(api: Api, receiver: Any) -> None:
    hook = a_hook(api, receiver.url())
    api.delete(f"{hook}.json")

    assert api.post(f"{hook}/ping.json").status_code == 404
