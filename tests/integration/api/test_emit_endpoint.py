"""POST events.json as an endpoint of its own: what is counted, what shares a commit, what waits for whom."""

import http.client
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from dispatcher.container import Container
from dispatcher.model.account import Account
from dispatcher.pipeline.emit import NewEvent
from dispatcher.storage.admin import tokens
from dispatcher.web.emit_endpoint import RENDERED_BYTES
from tests.support.api import AGENT, Api, Server
from tests.support.builders import a_body, an_account
from tests.support.waiting import eventually

PAID: dict[str, Any] = {"name": "invoice_paid", "body": a_body()}
WRONG = {"name": "invoice_paid", "body": {}}


def headers_of(api: Api) -> Any:
    return {"User-Agent": AGENT, "Authorization": f"Bearer {api.token}", "Content-Type": "application/json"}


def stored(api: Api) -> int:
    count: int = api.sql("select count(*) from dispatcher.events where account_id = %(id)s", id=api.account.id)[0][0]
    return count


def test_another_method_is_told_what_the_path_takes(api: Api) -> None:
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = api.call(method, "/events.json")

        assert (answer.status_code, answer.json()["error"]) == (405, "method_not_allowed"), method
        assert answer.headers["Allow"] == "GET, HEAD, POST"
        assert "X-RateLimit" in answer.headers
    assert api.call("HEAD", "/events.json").status_code == 200  # of the activity log


def test_every_spelling_of_json_is_taken_and_another_type_is_refused(api: Api) -> None:
    for kind in ("application/json;charset=UTF-8", "APPLICATION/JSON", "application/ld+json"):
        answer = api.post("/events.json", data=json.dumps(PAID), headers={"Content-Type": kind})
        assert answer.status_code == 202, kind
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp"):
        answer = api.post("/events.json", data=json.dumps(PAID), headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["error"]) == (415, "unsupported_media_type"), kind


def test_large_arrays_are_stored_whole_and_one_bad_event_refuses_them_all(api: Api) -> None:
    many = [PAID] * 300  # beyond what is rendered on the event loop
    assert len(json.dumps(many)) > RENDERED_BYTES
    assert len(api.post("/events.json", json=many).json()) == 300

    answer = api.post("/events.json", json=[*many, WRONG])
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["[300].body.invoice", "[300].body.payment"])
    assert stored(api) == 300


def test_repeated_keys_are_counted(serve: Callable[..., Server], container: Container, account: Account) -> None:
    api = Api.of(serve(), container, account)

    def duplicates() -> float:
        name = 'dispatcher_duplicates_prevented_total{step="emit"}'
        text = requests.get(f"{api.server.url}/metrics", timeout=10).text
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))

    before = duplicates()
    for _ in range(3):
        api.post("/events.json", json=PAID, headers={"Idempotency-Key": "again"})
    eventually(lambda: duplicates() == before + 2, what="both being counted")


def test_a_request_is_counted_once(api: Api) -> None:
    keyed = PAID | {"idempotency_key": "k"}
    answers = [api.post("/events.json", json=given) for given in (PAID, PAID, keyed, keyed, WRONG, WRONG, "text")]
    poor = api.another("webhooks:read")
    refused = [poor.post("/events.json", json=PAID), poor.call("POST", "accounts/other/events.json", json=PAID)]

    assert [answer.status_code for answer in answers + refused] == [202, 202, 202, 202, 422, 422, 400, 403, 404]
    left = [answer.headers["X-RateLimit"].split(";")[1] for answer in answers + refused]
    assert left == [f"r={999_999 - number}" for number in (*range(len(answers)), 0, 1)]


def test_a_revoked_token_is_refused_once_the_process_has_heard_of_it(api: Api) -> None:
    assert api.post("/events.json", json=PAID).status_code == 202
    assert api.token is not None

    api.container.storage.transact(tokens.revoke, api.client.id, api.token)

    eventually(lambda: api.post("/events.json", json=PAID).status_code == 401, what="the token being refused")


def test_many_at_once_are_each_stored_once_whatever_the_others_send(api: Api, container: Container) -> None:
    others = [Api.of(api.server, container, an_account(container.storage, f"{api.account.slug}x{n}")) for n in range(3)]
    kinds = [PAID, [PAID] * 30, WRONG, PAID | {"idempotency_key": "k"}]

    def emits(n: int) -> tuple[Api, int, int]:
        caller, given = others[n % len(others)], kinds[n % len(kinds)]
        answer = caller.post("/events.json", json=given)
        new = [one["new"] for one in ([answer.json()] if n % 4 != 1 else answer.json())] if answer.ok else []
        return caller, answer.status_code, sum(new)

    with ThreadPoolExecutor(16) as threads:
        done = list(threads.map(emits, range(240)))

    assert [status for _, status, _ in done] == [202, 202, 422, 202] * 60
    for other in others:
        new = sum(count for caller, _, count in done if caller is other)
        assert (stored(other), new) == (20 + 20 * 30 + 1, 20 + 20 * 30 + 1)


def test_one_key_at_once_is_one_event(api: Api) -> None:
    def emits(n: int) -> tuple[int, bool]:
        if n % 2:
            answer = api.post("/events.json", json=PAID, headers={"Idempotency-Key": "k"})
        else:
            answer = api.post("/events.json", json=[PAID | {"idempotency_key": "k"}])
        assert answer.status_code == 202
        (event,) = answer.json() if isinstance(answer.json(), list) else [answer.json()]
        return event["id"], event["new"]

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(emits, range(64)))

    assert len({id_ for id_, _ in answers}) == 1
    assert sum(new for _, new in answers) == stored(api) == 1


def test_an_emit_whose_key_another_transaction_is_storing_waits_for_it_and_holds_up_nobody(
    api: Api, container: Container
) -> None:
    with ThreadPoolExecutor(1) as thread, container.storage.transaction() as connection:
        first = container.emitter.emit(api.account, [NewEvent(**PAID, idempotency_key="k")], connection)[0]
        waits = thread.submit(api.post, "/events.json", json=PAID | {"idempotency_key": "k"})
        asks = (
            "select from pg_stat_activity where query like '%%pg_advisory_xact_lock%%'"
            " and wait_event_type = 'Lock' and datname = current_database()"
        )
        eventually(lambda: api.sql(asks), what="the emit waiting")

        other = api.post("/events.json", json=PAID | {"idempotency_key": "other"})
        assert (other.status_code, other.json()["new"], waits.done()) == (202, True, False)
        connection.commit()
        answer = waits.result(20)

    assert (answer.status_code, answer.json()["id"], answer.json()["new"]) == (202, first.id, False)
    assert stored(api) == 2


def interrupted(api: Api, container: Container, table: str, within_s: float) -> requests.Response:
    """The answer to an emit whose statement waited for `table` when Postgres ended its connection; it stays locked."""
    # By the table, as a statement that waits while it is prepared has no values in its text.
    ended = """
        select pg_terminate_backend(pid) from pg_locks join pg_database d on d.oid = database
        where relation = %(table)s::regclass and not granted and datname = current_database()
    """
    with ThreadPoolExecutor(1) as thread, container.storage.transaction() as connection:
        connection.exec_driver_sql(f"lock table dispatcher.{table}")
        waits = thread.submit(api.post, "/events.json", json=PAID)
        eventually(lambda: api.sql(ended, table=f"dispatcher.{table}"), what="its statement waiting")
        return waits.result(within_s)


def test_what_postgres_does_not_take_is_a_503_and_is_not_tried_twice(
    serve: Callable[..., Server], container: Container, account: Account
) -> None:
    server = serve(DISPATCHER_POOL_SIZE="2")
    api = Api.of(server, container, account)
    assert api.post("/events.json", json=PAID).status_code == 202

    answer = interrupted(api, container, "events_waiting", 20)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert stored(api) == 1
    assert api.post("/events.json", json=PAID).status_code == 202


def test_who_calls_is_not_asked_twice_where_postgres_does_not_answer(api: Api, container: Container) -> None:
    answer = interrupted(api, container, "tokens", 4)  # a second look would wait for the lock, up to 5 s
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert api.post("/events.json", json=PAID).status_code == 202


def test_a_body_that_never_ends_keeps_no_other_from_being_answered(api: Api) -> None:
    slow = [http.client.HTTPConnection("127.0.0.1", api.server.port, timeout=10) for _ in range(80)]
    for number, connection in enumerate(slow):
        connection.putrequest("POST", f"/api/v3{api.path('/events.json')}")
        for name, value in (headers_of(api) | {"Content-Length": ("1000", "1000000")[number % 2]}).items():
            connection.putheader(name, value)
        connection.endheaders(b'{"name":')

    assert api.post("/events.json", json=PAID).status_code == 202
    assert api.get("/webhooks.json").status_code == 200
    for connection in slow:
        connection.close()
