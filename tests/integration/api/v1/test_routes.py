"""Every route below /api/v1: who may call it, what it answers, and how often a POST is done."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import product
from typing import Any

import pytest
import requests

from dispatcher.access import service_tokens
from dispatcher.container import Container
from dispatcher.errors import ServiceTokenNotFound
from dispatcher.storage.admin import idempotent_requests
from dispatcher.storage.admin.service_tokens import SCOPES
from dispatcher.storage.engine import rows, scalar
from dispatcher.web.app import create_app
from tests.support.api import Api, Server, a_delivery
from tests.support.builders import an_account
from tests.support.service import REPLAY, V1_ROUTES, Service, call_v1, things_of_v1
from tests.support.waiting import eventually

IN_A_REQUEST = {"before_response_commit": False, "after_response_commit": True}
"""A server dies there, in a POST with an Idempotency-Key → whether what was asked for is done."""
HOOK = {"webhook_url": "https://example.com/hook", "events": ["invoice_paid"]}
EVENT = {"name": "inbox_file_removed_all", "body": {"inbox_files": {"count": 1}}}


def test_every_route_is_tried(container: Container) -> None:
    names = {
        "external_id": "{account}", "webhook_id": "{webhook}", "user_id": "{user}", "client_id": "{client}",
        "delivery": "{delivery}", "event_id": "{event}", "replay_id": "{replay}", "erasure_id": "{erasure}",
        "channel_id": "{channel}", "session_id": "{portal_session}",
        "name": "{event_type}",
    }  # fmt: skip
    found = {"POST {account}/events"}  # no route of Flask's
    for rule in create_app(container).url_map.iter_rules():
        if rule.rule.startswith("/api/v1/"):
            path = re.sub(r"<(?:[^<>]*:)?(\w+)>", lambda name: names[name[1]], rule.rule).removeprefix("/api/v1")
            path = path.replace("/accounts/{account}", "{account}").replace("/poll/{webhook}", "/poll/{polled}")
            path = re.sub("^/alert_channels/{channel}", "/alert_channels/{operators_channel}", path)
            found |= {f"{method} {path}" for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}

    assert set(V1_ROUTES) == found


def test_every_route_answers_to_a_token_with_its_scope_and_to_none_without(
    service: Service, customer: str, server: Server, container: Container
) -> None:
    things = things_of_v1(service, customer)
    token_with = cache(lambda *scopes: Service.of(server, container, *scopes))

    for route, (needed, _) in V1_ROUTES.items():
        alternatives = [[scope for scope in SCOPES if one in (scope, f"{scope}:read")] for one in needed.split()]
        for scopes in alternatives:
            all_others = token_with(*(scope for scope in SCOPES if scope not in scopes))
            assert call_v1(all_others, route, things).status_code == 403, f"{route} without {scopes}"
        for enough in product(*alternatives):
            answer = call_v1(token_with(*enough), route, things)
            assert answer.ok, f"{route} with {enough}: {answer.text}"


def test_an_id_with_a_nul_is_not_found(service: Service, customer: str) -> None:
    things = things_of_v1(service, customer) | {"account": "/accounts/a%00b"}
    things |= dict.fromkeys(("client", "event_type", "operators_channel"), "a%00b")
    routes = [route for route in V1_ROUTES if "{" in route and route != "PUT {account}"]

    assert {call_v1(service, route, things).status_code for route in routes} == {404}
    assert service.put("/accounts/a%00b", json={}).status_code == 404


def test_the_path_of_emits_names_its_only_method(service: Service, customer: str) -> None:
    answer = service.put(f"{customer}/events", json=EVENT)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_a_webhook_is_created_changed_and_deleted(service: Service, customer: str) -> None:
    created = service.post(f"{customer}/webhooks", json={**HOOK, "rate_limit": 5})
    path = f"{customer}/webhooks/{created.json()['id']}"

    assert created.headers["Location"] == f"/api/v1{path}"
    assert created.json()["signing_secret"].startswith("whsec_")
    assert created.json()["created_at"].endswith("+00:00")
    assert service.get(path).json()["rate_limit"] == 5
    assert service.patch(path, json={"active": False}).json()["active"] is False
    assert [one["id"] for one in service.get(f"{customer}/webhooks").json()["data"]] == [created.json()["id"]]
    rotated = service.post(f"{path}/secret/rotate").json()
    assert service.get(f"{path}/secret").json() == rotated != created.json()["signing_secret"]
    assert service.delete(path).status_code == 204
    assert service.get(path).json()["code"] == "not_found"


def test_a_webhooks_own_id_is_one_of_each_in_an_account(service: Service, customer: str) -> None:
    first, second = (service.post(f"{customer}/webhooks", json=HOOK | {"uid": uid}).json() for uid in ("a:1", None))
    taken = service.patch(f"{customer}/webhooks/{second['id']}", json={"uid": "a:1"})

    assert (first["uid"], taken.status_code, taken.json()["errors"][0]["field"]) == ("a:1", 422, "uid")
    assert service.post(f"{customer}/webhooks", json=HOOK | {"uid": "a:1"}).status_code == 422
    assert service.post(f"{customer}/webhooks", json=HOOK | {"uid": "a 1"}).status_code == 422
    service.delete(f"{customer}/webhooks/{first['id']}")
    assert service.patch(f"{customer}/webhooks/{second['id']}", json={"uid": "a:1"}).json()["uid"] == "a:1"


def test_users_and_clients_of_another_account_are_not_found(service: Service, customer: str) -> None:
    things = things_of_v1(service, customer)
    service.put("/accounts/elsewhere", json={})

    for path in (f"users/{things['user']}", f"clients/{things['client']}", f"webhooks/{things['webhook']}"):
        assert service.delete(f"/accounts/elsewhere/{path}").status_code == 404
    assert service.delete(f"{customer}/clients/{things['client']}").status_code == 204
    assert [one["revoked_at"] is None for one in service.get(f"{customer}/clients").json()["data"]] == [False]
    owner, user = service.get(f"{customer}/users").json()["data"]
    assert (owner["permission"], user["permission"]) == ("owner", "read")
    assert service.delete(f"{customer}/users/{owner['id']}").status_code == 404


def test_a_user_with_a_password_may_be_created_once(service: Service, customer: str) -> None:
    user = {"email": "jo@example.com", "permission": "write", "password": "correct horse"}

    assert "password" not in service.post(f"{customer}/users", json=user).json()
    assert service.post(f"{customer}/users", json=user).json()["code"] == "conflict"
    for wrong in ({"permission": "owner"}, {"password": "correct \ud800 horse"}, {"email": "jo@\0"}):
        assert service.post(f"{customer}/users", json=user | wrong).status_code == 422


def test_events_of_any_account_are_stored_as_those_of_a_client(service: Service, customer: str) -> None:
    one = service.post(f"{customer}/events", json=EVENT, headers={"Idempotency-Key": "k1"})
    again = service.post(f"{customer}/events", json=EVENT, headers={"Idempotency-Key": "k1"})
    many = service.post(f"{customer}/events", json=[EVENT, EVENT])

    assert (one.status_code, one.json()["new"], again.json()) == (202, True, one.json() | {"new": False})
    assert len(many.json()) == 2
    assert "X-RateLimit" not in one.headers


def test_what_became_of_an_event_is_read_and_redelivered(service: Service, customer: str) -> None:
    things = things_of_v1(service, customer)
    event = service.get(f"{customer}/events/{things['event']}").json()
    (resulting,) = event["deliveries"]
    delivery = service.get(f"{customer}/deliveries/{resulting['id']}").json()

    assert (event["name"], event["body"]) == (delivery["event_name"], delivery["body"]["body"])
    assert [attempt["response_status"] for attempt in delivery["attempts"]] == ["connection_failed", "404"]
    assert delivery["created_at"].endswith("+00:00")
    assert service.get(f"{customer}/deliveries/{delivery['idempotency_key']}").json() == delivery
    redelivered = service.post(f"{customer}/deliveries/{delivery['id']}/redeliver")
    assert (redelivered.status_code, redelivered.json()["state"]) == (202, "pending")
    again = service.post(f"{customer}/deliveries/{delivery['id']}/redeliver")
    assert (again.status_code, again.json()["errors"][0]["field"]) == (422, "state")


def test_deliveries_and_events_are_listed_newest_first_and_narrowed(service: Service, customer: str) -> None:
    webhook_id = service.post(f"{customer}/webhooks", json=HOOK).json()["id"]
    failed = [a_delivery(service, webhook_id) for _ in range(3)]
    delivered = a_delivery(service, webhook_id, "delivered")

    def ids(path: str, **query: Any) -> list[int]:
        listed: list[int] = []
        cursor: dict[str, str] = {}
        while True:
            page = service.get(f"{customer}/{path}", params=query | cursor | {"limit": 2}).json()
            listed += [one["id"] for one in page["data"]]
            if page["next"] is None:
                return listed
            cursor = {"cursor": page["next"]}

    event_id = service.get(f"{customer}/deliveries/{delivered}").json()["event_id"]
    assert ids("deliveries") == sorted([delivered, *failed], reverse=True)
    assert ids("deliveries", state="failed", webhook_id=webhook_id) == sorted(failed, reverse=True)
    assert ids("deliveries", event_name="invoice_paid", state="delivered") == [delivered]
    assert ids("deliveries", event_id=event_id) == [delivered]
    assert ids("deliveries", event_id=event_id + 1) == ids("deliveries", until="2026-01-01T00:00:00Z") == []
    assert ids("events", name="invoice_paid")[0] == event_id
    assert len(ids("events")) == 4
    assert ids("events", until="2026-01-01T00:00:00Z") == ids("events", name="invoice_sent") == []
    assert service.get(f"{customer}/deliveries?state=lost").json()["code"] == "invalid_request"


def test_what_belongs_to_another_account_is_not_found(service: Service, customer: str) -> None:
    things = things_of_v1(service, customer)
    service.put("/accounts/elsewhere", json={})

    for path in (f"events/{things['event']}", f"deliveries/{things['delivery']}", f"replays/{things['replay']}"):
        assert service.get(f"{customer}/{path}").status_code == 200
        assert service.get(f"/accounts/elsewhere/{path}").status_code == 404
    assert service.get("/accounts/elsewhere/deliveries", params={"event_id": things["event"]}).json()["data"] == []


def test_a_replay_is_counted_started_stopped_and_resumed(service: Service, customer: str) -> None:
    webhook_id = service.post(f"{customer}/webhooks", json=HOOK).json()["id"]
    a_delivery(service, webhook_id)

    assert service.post(f"{customer}/replays", json=REPLAY | {"dry_run": True}).json() == {"matched": 1}
    started = service.post(f"{customer}/replays", json=REPLAY)
    path = started.headers["Location"].removeprefix("/api/v1")
    assert (started.status_code, started.json()["matched"]) == (201, 1)
    assert service.delete(path).status_code == 204
    assert service.get(path).json()["state"] == "stopped"
    assert service.post(f"{path}/resume").json()["state"] == "running"
    assert [one["id"] for one in service.get(f"{customer}/replays").json()["data"]] == [started.json()["id"]]
    service.delete(path)


def test_wrong_events_are_told_as_problems(service: Service, customer: str) -> None:
    wrong = service.post(f"{customer}/events", json=[EVENT, {"name": "invoice_payed", "body": {}}])

    assert (wrong.status_code, wrong.headers["Content-Type"]) == (422, "application/problem+json")
    assert [error["field"] for error in wrong.json()["errors"]] == ["[1].name"]
    assert service.post("/accounts/nobody/events", json=EVENT).json()["code"] == "not_found"
    assert (
        service.post(f"{customer}/events", data=b"{", headers={"Content-Type": "application/json"}).status_code == 400
    )


def test_a_service_token_and_a_clients_are_not_taken_for_each_other(service: Service, customer: str) -> None:
    client = Api.of(service.server, service.container, an_account(service.container.storage, "not-theirs"))

    for path in (customer, f"{customer}/events", f"{customer}/webhooks"):
        for header in ("", f"Bearer {client.token}", "Bearer whd_x"):
            answer = service.post(path, json={}, headers={"Authorization": header})
            assert answer.status_code in (401, 405), answer.text
            assert answer.headers["Content-Type"] == "application/problem+json"
    assert client.get("/webhooks.json", headers={"Authorization": f"Bearer {service.text}"}).status_code == 401


def test_a_token_ends_when_it_is_revoked_or_expired(service: Service, server: Server, container: Container) -> None:
    assert service.get("/accounts").status_code == 200
    service_tokens.revoke(container.storage, service.token.id)
    eventually(lambda: service.get("/accounts").status_code == 401, what="the end of the token")
    with pytest.raises(ServiceTokenNotFound):
        service_tokens.revoke(container.storage, service.token.id)

    short = Service.of(server, container, lifetime=timedelta(hours=1))
    assert short.get("/accounts").status_code == 200
    service.sql("update dispatcher.service_tokens set expires_at = now() where id = %(id)s", id=short.token.id)
    eventually(lambda: short.get("/accounts").status_code == 401, what="the end of the token")


def test_a_rotated_token_goes_on_for_the_overlap(server: Server, container: Container) -> None:
    old = Service.of(server, container, "accounts", lifetime=timedelta(days=30))

    new, text = service_tokens.rotate(container.storage, old.token.id, timedelta(hours=1))

    assert new.scopes == old.token.scopes
    assert old.token.expires_at is not None
    assert new.expires_at is not None
    assert timedelta(0) <= new.expires_at - old.token.expires_at < timedelta(minutes=1)
    assert Service(server=server, container=container, token=new, text=text).get("/accounts").status_code == 200
    assert old.get("/accounts").status_code == 200
    (ends,) = [one.expires_at for one in service_tokens.list_all(container.storage) if one.id == old.token.id]
    assert ends is not None
    assert ends < old.token.expires_at
    with pytest.raises(ServiceTokenNotFound):
        service_tokens.rotate(container.storage, old.token.id)


def test_a_tokens_quota_is_told_and_kept(service: Service, customer: str) -> None:
    service_tokens.edit(service.container.storage, service.token.id, {"requests_per_minute": 2, "emits_per_minute": 1})
    eventually(lambda: "RateLimit" in service.post(f"{customer}/events", data=b"{").headers, what="its new limits")
    _, found, refused = (service.get("/accounts") for _ in range(3))

    assert (found.status_code, found.headers["RateLimit-Policy"]) == (200, '"default";q=2;w=60')
    assert found.headers["RateLimit"].startswith('"default";r=0;t=')
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limit_exceeded")
    assert refused.headers["RateLimit"] == f'"default";r=0;t={refused.headers["Retry-After"]}'
    emit = service.post(f"{customer}/events", json=EVENT)
    assert (emit.status_code, emit.headers["RateLimit-Policy"]) == (429, '"emits";q=1;w=60')


def test_an_accounts_limit_of_emits_is_for_all_service_tokens_together(
    service: Service, server: Server, customer: str
) -> None:
    another = Service.of(server, service.container)
    service.patch(customer, json={"emits_per_minute": 1})

    first, second = (one.post(f"{customer}/events", json=EVENT) for one in (service, another))

    assert [first.status_code, second.status_code] == [202, 429]
    assert second.headers["RateLimit"].startswith('"account_emits";r=0;t=')
    assert int(second.headers["Retry-After"]) > 0


def test_when_a_token_was_last_used_is_stored(service: Service) -> None:
    def last_used() -> Any:
        (token,) = [one for one in service_tokens.list_all(service.container.storage) if one.id == service.token.id]
        return token.last_used_at

    assert last_used() is None
    service.get("/accounts")
    eventually(lambda: last_used() is not None, what="a time")


def test_tokens_are_stored_as_hashes_only(service: Service) -> None:
    assert re.fullmatch(r"whd_[0-9a-f]{64}", service.text)
    (row,) = service.sql("select t::text from dispatcher.service_tokens t where id = %(id)s", id=service.token.id)
    assert service.text.removeprefix("whd_") not in row[0]


# -- Idempotency -------------------------------------------------------------------------------------------------------

Repeated = Callable[..., Any]


@pytest.fixture
def post(service: Service, customer: str) -> Repeated:
    def post(body: Any = HOOK, key: str = "k") -> Any:
        return service.post(f"{customer}/webhooks", json=body, headers={"Idempotency-Key": f"{customer} {key}"})

    return post


def test_a_repeated_post_is_done_once(service: Service, customer: str, post: Repeated) -> None:
    first, second = post(), post()

    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert (first.headers.get("Idempotent-Replayed"), second.headers["Idempotent-Replayed"]) == (None, "true")
    assert len(service.get(f"{customer}/webhooks").json()["data"]) == 1


def test_a_key_is_for_one_request_and_a_failure_frees_it(post: Repeated) -> None:
    assert post({}).status_code == 422
    assert post().status_code == 201
    assert post(HOOK | {"active": False}).json()["code"] == "idempotency_key_reused"
    assert post(key="x" * 300).status_code == 400


# Locks of other databases and of other tests' requests say nothing of this one's.
HOLDS_A_KEY_AND_WAITS = """
select count(*) from pg_locks l join pg_stat_activity a using (pid)
where l.locktype = 'advisory' and l.granted and a.wait_event_type = 'Lock' and a.datname = current_database()
"""


def test_while_a_request_is_under_way_another_with_its_key_is_refused(
    post: Repeated, service: Service, customer: str
) -> None:
    """The first holds its key, and waits for the account, which somebody else holds."""
    storage, account = service.container.storage, customer.rpartition("/")[2]
    with ThreadPoolExecutor(1) as threads:
        with storage.transaction() as connection:
            rows(connection, "select from dispatcher.accounts where external_id = %(id)s for update", id=account)
            first = threads.submit(post)
            eventually(lambda: storage.read(scalar, HOLDS_A_KEY_AND_WAITS) == 1, what="the first request waiting")

            second = post()

        assert (second.status_code, second.headers["Retry-After"]) == (409, "5")
        assert first.result().json() == post().json()
    assert len(service.get(f"{customer}/webhooks").json()["data"]) == 1


def test_of_many_at_once_one_is_done(post: Repeated, service: Service, customer: str) -> None:
    together = threading.Barrier(8)

    def race(_: int) -> Any:
        together.wait(10)
        return post()

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(race, range(8)))

    (webhook,) = service.get(f"{customer}/webhooks").json()["data"]
    assert {answer.json()["id"] for answer in answers if answer.status_code == 201} == {webhook["id"]}
    assert {answer.status_code for answer in answers} <= {201, 409}


@pytest.mark.parametrize(("point", "is_done"), IN_A_REQUEST.items())
def test_a_process_that_dies_leaves_the_work_and_the_response_or_neither(
    service: Service, customer: str, serve: Callable[..., Server], point: str, is_done: bool
) -> None:
    dying = replace(service, server=serve(DISPATCHER_FAILPOINT=point, DISPATCHER_TESTING="1"))
    headers = {"Idempotency-Key": f"{customer} dies"}
    with pytest.raises(requests.ConnectionError):
        dying.post(f"{customer}/webhooks", json=HOOK, headers=headers)
    assert len(service.get(f"{customer}/webhooks").json()["data"]) == is_done

    again = service.post(f"{customer}/webhooks", json=HOOK, headers=headers)

    assert (again.status_code, "Idempotent-Replayed" in again.headers) == (201, is_done)
    assert again.json()["signing_secret"].startswith("whsec_")
    assert len(service.get(f"{customer}/webhooks").json()["data"]) == 1


def test_responses_are_encrypted_and_kept_for_a_day(post: Repeated, service: Service) -> None:
    secret = post(key="old").json()["signing_secret"]
    (row,) = service.sql("select r::text from dispatcher.idempotent_requests r where key like '%%old'")
    assert secret not in row[0]

    service.sql(
        "update dispatcher.idempotent_requests set created_at = now() - interval '25 hours' where key like '%%old'"
    )
    assert service.container.storage.transact(idempotent_requests.prune) == 1
