"""What reaches a receiver, byte for byte, and what never does. One suite, run on both senders."""

from pathlib import Path

import pytest

from dispatcher.model.attempt import Status
from dispatcher.sender.contract import Sender
from tests.support.cases import each
from tests.support.posting import MakeSender, post
from tests.support.receiver import Answer, Receiver


def test_the_request_arrives_as_it_was_given(sender: Sender, receiver: Receiver) -> None:
    headers = [
        ("Content-Type", "application/json"),
        ("User-Agent", "dispatcher"),
        ("Idempotency-Key", "k 1"),
        ("E", ""),
    ]

    post(sender, receiver.url("/hook?token=a%7Eb+c~d"), headers=headers, body=b'{"a": 1}')

    (request,) = receiver.requests
    assert (request.method, request.target, request.body) == ("POST", "/hook?token=a%7Eb+c~d", b'{"a": 1}')
    assert [request.header(name) for name, _ in headers] == [value for _, value in headers]
    assert request.header("Host") == f"127.0.0.1:{receiver.port}"
    assert request.header("Content-Length") == "8"
    assert request.names().isdisjoint({"cookie", "authorization", "expect", "transfer-encoding"})
    assert request.header("Accept-Encoding") in (None, "identity")


def test_a_body_without_a_type_is_not_called_a_form(sender: Sender, receiver: Receiver) -> None:
    post(sender, receiver.url("/hook"), body=b"")

    (request,) = receiver.requests
    assert (request.header("Content-Type"), request.header("Content-Length"), request.body) == (None, "0", b"")


def test_a_large_body_is_sent_without_asking(sender: Sender, receiver: Receiver) -> None:
    body = b"x" * 5_000_000

    result = post(sender, receiver.url("/hook"), body=body)

    (request,) = receiver.requests
    assert result.status == "200"
    assert request.body == body
    assert request.header("Expect") is None


@each(
    "header",
    [
        ("X-A", "1\r\nX-B: 2"),
        ("X-A", "1\n"),
        ("X-A", "1\0"),
        ("X-A", "š"),
        ("X A", "1"),
        ("X-A:", "1"),
        ("", "1"),
        ("X\n", "1"),
    ],
)
def test_a_header_that_could_smuggle_never_leaves(sender: Sender, receiver: Receiver, header: tuple[str, str]) -> None:
    result = post(sender, receiver.url(), headers=[("Content-Type", "application/json"), header])

    assert result.status == Status.UNKNOWN_ERROR
    assert receiver.connections == 0


@each(
    "url",
    [
        "", "nonsense", "http://", "http:///path", "ftp://{at}/", "file:///etc/passwd", "gopher://{at}/", "http://{at}x/",
        "http://127.0.0.1:99999/", "http://[::1", "http://exa mple.test/", "http://{at}/\r\nX: y", "http://{at}\\@x.test/",
        "http://\ud800.test/", "HTTP//{at}/", "http://*.test/", "http://x.test:80:80/",
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_sent_to(sender: Sender, receiver: Receiver, url: str) -> None:
    result = post(sender, url.replace("{at}", f"127.0.0.1:{receiver.port}"))

    assert result.status == Status.UNKNOWN_ERROR
    assert receiver.connections == 0


def test_credentials_in_the_url_are_refused_and_not_repeated(sender: Sender, receiver: Receiver) -> None:
    result = post(sender, receiver.url("/hook", host="user:hunter2@127.0.0.1"))

    assert result.status == Status.UNKNOWN_ERROR
    assert "hunter2" not in repr(result)
    assert receiver.connections == 0


# URLs


def test_a_url_beyond_ascii_is_encoded(make_sender: MakeSender, receiver: Receiver) -> None:
    sender = make_sender(resolver=lambda host: ["127.0.0.1"] if host == "xn--hek-ela4t.test" else [])

    result = post(sender, receiver.url("/žluťoučký kůň?q=ř&r=%C5%99#díl", host="Háček.test"))

    (request,) = receiver.requests
    assert result.status == "200"
    assert request.target == "/%C5%BElu%C5%A5ou%C4%8Dk%C3%BD%20k%C5%AF%C5%88?q=%C5%99&r=%C5%99"
    assert request.header("Host") == f"xn--hek-ela4t.test:{receiver.port}"


@each(
    "target",
    ["/a;b=1,2/:@!$&'()*+=~_-.?token=a%2Fb%2fc/?:@!$&'()*+,;=", "/?q", "/a//b/../c/.", "/%7e%zz", '/{a}|"<b>^`'],
)
def test_a_url_of_ascii_stays_letter_for_letter(sender: Sender, receiver: Receiver, target: str) -> None:
    post(sender, receiver.url(target))

    assert receiver.requests[-1].target == target


# The environment


def test_proxies_of_the_environment_are_not_used(
    make_sender: MakeSender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)

        result = post(make_sender(), receiver.url("/hook"))

        assert (result.status, proxy.connections) == ("200", 0)


def test_netrc_is_not_read(
    make_sender: MakeSender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login user password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))

    post(make_sender(), receiver.url("/hook"))

    assert receiver.requests[0].header("Authorization") is None


def test_cookies_are_not_kept(sender: Sender, receiver: Receiver) -> None:
    url = receiver.script("/hook", Answer(headers=[("Set-Cookie", "session=1; Path=/")]))

    post(sender, url)
    post(sender, url)

    assert [request.header("Cookie") for request in receiver.requests] == [None, None]


def test_nothing_of_one_request_is_left_in_the_next(sender: Sender, receiver: Receiver) -> None:
    answers = (
        Answer(status=503, headers=[("Retry-After", "7"), ("Content-Type", "text/x")], body=b"long"),
        Answer(body=b""),
    )
    url = receiver.script("/hook", *answers)
    post(sender, url, headers=[("Authorization", "Bearer x"), ("Content-Type", "text/y")], body=b"first")

    result = post(sender, url, body=b"", tag=2)

    assert (result.status, result.body, result.content_type, result.retry_after) == ("200", b"", None, None)
    assert receiver.requests[1].names().isdisjoint({"authorization", "content-type"})
    assert receiver.requests[1].body == b""
