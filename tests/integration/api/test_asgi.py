"""What is looked at before a body is read, and what becomes of bodies that come slowly, not at all, or without end."""

import asyncio
from typing import Any, cast

import pytest

from dispatcher.container import Container
from dispatcher.errors import ApiError
from dispatcher.model.event import BODY_LIMIT
from dispatcher.web import bodies
from dispatcher.web.asgi import Asgi
from dispatcher.web.bodies import FORM_LIMIT, LargeBodies
from dispatcher.web.connections import TURN, Connections, Turn
from tests.support.api import Api, a_token
from tests.support.waiting import in_a_loop

MEBIBYTE = b"x" * 1024 * 1024
CHUNKED = (b"transfer-encoding", b"chunked")


class Echo:
    """A WSGI application that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        try:
            self.asked.append(environ | {"body": environ["wsgi.input"].read()})
            status, text = "200 OK", [b"o", b"k"]
        except ApiError as refused:
            status, text = f"{refused.status} Refused", [str(refused).encode()]
        start_response(status, [("Content-Type", "text/plain")])
        return text


class Client:
    """Sends `messages`, and then nothing more."""

    def __init__(self, *messages: Any) -> None:
        self.coming = iter(messages)
        self.heard: list[Any] = []
        self.read = 0
        """Messages that were taken before the answer."""

    async def receive(self) -> Any:
        message = next(self.coming, None)
        if message is None:
            await asyncio.Event().wait()
        self.read += not self.heard
        return message

    async def send(self, message: Any) -> None:
        self.heard.append(message)

    @property
    def answer(self) -> tuple[int, str]:
        return self.heard[0]["status"], self.heard[1]["body"].decode()


def part(data: Any, more: Any = False) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


def ask(
    app: Any,
    container: Container,
    client: Client,
    *headers: Any,
    path: bytes = b"/console/caf%C3%A9",
    length: int | None = None,
) -> Client:
    """POSTs what `client` sends; the client's own answer is in it afterwards."""
    if length is not None:
        headers = (*headers, (b"content-length", str(length).encode()))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "raw_path": path,
        "query_string": b"page=1",
        "headers": [(b"host", b"x"), (b"content-type", b"text/plain"), *headers],
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 4711),
    }
    turn = Turn(Connections(1), cast("Any", client))
    in_a_loop(Asgi(app, container, 1)(scope | {"state": {TURN: turn}}, client.receive, client.send))
    return client


@pytest.fixture(autouse=True)
def short_farewells(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that says nothing more is not listened to for long."""
    monkeypatch.setattr(bodies, "LINGER_S", 0.05)


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def token(container: Container, api: Api) -> tuple[bytes, bytes]:
    return (b"authorization", f"Bearer {a_token(container, api.client, api.account)}".encode())


API_PATH = b"/api/v3/accounts/x/webhooks.json"


def test_the_application_sees_the_request_as_it_came(echo: Echo, container: Container) -> None:
    client = Client(part(b"a", more=True), part(b"b"))

    ask(echo, container, client, (b"accept", b"a"), (b"accept", b"b"), length=2)

    assert client.answer == (200, "ok")
    assert client.heard[0]["headers"] == [(b"Content-Type", b"text/plain")]
    (asked,) = echo.asked
    assert asked["body"] == b"ab"
    assert asked["PATH_INFO"].encode("latin-1").decode() == "/console/café"
    assert (asked["QUERY_STRING"], asked["HTTP_ACCEPT"], asked["CONTENT_TYPE"]) == ("page=1", "a,b", "text/plain")
    assert (asked["REMOTE_ADDR"], asked["SERVER_PORT"]) == ("127.0.0.1", "8000")


def test_a_client_that_goes_away_gets_no_answer(echo: Echo, container: Container) -> None:
    client = ask(echo, container, Client(part(b"a", more=True), {"type": "http.disconnect"}), length=9)

    assert (client.heard, echo.asked) == ([], [])


def test_a_body_that_does_not_come_is_a_408(echo: Echo, container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SILENCE_S", 0.05)

    client = ask(echo, container, Client(part(b"a", more=True)), length=9)

    assert client.answer[0] == 408
    assert "request_timeout" in client.answer[1]
    assert echo.asked == []


def test_a_body_that_trickles_is_a_408(echo: Echo, container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SILENCE_S", 0.2)

    class Trickling(Client):
        async def receive(self) -> dict[str, Any]:
            await asyncio.sleep(0.02)  # the client's doing, not the test's: a byte each 20 ms, never silent for 200
            return part(b"a", more=True)

    assert ask(echo, container, Trickling(), length=1_000).answer[0] == 408


def test_what_progresses_may_take_longer_than_silence_may(
    echo: Echo, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "SILENCE_S", 0.1)
    monkeypatch.setattr(bodies, "RATE", 100)

    class Steady(Client):
        async def receive(self) -> dict[str, Any]:
            await asyncio.sleep(0.03)
            return await super().receive()

    client = Steady(*[part(b"x" * 10, more=True)] * 9, part(b"x" * 10))
    assert ask(echo, container, client, length=100).answer == (200, "ok")


def test_without_a_token_no_body_is_read_where_one_is_needed(echo: Echo, container: Container) -> None:
    for headers in ((), ((b"authorization", b"Bearer 00"),), ((b"authorization", b"Basic 00"),)):
        client = Client(part(b"a", more=True))

        ask(echo, container, client, *headers, path=API_PATH, length=100)

        assert client.answer[0] == 413  # because this application reads; the real one refuses before (below)
        assert client.read == 0
        assert (b"Connection", b"close") in client.heard[0]["headers"]


def test_with_a_token_it_is(echo: Echo, container: Container, token: tuple[bytes, bytes]) -> None:
    assert ask(echo, container, Client(part(b"a")), token, path=API_PATH, length=1).answer == (200, "ok")


def test_who_has_no_token_may_send_a_form_and_not_more(echo: Echo, container: Container) -> None:
    for length in (FORM_LIMIT + 1, 10**40):
        client = ask(echo, container, Client(part(b"a", more=True)), length=length)

        assert client.answer == (413, "The body is larger than 64 KiB")
        assert client.read == 0


def test_a_body_that_is_announced_as_too_large_is_not_read(
    echo: Echo, container: Container, token: tuple[bytes, bytes]
) -> None:
    client = ask(echo, container, Client(part(b"a", more=True)), token, path=API_PATH, length=BODY_LIMIT + 1)

    assert client.answer == (413, "The body is larger than 5 MiB")
    assert client.read == 0


def test_of_a_body_without_end_no_more_is_read_than_may_be(
    echo: Echo, container: Container, token: tuple[bytes, bytes]
) -> None:
    client = ask(echo, container, Client(*[part(MEBIBYTE, more=True)] * 40), token, CHUNKED, path=API_PATH)

    assert client.answer == (413, "The body is larger than 5 MiB")
    assert client.read == 6
    assert sum(1 for _ in client.coming) == 40 - 6 - 21  # more than 20 MiB were thrown away, so that it may hear that


def test_a_body_of_just_the_limit_may_come_in_chunks(
    echo: Echo, container: Container, token: tuple[bytes, bytes]
) -> None:
    messages = [part(MEBIBYTE, more=True)] * 5 + [part(b"")]

    assert ask(echo, container, Client(*messages), token, CHUNKED, path=API_PATH).answer == (200, "ok")


def test_one_account_takes_no_more_than_half_of_the_places() -> None:
    async def taking() -> list[int]:
        bodies_at_once, entered = LargeBodies(4), []

        async def large(account_id: int) -> None:
            async with bodies_at_once.place(account_id):
                entered.append(account_id)
                await asyncio.Event().wait()

        tasks = [asyncio.create_task(large(account_id)) for account_id in (1, 1, 1, 1, 2, 3, 3)]
        for _ in range(20):  # turns of the loop, more than enough for whoever may enter
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        return entered

    assert in_a_loop(taking()) == [1, 1, 2, 3]
