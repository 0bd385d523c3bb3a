"""Requests that two programs could read in two ways: each is refused, or read in one way only; nothing is left over.

After what is kept a further request is asked on the same connection and answered rightly, and once: bytes of the one
before were not taken for it, nor it for theirs.
"""

import itertools
from typing import NamedTuple

import pytest

from tests.support.cluster import SLUG
from tests.support.connections import Web

HOST = "Host: x"
AGENT = "User-Agent: t"
LONG = "9" * 5_000


def ask(line: str, *headers: str, host: str | None = HOST) -> bytes:
    """A request's head."""
    lines = [line, *([host] if host else []), AGENT, *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def post(*headers: str) -> bytes:
    """Where nothing may be POSTed."""
    return ask("POST /healthz HTTP/1.1", *headers)


FINE = ask("GET /healthz HTTP/1.1")
HIDDEN = ask("GET /hidden HTTP/1.1")
"""Answered with 404, if it is taken for a request."""
CHUNKED = "Transfer-Encoding: chunked"
END = b"0\r\n\r\n"


class Case(NamedTuple):
    """What is sent, the statuses of the answers, and whether the connection is kept."""

    sent: bytes
    statuses: list[int]
    kept: bool = False


LENGTHS = {
    "with chunks": Case(post("Content-Length: 6", CHUNKED) + END + HIDDEN, [400]),
    "after chunks": Case(post(CHUNKED, "Content-Length: 6") + END + HIDDEN, [400]),
    "twice the same": Case(post("Content-Length: 0", "Content-Length: 0") + HIDDEN, [400]),
    "two": Case(post("Content-Length: 0", "Content-Length: 44") + HIDDEN, [400]),
    "a list": Case(post("Content-Length: 0, 0") + HIDDEN, [400]),
    "with a plus": Case(post("Content-Length: +0") + HIDDEN, [400]),
    "hexadecimal": Case(post("Content-Length: 0x0") + HIDDEN, [400]),
    "with an underscore": Case(post("Content-Length: 1_0") + b"0123456789", [400]),
    "negative": Case(post("Content-Length: -1"), [400]),
    "empty": Case(post("Content-Length: "), [400]),
    "of 26 digits": Case(post("Content-Length: 99999999999999999999999999"), [400]),
    "of Arabic digits": Case(post("Content-Length: \u0663".encode().decode("latin-1")) + b"abc", [400]),
    "under another name": Case(post("Content_Length: 44", "Content-Length: 0") + HIDDEN, [405, 404], kept=True),
}
CODINGS = {
    "identity": Case(post("Transfer-Encoding: identity") + HIDDEN, [400]),
    "unknown": Case(post("Transfer-Encoding: xchunked") + END, [400]),
    "chunked twice": Case(post("Transfer-Encoding: chunked, chunked") + END, [400]),
    "gzip before": Case(post("Transfer-Encoding: gzip, chunked") + END, [405]),
    "two headers": Case(post(CHUNKED, "Transfer-Encoding: identity") + END + HIDDEN, [400]),
    "space before the colon": Case(post("Transfer-Encoding : chunked") + END, [400]),
    "vertical tab": Case(post("Transfer-Encoding: \x0bchunked") + END + HIDDEN, [400]),
    "quoted": Case(post('Transfer-Encoding: "chunked"') + END, [400]),
    "in HTTP/1.0": Case(ask("POST /healthz HTTP/1.0", CHUNKED) + END + HIDDEN, [405]),
    "under another name": Case(post("Transfer_Encoding: chunked", "Content-Length: 0") + HIDDEN, [405, 404], kept=True),
    "folded": Case(post("Transfer-Encoding:\r\n chunked") + END, [400]),
}
CHUNKS = {
    "with an extension": Case(post(CHUNKED) + b"1;a=b\r\nx\r\n" + END, [405]),
    "ended by LF in an extension": Case(post(CHUNKED) + b"1;a\nx\r\n" + END, [400]),
    "with CR in an extension": Case(post(CHUNKED) + b"1;a\rb\r\nx\r\n" + END, [400]),
    "of a negative size": Case(post(CHUNKED) + b"-1\r\nx\r\n" + END, [400]),
    "of a size with 0x": Case(post(CHUNKED) + b"0x1\r\nx\r\n" + END, [400]),
    "of a size with an underscore": Case(post(CHUNKED) + b"1_0\r\n0123456789abcdef\r\n" + END, [400]),
    "of a size with a blank": Case(post(CHUNKED) + b"1 \r\nx\r\n" + END, [400]),
    "without an end": Case(post(CHUNKED) + b"1\r\nxZZ0\r\n\r\n", [400]),
    "and a trailer with a host": Case(
        post(CHUNKED) + b"0\r\nHost: hidden\r\nContent-Length: 5\r\n\r\n" + HIDDEN, [400]
    ),
}
HEADERS = {
    "folded": Case(ask("GET /healthz HTTP/1.1", " folded"), [400]),
    "ended by LF": Case(b"GET /healthz HTTP/1.1\nHost: x\nUser-Agent: t\n\n", [400]),
    "with CR": Case(ask("GET /healthz HTTP/1.1", host="Host: x\rX: y"), [400]),
    "with NUL": Case(ask("GET /healthz HTTP/1.1", "X: a\0b"), [400]),
    "with a blank in the name": Case(ask("GET /healthz HTTP/1.1", "X y: a"), [400]),
    "too long": Case(ask("GET /healthz HTTP/1.1", f"X: {'a' * 200_000}"), [431]),
    "too many": Case(ask("GET /healthz HTTP/1.1", *(f"X{n}: a" for n in range(20_000))), [431]),
    "no host": Case(ask("GET /healthz HTTP/1.1", host=None), [200], kept=True),
    "two hosts": Case(ask("GET /healthz HTTP/1.1", "Host: y"), [400], kept=True),
    "a host with a blank": Case(ask("GET /api/v3/user.json HTTP/1.1", host="Host: x y"), [400], kept=True),
    "a host with @": Case(ask("GET /api/v3/user.json HTTP/1.1", host="Host: a@b"), [400], kept=True),
    "of a proxy that is none": Case(ask("GET /console/sign-in HTTP/1.1", "X-Forwarded-Proto: https"), [200], kept=True),
    "another method": Case(post("X-HTTP-Method-Override: DELETE", "Content-Length: 0"), [405], kept=True),
    "an expectation that nobody has": Case(post("Expect: 200-ok", "Content-Length: 0"), [405], kept=True),
}
LINES = {
    "absolute": Case(ask("GET http://hidden.example/healthz HTTP/1.1"), [200], kept=True),
    "absolute without a path": Case(ask("GET http://hidden.example HTTP/1.1"), [400]),
    "CONNECT": Case(ask("CONNECT 127.0.0.1:22 HTTP/1.1"), [400]),
    "OPTIONS": Case(ask("OPTIONS * HTTP/1.1"), [404], kept=True),
    "TRACE": Case(ask("TRACE /healthz HTTP/1.1"), [405], kept=True),
    "in small letters": Case(ask("get /healthz HTTP/1.1"), [400]),
    "of HTTP/2": Case(ask("GET /healthz HTTP/2.0"), [200]),
    "of HTTP/0.9": Case(b"GET /healthz\r\n\r\n", [200]),
    "with tabs": Case(ask("GET\t/healthz\tHTTP/1.1"), [400]),
    "with two blanks": Case(ask("GET  /healthz HTTP/1.1"), [200], kept=True),
    "too long": Case(ask(f"GET /{'a' * 200_000} HTTP/1.1"), [431]),
    "of a proxy": Case(b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + FINE, [400]),
}
UPGRADES = {
    "HTTP/2 at once": Case(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", [400]),
    "HTTP/2": Case(
        ask(
            "GET /healthz HTTP/1.1",
            "Connection: Upgrade, HTTP2-Settings",
            "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABkAAQAAP__",
        ),
        [200],
        kept=True,
    ),
    "a WebSocket": Case(
        ask(
            "GET /healthz HTTP/1.1",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
        [200],
        kept=True,
    ),
    "a WebSocket of another version": Case(
        ask("GET /healthz HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 8"),
        [200],
        kept=True,
    ),
}
SEVERAL = {
    "one": Case(FINE, [200], kept=True),
    "three": Case(FINE + FINE + HIDDEN, [200, 200, 404], kept=True),
    "after a body": Case(post("Content-Length: 3") + b"abc" + HIDDEN, [405]),
    "more at once than anybody needs": Case(FINE * 200, [503]),
    "a body that nobody waits for": Case(post("Expect: 100-continue", "Content-Length: 2") + b"ab", [405]),
}
PATHS = {
    "dots": Case(ask("GET /console/../healthz HTTP/1.1"), [303], kept=True),
    "dots in code": Case(ask("GET /console/static/%2e%2e/%2e%2e/frame.py HTTP/1.1"), [404], kept=True),
    "slashes in code": Case(ask("GET /console/static/..%2f..%2fframe.py HTTP/1.1"), [404], kept=True),
    "out of the documentation": Case(ask("GET /api/v3/docs/..%2f..%2fapp.py HTTP/1.1"), [404], kept=True),
    "NUL": Case(ask("GET /healthz%00 HTTP/1.1"), [404], kept=True),
    "a delivery's id of 5,000 digits": Case(
        ask(f"GET /console/accounts/{SLUG}/deliveries/{LONG} HTTP/1.1"), [404], kept=True
    ),
    "an event's id of 5,000 digits": Case(
        ask(f"GET /console/accounts/{SLUG}/events/{LONG} HTTP/1.1"), [404], kept=True
    ),
    "bytes that are no UTF-8": Case(ask("GET /healthz%ff%fe HTTP/1.1"), [404], kept=True),
    "a query that is no UTF-8": Case(
        ask(f"GET /api/v3/accounts/{SLUG}/events.json?since=%ff HTTP/1.1"), [401], kept=True
    ),
    "half a character": Case(ask("GET /api/v3/accounts/%ed%a0%80/events.json HTTP/1.1"), [401], kept=True),
}
KINDS = {
    "length": LENGTHS,
    "coding": CODINGS,
    "chunks": CHUNKS,
    "header": HEADERS,
    "line": LINES,
    "upgrade": UPGRADES,
    "requests": SEVERAL,
    "path": PATHS,
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_refused_or_read_in_one_way_only(web: Web, kind: str) -> None:
    for name, case in KINDS[kind].items():
        with web.line() as line:
            line.send(case.sent)
            answers = [line.answer() for _ in case.statuses]

            assert [answer and answer.status for answer in answers] == case.statuses, name
            assert answers[-1] is not None, name
            if case.kept:
                line.send(FINE)
                further = line.answer()
                assert further is not None, name
                assert (further.status, further.body) == (200, b'{"status":"ok"}'), name
            assert line.rest() == b"", name
            assert web.server.process.poll() is None, name
            assert "Traceback" not in web.server.output, name


def test_a_body_that_is_waited_for_is_asked_for(web: Web) -> None:
    with web.line() as line:
        line.send(ask("POST /api/v3/oauth/token HTTP/1.1", "Expect: 100-continue", "Content-Length: 2"))
        asked = line.answer()
        line.send(b"ab")
        answer = line.answer()

    assert asked is not None
    assert answer is not None
    assert (asked.status, answer.status) == (100, 400)


BODIES = [
    (CHUNKED, b"fffffffffffffffffffff\r\nx"),
    (f"Content-Length: {'9' * 30}", b"x"),
    ("Content-Length: 70000", b"x"),
]


def test_a_body_without_end_is_refused_at_once_where_nobody_may_send_one(web: Web) -> None:
    paths = ("/healthz", "/metrics", "/nowhere", f"/api/v3/accounts/{SLUG}/events.json")
    for path, (header, begun) in itertools.product(paths, BODIES):
        with web.line() as line:
            line.socket.settimeout(5)  # half of what a body may be silent
            line.send(ask(f"POST {path} HTTP/1.1", header) + begun)

            answer = line.answer()

        assert answer is not None, (path, header)
        assert answer.closes, (path, header)
        assert answer.status in (400, 401, 404, 405), (path, header)
