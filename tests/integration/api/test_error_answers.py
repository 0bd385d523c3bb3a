"""What holds of every answer: both error bodies, and what a request must bring."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dispatcher.container import Container
from tests.support.api import AGENT, Api, Server, send
from tests.support.builders import an_account
from tests.support.servers import TEMPLATE, a_migrated_postgres, in_database


def test_invalid_data_are_told_by_field(api: Api) -> None:
    headers = {"User-Agent": AGENT, "Authorization": f"Bearer {api.token}", "Content-Type": "application/json"}

    answer = send(api.server, "POST", f"/api/v3{api.path('/webhooks.json')}", headers, b'{"events": []}')

    assert answer.status == 422
    assert answer.json() == {"errors": {"webhook_url": ["can't be blank"], "events": ["can't be empty"]}}
    assert answer.headers["Content-Type"] == "application/json"


def test_an_unknown_path_is_not_found_with_a_token_and_not_told_without(api: Api) -> None:
    for path in ("nothing.json", "/nothing.json", "/webhooks", "/webhooks.json/", "/webhooks/x.json"):
        answer = api.get(path)

        assert answer.status_code == 404, path
        assert answer.json() == {"error": "not_found", "error_description": "The record does not exist"}
        assert api.get(path, headers={"Authorization": ""}).status_code == 401, path


def test_a_method_that_a_path_does_not_take_is_told(api: Api) -> None:
    tried = (("PUT", "/webhooks.json"), ("DELETE", "user.json"), ("OPTIONS", "user.json"), ("GET", "oauth/token"))
    for method, path in tried:
        answer = api.call(method, path)

        assert (answer.status_code, answer.json()["error"]) == (405, "method_not_allowed"), f"{method} {path}"
        assert answer.headers["Allow"]


def test_head_is_answered_as_get_without_a_body(api: Api) -> None:
    answer = api.call("HEAD", "user.json")

    assert (answer.status_code, answer.content) == (200, b"")


def test_a_content_type_on_a_request_without_a_body_is_no_reason_to_refuse(api: Api) -> None:
    for headers in ({"Content-Type": "application/json"}, {"Content-Type": "application/x-www-form-urlencoded"}):
        assert api.get("/webhooks.json", headers=headers).status_code == 200


def test_a_body_of_another_type_than_json_is_refused(api: Api) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = api.post("/webhooks.json", data=b'{"events": []}', headers={"Content-Type": kind})

        assert (answer.status_code, answer.json()["error"]) == (415, "unsupported_media_type"), kind
    for kind in ("application/json", "application/json; charset=utf-8", "APPLICATION/JSON"):
        assert api.post("/webhooks.json", data=b"{}", headers={"Content-Type": kind}).status_code == 422, kind


def test_a_body_that_is_not_there_is_no_json(api: Api) -> None:
    answer = api.post("/webhooks.json", headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_pages_of_others_have_no_quota(api: Api) -> None:
    assert "X-RateLimit" not in api.call("GET", "../../nothing").headers


def test_a_postgres_that_is_down_is_told_as_a_fault_that_passes(
    serve: Callable[..., Server], container: Container, run_folder: Path
) -> None:
    with a_migrated_postgres(run_folder) as postgres:
        url = in_database(postgres.start(), TEMPLATE)
        other = Container(replace(container.settings, database_url=url))
        api = Api.of(serve(DATABASE_URL=url), other, an_account(other.storage, "acme"))
        assert api.get("user.json").status_code == 200

        postgres.stop()
        answers = [api.get("user.json"), api.get("/webhooks.json"), api.post("oauth/token", json={"grant_type": "x"})]
        postgres.start()
        again = api.get("user.json")
        other.close()
        postgres.stop()

    assert {answer.status_code for answer in answers[:2]} == {503}
    assert {answer.json()["error"] for answer in answers[:2]} == {"temporarily_unavailable"}
    assert {answer.headers["Retry-After"] for answer in answers[:2]} == {"5"}
    assert url.rpartition("@")[2] not in "".join(answer.text for answer in answers)
    assert again.status_code == 200
