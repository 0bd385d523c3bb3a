"""The limit of requests in a minute, told on every answer."""

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from dispatcher.container import Container
from dispatcher.local.valkey import Valkey
from dispatcher.model.account import Account
from dispatcher.storage.admin import tenants
from tests.support.api import Api, Server, running
from tests.support.places import a_folder
from tests.support.servers import resume, suspend
from tests.support.waiting import eventually


def figures(answer: Any, quota: str = "default") -> tuple[str, int, int]:
    """The policy, and of the quota what is left and the seconds until it is whole again."""
    name, left, seconds = answer.headers["X-RateLimit"].split(";")
    assert name == quota
    return answer.headers["X-RateLimit-Policy"], int(left.removeprefix("r=")), int(seconds.removeprefix("t="))


@pytest.fixture(scope="module")
def strict(_container: Container) -> Iterator[Server]:
    """Lets each client call five times a minute."""
    with a_folder() as folder, running(_container, folder, DISPATCHER_WEB_WORKERS="1", DISPATCHER_QUOTA="5") as made:
        yield made


@pytest.fixture
def limited(strict: Server, container: Container, account: Account) -> Api:
    """A new client of the strict server."""
    return Api.of(strict, container, account)


def test_every_answer_tells_what_is_left_and_beyond_it_is_429(limited: Api) -> None:
    found = [limited.get(path) for path in ("/webhooks.json", "user.json", "/nothing.json", "/webhooks/x.json")]
    found.append(limited.post("/webhooks.json", json={}))

    assert [figures(answer)[:2] for answer in found] == [("default;q=5;w=60", left) for left in (4, 3, 2, 1, 0)]
    assert all(0 < figures(answer)[2] <= 60 for answer in found)
    assert [answer.status_code for answer in found] == [200, 200, 404, 404, 422]
    refused = limited.get("/webhooks.json")
    assert (refused.status_code, refused.json()["error"]) == (429, "rate_limit_exceeded")
    assert figures(refused)[:2] == ("default;q=5;w=60", 0)
    assert int(refused.headers["Retry-After"]) == figures(refused)[2]
    assert "5 a minute" in refused.json()["error_description"]


def test_requests_for_tokens_count_by_the_accounts_own_quota(limited: Api, container: Container) -> None:
    own: dict[str, Any] = {"requests_per_minute": 20, "emits_per_minute": None, "retention_days": None, "portal": {}}
    container.storage.transact(tenants.set_columns, limited.account.id, own)
    credentials = {"grant_type": "client_credentials", "client_id": limited.client.client_id}

    answers = [limited.get("user.json") for _ in range(7)]
    answers.append(limited.post("oauth/token.json", json=credentials | {"client_secret": limited.secret}))

    assert [answer.status_code for answer in answers] == [200] * 8
    assert figures(answers[-1])[:2] == ("default;q=20;w=60", 12)


def test_emits_have_a_quota_of_their_own(serve: Callable[..., Server], container: Container, account: Account) -> None:
    limited = Api.of(serve(DISPATCHER_QUOTA="2", DISPATCHER_EMIT_QUOTA="3"), container, account)
    event = {"name": "inbox_file_removed_all", "body": {"inbox_files": {"count": 1}}}
    by_the_route = {"Accept": "application/json;q=0.9"}

    answers = [
        limited.post("/events.json", json=event, headers=way) for way in ({}, by_the_route, {}, {}, by_the_route)
    ]
    nothing = limited.post("/events.json")

    assert [answer.status_code for answer in answers] == [202, 202, 202, 429, 429]
    assert [figures(answer, "emits")[:2] for answer in answers] == [
        ("emits;q=3;w=60", left) for left in (2, 1, 0, 0, 0)
    ]
    assert (nothing.status_code, figures(nothing, "emits")[1]) == (429, 0)
    assert int(answers[-1].headers["Retry-After"]) == figures(answers[-1], "emits")[2]
    assert [limited.get("/webhooks.json").status_code for _ in range(3)] == [200, 200, 429]
    assert limited.another().post("/events.json", json=event).status_code == 202


def test_each_client_has_a_quota_of_its_own_and_it_comes_back(limited: Api, api_valkey: Valkey) -> None:
    for _ in range(6):
        limited.get("user.json")
    assert limited.another().get("user.json").status_code == 200
    assert limited.get("user.json").status_code == 429

    counts, key = _redis(api_valkey), f"dispatcher:quota:default:{limited.client.id}"
    eventually(lambda: int(counts.get(key) or 0) == 7, what="the settlement of all of them")
    counts.pexpire(key, 1)
    eventually(lambda: not counts.exists(key), what="the end of the window")
    limited.get("user.json")  # it counts, and by it the process learns of the new window
    eventually(lambda: counts.exists(key), what="its settlement")

    assert eventually(lambda: limited.get("user.json").status_code == 200)


def test_a_token_counts_as_a_request_of_its_client_and_a_wrong_secret_as_nobodys(limited: Api) -> None:
    def ask(secret: str) -> Any:
        given = {"grant_type": "client_credentials", "client_id": limited.client.client_id, "client_secret": secret}
        return limited.post("oauth/token", json=given, headers={"Authorization": ""})

    assert [ask("0" * 40).status_code for _ in range(7)] == [401] * 7
    assert [ask(limited.secret).status_code for _ in range(6)] == [200] * 5 + [429]
    refused = ask(limited.secret)
    assert (refused.json()["error"], 1 <= int(refused.headers["Retry-After"]) <= 60) == ("rate_limit_exceeded", True)
    assert limited.get("user.json").status_code == 429


def test_who_has_no_token_is_told_the_whole_quota(limited: Api) -> None:
    for path, headers in (
        ("user.json", {"Authorization": ""}),
        ("user.json", {"Authorization": "Bearer x"}),
        ("user.json", {"Accept": "text/html"}),
        ("oauth/token", {}),
        ("oauth", {}),
    ):
        assert figures(limited.get(path, headers=headers)) == ("default;q=5;w=60", 5, 60)


def test_what_one_process_counted_others_soon_know(
    limited: Api, serve: Callable[..., Server], container: Container, account: Account
) -> None:
    another = Api.of(serve(DISPATCHER_QUOTA="5"), container, account)
    there = dataclasses.replace(limited, server=another.server)
    assert [limited.get("user.json").status_code for _ in range(5)] == [200] * 5

    eventually(lambda: there.get("user.json").status_code == 429, what="the other process refusing too")


def test_many_at_once_are_counted_one_by_one(limited: Api) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: limited.get("user.json").status_code, range(12)))

    assert sorted(answers) == [200] * 5 + [429] * 7


def test_a_count_that_lost_its_end_gets_one(limited: Api, api_valkey: Valkey) -> None:
    _redis(api_valkey).set(f"dispatcher:quota:default:{limited.client.id}", 7)

    assert eventually(lambda: limited.get("user.json").status_code == 429)
    assert 0 < _redis(api_valkey).pttl(f"dispatcher:quota:default:{limited.client.id}") <= 60_000


def test_a_redis_that_is_down_or_hangs_lets_through_and_is_logged(
    serve: Callable[..., Server], container: Container, account: Account
) -> None:
    with a_folder() as folder:
        valkey = Valkey(folder / "valkey")
        valkey.start()
        server = serve(REDIS_URL=valkey.url, DISPATCHER_QUOTA="5")
        api = Api.of(server, container, account)
        assert figures(api.get("user.json"))[1] == 4

        suspend(valkey)
        eventually(lambda: figures(api.get("user.json"))[1] == 5, what="nothing being counted")
        hanging = [api.get("user.json") for _ in range(10)]
        resume(valkey)
        valkey.stop()
        down = [api.get("user.json") for _ in range(10)]

    assert [answer.status_code for answer in hanging + down] == [200] * 20
    assert {figures(answer) for answer in hanging + down} == {("default;q=5;w=60", 5, 60)}
    assert 1 <= server.output.count("quota.unavailable") <= 3


def _redis(valkey: Valkey) -> Any:
    return redis.Redis.from_url(valkey.url)
