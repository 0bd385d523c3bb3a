"""Whatever is sent, to every route: the documented error, never a 500."""

import json

import pytest

from dispatcher.api.auth import PREFIX
from tests.integration.api.conftest import Known
from tests.support.api import AGENT, Api, send
from tests.support.routes import ROUTES, Route, call, things_of

with_body = pytest.mark.parametrize("route", [route for route in ROUTES if route.json is not None], ids=str)
paged = pytest.mark.parametrize("route", [route for route in ROUTES if route.paged], ids=str)

JSON = {"Content-Type": "application/json"}
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
def test_what_is_no_json_is_refused(known: Known, route: Route) -> None:
    for name, body in NO_JSON.items():
        answer = call(known.api, route, known.things, data=body, headers=JSON)

        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), name


@with_body
def test_what_is_no_object_is_refused(known: Known, route: Route) -> None:
    for name, body in NO_OBJECT.items():
        assert call(known.api, route, known.things, data=body, headers=JSON).status_code in (400, 422), name


@with_body
def test_wrong_data_are_told_by_field(known: Known, route: Route) -> None:
    for name, body in WRONG_DATA.items():
        answer = call(known.api, route, known.things, data=body, headers=JSON)

        assert (answer.status_code, list(answer.json())) == (422, ["errors"]), name


@with_body
def test_a_body_beyond_five_mebibytes_is_refused(known: Known, route: Route) -> None:
    answer = call(known.api, route, known.things, data=b" " * 10_000_000 + b"{}", headers=JSON)

    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")


@with_body
def test_a_body_of_unknown_length_is_measured_too(known: Known, route: Route) -> None:
    chunks = (b" " * 100_000 for _ in range(100))

    answer = call(known.api, route, known.things, data=chunks, headers=JSON)

    assert answer.status_code == 413


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_ten_megabytes_of_somebody_without_a_token_are_not_read(known: Known, route: Route) -> None:
    answer = call(known.api, route, known.things, data=b"x" * 10_000_000, headers={"Authorization": ""})

    assert answer.status_code == 401


@paged
def test_what_is_no_page_is_refused(known: Known, route: Route) -> None:
    path = PREFIX + route.path.format(**known.things)

    for page in ("0", "-1", "x", "1e3", "1.0", " 1", "%00", "9" * 1_000, "⁷", "", "\ud800"):
        encoded = page if page.isascii() else "".join(f"%{byte:02x}" for byte in page.encode("utf-8", "surrogatepass"))
        query = f"page={encoded.replace(' ', '+')}"

        answer = send(known.api.server, "GET", f"{path}?{query}", headers_of(known.api))

        assert (answer.status, answer.json()["error"]) == (400, "invalid_request"), page


@paged
def test_a_page_past_the_end_is_empty(known: Known, route: Route) -> None:
    for page in (2, 10**6, 2**31, 2**63, 10**29):
        answer = call(known.api, route, known.things, params={"page": page})

        assert (answer.status_code, answer.json()) == (200, []), page


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_odd_queries_do_no_harm(api: Api, route: Route) -> None:
    headers = headers_of(api) | JSON

    for query in ("%00=%00", "a=%ff%fe", "include=%00", "a" * 3_000, "&&&===", "page=1&page=x", "%"):
        path = PREFIX + route.path.format(**things_of(api))

        answer = send(api.server, route.method, f"{path}?{query}", headers, json.dumps(route.json).encode())

        assert answer.status in (200, 201, 202, 204, 400, 422), query


def headers_of(api: Api) -> dict[str, str]:
    return {"User-Agent": AGENT, "Authorization": f"Bearer {api.token}"}


def test_odd_tokens_are_refused(known: Known) -> None:
    for header in (b"\xff\xfe", b"Bearer \xc3\x28", b"Bearer " + b"a" * 7_000, b"Bearer a b c"):
        answer = send(known.api.server, "GET", f"{PREFIX}/user.json", {"User-Agent": AGENT, "Authorization": header})

        assert answer.status == 401, header
