"""What becomes of bodies that come slowly, not at all, or without end, before anybody has looked at them."""

import asyncio

import pytest

from dispatcher.api import asgi
from dispatcher.api.asgi import Asgi
from dispatcher.api.parts import BODY_LIMIT
from tests.conftest import in_a_loop

SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "raw_path": b"/caf%C3%A9",
    "query_string": b"page=1",
    "headers": [(b"host", b"x"), (b"accept", b"a"), (b"accept", b"b"), (b"content-type", b"text/plain")],
    "server": ("127.0.0.1", 8000),
    "client": ("127.0.0.1", 4711),
}


class Echo:
    """A WSGI application that keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, environ, start_response):
        self.asked.append(environ | {"body": environ["wsgi.input"].read()})
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"o", b"k"]


@pytest.fixture
def echo():
    return Echo()


def serve(echo, own, *messages, **scope):
    """What is sent as the answer; a client that has sent `messages` says nothing more."""
    coming = iter(messages)
    sent = []

    async def receive():
        message = next(coming, None)
        if message is None:
            await asyncio.Event().wait()
        return message

    async def send(message):
        sent.append(message)

    in_a_loop(Asgi(echo, own)(SCOPE | scope, receive, send))
    return sent


def part(data, more=False):
    return {"type": "http.request", "body": data, "more_body": more}


def test_the_application_sees_the_request_as_it_came(echo, own):
    sent = serve(echo, own, part(b"a", more=True), part(b"b"))

    assert [sent[0]["status"], sent[1]["body"]] == [200, b"ok"]
    assert sent[0]["headers"] == [(b"Content-Type", b"text/plain")]
    (asked,) = echo.asked
    assert asked["body"] == b"ab"
    assert asked["PATH_INFO"].encode("latin-1").decode() == "/café"
    assert (asked["QUERY_STRING"], asked["HTTP_ACCEPT"], asked["CONTENT_TYPE"]) == ("page=1", "a,b", "text/plain")
    assert (asked["REMOTE_ADDR"], asked["SERVER_PORT"]) == ("127.0.0.1", "8000")


def test_a_client_that_goes_away_gets_no_answer(echo, own):
    assert serve(echo, own, part(b"a", more=True), {"type": "http.disconnect"}) == []
    assert echo.asked == []


def test_a_body_that_does_not_come_is_a_408(echo, own, monkeypatch):
    monkeypatch.setattr(asgi, "READ_S", 0.05)

    sent = serve(echo, own, part(b"a", more=True))

    assert sent[0]["status"] == 408
    assert b"request_timeout" in sent[1]["body"]
    assert echo.asked == []


def test_of_a_body_that_is_too_large_little_more_than_is_allowed_is_kept(echo, own):
    mebibyte = b"x" * 1024 * 1024

    serve(echo, own, *[part(mebibyte, more=True)] * 12, part(mebibyte))

    assert BODY_LIMIT < len(echo.asked[0]["body"]) <= BODY_LIMIT + len(mebibyte)


def test_nobody_reads_a_body_without_end(echo, own):
    mebibyte = b"x" * 1024 * 1024

    sent = serve(echo, own, *[part(mebibyte, more=True)] * 30)

    assert sent[0]["status"] == 200
