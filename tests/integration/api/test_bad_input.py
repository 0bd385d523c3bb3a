"""Whatever is sent, to every route: the documented error, never a 500."""

import json
from itertools import product

from dispatcher.api.auth import PREFIX
from dispatcher.container import Container
from tests.integration.api.conftest import Known
from tests.support.api import AGENT, Api, Server, send
from tests.support.builders import an_account
from tests.support.routes import ROUTES, call, things_of

WITH_BODY = [route for route in ROUTES if route.json is not None]
PAGED = [route for route in ROUTES if route.paged]
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


def test_what_is_no_json_is_refused(known: Known) -> None:
    for route, (name, body) in product(WITH_BODY, NO_JSON.items()):
        answer = call(known.api, route, known.things, data=body, headers=JSON)

        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), f"{route}: {name}"


def test_what_is_no_object_is_refused(known: Known) -> None:
    for route, (name, body) in product(WITH_BODY, NO_OBJECT.items()):
        answer = call(known.api, route, known.things, data=body, headers=JSON)

        assert answer.status_code in (400, 422), f"{route}: {name}"


def test_wrong_data_are_told_by_field(known: Known) -> None:
    for route, (name, body) in product(WITH_BODY, WRONG_DATA.items()):
        answer = call(known.api, route, known.things, data=body, headers=JSON)

        assert (answer.status_code, list(answer.json())) == (422, ["errors"]), f"{route}: {name}"


def test_a_body_beyond_five_mebibytes_is_refused(known: Known) -> None:
    for route in WITH_BODY:
        answer = call(known.api, route, known.things, data=b" " * 10_000_000 + b"{}", headers=JSON)

        assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large"), route


def test_a_body_of_unknown_length_is_measured_too(known: Known) -> None:
    for route in WITH_BODY:
        chunks = (b" " * 100_000 for _ in range(100))

        answer = call(known.api, route, known.things, data=chunks, headers=JSON)

        assert answer.status_code == 413, route


def test_ten_megabytes_of_somebody_without_a_token_are_not_read(known: Known) -> None:
    for route in ROUTES:
        answer = call(known.api, route, known.things, data=b"x" * 10_000_000, headers={"Authorization": ""})

        assert answer.status_code == 401, route


def test_what_is_no_page_is_refused(known: Known) -> None:
    pages = ("0", "-1", "x", "1e3", "1.5", " 1", "%00", "1%00", "9" * 1_000, "⁷", "٣", "", "\ud800")
    for route, page in product(PAGED, pages):
        path = PREFIX + route.path.format(**known.things)
        encoded = page if page.isascii() else "".join(f"%{byte:02x}" for byte in page.encode("utf-8", "surrogatepass"))
        query = f"page={encoded.replace(' ', '+')}"

        answer = send(known.api.server, "GET", f"{path}?{query}", headers_of(known.api))

        assert (answer.status, answer.json()["error"]) == (400, "invalid_request"), f"{route}: {page!r}"


def test_a_page_past_the_end_is_empty(known: Known) -> None:
    for route, page in product(PAGED, (2, 10**6, 2**31, 2**63, 10**29)):
        answer = call(known.api, route, known.things, params={"page": page})

        assert (answer.status_code, answer.json()) == (200, []), f"{route}: {page}"


def test_odd_queries_do_no_harm(container: Container, server: Server) -> None:
    queries = ("%00=%00", "a=%ff%fe", "include=%00", "a" * 3_000, "&&&===", "page=1&page=x", "%")
    for number, query in enumerate(queries):
        api = Api.of(server, container, an_account(container.storage, f"odd{number}"))
        things, headers = things_of(api), headers_of(api) | JSON

        for route in ROUTES:
            path = PREFIX + route.path.format(**things | ({"delivery": things["pending"]} if route.pending else {}))

            answer = send(server, route.method, f"{path}?{query}", headers, json.dumps(route.json).encode())

            assert answer.status in (200, 201, 202, 204, 400, 422), f"{route}: {query}"


def headers_of(api: Api) -> dict[str, str]:
    return {"User-Agent": AGENT, "Authorization": f"Bearer {api.token}"}


def test_odd_tokens_are_refused(known: Known) -> None:
    for header in (b"\xff\xfe", b"Bearer \xc3\x28", b"Bearer " + b"a" * 7_000, b"Bearer a b c"):
        answer = send(known.api.server, "GET", f"{PREFIX}/user.json", {"User-Agent": AGENT, "Authorization": header})

        assert answer.status == 401, header
