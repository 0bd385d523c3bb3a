"""Whatever is sent, to every route: the documented error, never a 500."""

import json
from typing import Any

import pytest

from dispatcher.api.auth import PREFIX
from tests.support.api import AGENT, Api, send
from tests.support.routes import ROUTES, Route, call, things_of

with_body = pytest.mark.parametrize("route", [route for route in ROUTES if route.json is not None], ids=str)
paged = pytest.mark.parametrize("route", [route for route in ROUTES if route.paged], ids=str)

NO_JSON = {
    "blanks": b"  ",
    "a brace": b"{",
    "two values": b"{} {}",
    "not utf-8": b'{"events": ["\xff\xfe"]}',
    "utf-16": '{"events": []}'.encode("utf-16"),
    "deep arrays": b"[" * 200_000,
    "deep objects": b'{"a":' * 200_000,
    "NaN": b'{"rate_limit": NaN}',
    "infinity": b'{"rate_limit": -Infinity}',
    "a number too long": b'{"rate_limit": ' + b"9" * 10_000 + b"}",
    "NUL": b"\0",
}
NO_OBJECT = {"null": b"null", "a number": b"5", "a text": b'"x"', "true": b"true"}
WRONG_DATA = {
    "lone surrogates": b'{"\\ud800": "\\udfff", "webhook_url": "\\ud800", "events": ["\\ud800"], "name": "\\ud800"}',
    "NULs": b'{"\\u0000": "\\u0000", "webhook_url": "\\u0000", "events": ["\\u0000"], "name": "invoice_paid\\u0000"}',
    "numbers for texts": b'{"webhook_url": 1e400, "events": 5, "name": 7, "body": -0.0, "active": 1234567890123456789}',
    "objects for texts": b'{"webhook_url": {}, "events": [{}], "name": [], "body": [], "auth_header": {"a": []}}',
    "many attributes": json.dumps({f"a{n}": n for n in range(20_000)}).encode(),
    "deep data": b'{"name": "invoice_paid", "body": ' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"}",
}


@with_body
@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON.keys())
def test_what_is_no_json_is_refused(api: Api, route: Route, body: Any) -> None:
    answer = call(api, route, things_of(api), data=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@with_body
@pytest.mark.parametrize("body", NO_OBJECT.values(), ids=NO_OBJECT.keys())
def test_what_is_no_object_is_refused(api: Api, route: Route, body: Any) -> None:
    answer = call(api, route, things_of(api), data=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in (400, 422)


@with_body
@pytest.mark.parametrize("body", WRONG_DATA.values(), ids=WRONG_DATA.keys())
def test_wrong_data_are_told_by_field(api: Api, route: Route, body: Any) -> None:
    answer = call(api, route, things_of(api), data=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, list(answer.json())) == (422, ["errors"])


@with_body
def test_a_body_beyond_five_mebibytes_is_refused(api: Api, route: Route) -> None:
    answer = call(
        api, route, things_of(api), data=b" " * 10_000_000 + b"{}", headers={"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")


@with_body
def test_a_body_of_unknown_length_is_measured_too(api: Api, route: Route) -> None:
    chunks = (b" " * 100_000 for _ in range(100))

    answer = call(api, route, things_of(api), data=chunks, headers={"Content-Type": "application/json"})

    assert answer.status_code == 413


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_ten_megabytes_of_somebody_without_a_token_are_not_read(api: Api, route: Route) -> None:
    answer = call(api, route, things_of(api), data=b"x" * 10_000_000, headers={"Authorization": ""})

    assert answer.status_code == 401


@paged
@pytest.mark.parametrize("page", ["0", "-1", "x", "1e3", "1.0", " 1", "%00", "9" * 1_000, "⁷", "", "\ud800"])
def test_what_is_no_page_is_refused(api: Api, route: Route, page: str) -> None:
    path = PREFIX + route.path.format(**things_of(api))
    headers = {"User-Agent": AGENT, "Authorization": f"Bearer {api.token}"}
    encoded = page if page.isascii() else "".join(f"%{byte:02x}" for byte in page.encode("utf-8", "surrogatepass"))

    answer = send(api.server, "GET", f"{path}?page={encoded.replace(' ', '+')}", headers)

    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")


@paged
@pytest.mark.parametrize("page", [2, 10**6, 2**31, 2**63, 10**29])
def test_a_page_past_the_end_is_empty(api: Api, route: Route, page: int) -> None:
    answer = call(api, route, things_of(api), params={"page": page})

    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize("route", ROUTES, ids=str)
@pytest.mark.parametrize("query", ["%00=%00", "a=%ff%fe", "include=%00", "a" * 3_000, "&&&===", "page=1&page=x", "%"])
def test_odd_queries_do_no_harm(api: Api, route: Route, query: str) -> None:
    path = PREFIX + route.path.format(**things_of(api))
    headers = {"User-Agent": AGENT, "Authorization": f"Bearer {api.token}", "Content-Type": "application/json"}

    answer = send(api.server, route.method, f"{path}?{query}", headers, json.dumps(route.json).encode())

    assert answer.status in (200, 201, 202, 204, 400, 422)


@pytest.mark.parametrize("header", [b"\xff\xfe", b"Bearer \xc3\x28", b"Bearer " + b"a" * 7_000, b"Bearer a b c"])
def test_odd_tokens_are_refused(api: Api, header: bytes) -> None:
    answer = send(api.server, "GET", f"{PREFIX}/user.json", {"User-Agent": AGENT, "Authorization": header})

    assert answer.status == 401
