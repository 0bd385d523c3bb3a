"""By a proxy, and from an address of ours: the guard stays, and a proxy's faults are not its receivers'."""

import socket
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_network

import pytest

from dispatcher.model.attempt import PROXY_ANSWERED, Result, Status, for_clients
from dispatcher.model.credentials import OAuth2
from dispatcher.sender.authorizing import AuthorizingSender, Tokens
from dispatcher.sender.contract import Limits, Request, Sender
from dispatcher.sender.egress import PROXY_AWAY, PROXY_SLOW, Egress
from dispatcher.sender.lookups import LookupSender
from dispatcher.settings import Proxy
from tests.integration.sender.conftest import KINDS
from tests.support.cases import each
from tests.support.posting import LOOPBACK, collect, post
from tests.support.proxy import ConnectProxy
from tests.support.receiver import Answer, Authority, Receiver

Make = Callable[..., Sender]


@pytest.fixture(params=sorted(KINDS))
def make(request: pytest.FixtureRequest, ca_file: str) -> Iterator[Make]:
    """As a process makes one, behind `port`'s proxy. `names`: name → addresses."""
    made: list[Sender] = []

    def make(
        port: int | None,
        *,
        allowed: Sequence[str] = LOOPBACK,
        names: dict[str, Sequence[str]] | None = None,
        resolves: bool = True,
        timeout_s: float = 10,
        addresses: tuple[str, ...] = (),
    ) -> Sender:
        proxy = Proxy(host="127.0.0.1", port=port, username="us", password="p w") if port else None
        egress = Egress(proxy=proxy, resolves=resolves, addresses=addresses)
        limits = Limits(timeout_s=timeout_s, allowed_networks=tuple(map(ip_network, allowed)), egress=egress)
        sender: Sender = KINDS[request.param](limits, ca_file=ca_file)
        if proxy:
            resolver = (lambda host: names.get(host, [host])) if names else None
            sender = LookupSender(sender, limits, resolver=resolver)
        made.append(AuthorizingSender(sender, limits, Tokens()))
        return made[-1]

    yield make
    for sender in made:
        sender.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def said(result: Result) -> tuple[str, str | None]:
    return result.status, result.reason


def test_requests_go_by_the_proxy_with_and_without_tls(make: Make, authority: Authority, receiver: Receiver) -> None:
    with Receiver(tls=authority.tls()) as secure, ConnectProxy() as proxy:
        sender = make(proxy.port)
        for one in (receiver, secure):
            url = one.script("/hook", Answer(status=503, headers=[("Retry-After", "7"), ("Via", "x")], body=b"later"))
            headers = [("Authorization", "Bearer t")]
            results = [post(sender, url, headers=headers, keeps_headers=True) for _ in range(2)]

            assert {(result.status, result.body, result.retry_after) for result in results} == {("503", b"later", "7")}
            assert "tests" not in str(results[0].headers)
            assert {request.connection for request in one.requests} == {1}
        assert proxy.asked == [
            (f"CONNECT 127.0.0.1:{one.port} HTTP/1.1", "Basic dXM6cCB3") for one in (receiver, secure)
        ]


def test_the_proxy_is_asked_for_the_address_that_was_checked(make: Make, authority: Authority) -> None:
    names = {"localhost": ["10.0.0.1", "::1", "127.0.0.1"]}
    with Receiver(tls=authority.tls()) as receiver, ConnectProxy() as proxy:
        sender = make(proxy.port, names=names)

        assert post(sender, receiver.url("/hook", host="localhost")).status == "200"
        assert proxy.asked[0][0] == f"CONNECT 127.0.0.1:{receiver.port} HTTP/1.1"
        assert receiver.requests[0].header("Host") == f"localhost:{receiver.port}"


@each("resolves", [True, False])
@each("host", ["10.0.0.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:169.254.169.254]"])
def test_a_private_address_is_asked_for_by_no_one(make: Make, host: str, resolves: bool) -> None:
    with ConnectProxy() as proxy:
        result = post(make(proxy.port, allowed=[], resolves=resolves), f"http://{host}:9/")

        assert result.status == Status.BLOCKED_ADDRESS
        assert proxy.asked == []


def test_a_name_of_a_private_address_is_asked_for_by_no_one(make: Make) -> None:
    names: dict[str, Sequence[str]] = {"in.test": ["10.0.0.1", "fd00::1"]}
    with ConnectProxy() as proxy:
        sender = make(proxy.port, allowed=[], names=names)
        client = OAuth2(token_url="http://in.test/token", client_id="a", client_secret="b")

        blocked = post(sender, "http://in.test/")
        assert post(sender, "http://1.1.1.1/", oauth2=client).status == Status.OAUTH2_TOKEN_FAILED
        unknown = post(make(proxy.port), "http://no-such-name.invalid/")

        assert proxy.asked == []
        assert for_clients(*said(blocked)) == for_clients(*said(unknown))


def test_a_proxy_that_looks_names_up_is_asked_for_the_name(make: Make, receiver: Receiver) -> None:
    with ConnectProxy(route=("127.0.0.1", receiver.port)) as proxy:
        sender = make(proxy.port, allowed=[], resolves=False)

        assert post(sender, "http://hooks.example/hook").status == "200"
        assert proxy.asked[0][0] == "CONNECT hooks.example:80 HTTP/1.1"


@each(
    ("answer", "status", "reason"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "egress_proxy_failed",
            f"{PROXY_ANSWERED}407",
        ),
        (
            b"HTTP/1.0 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
            "egress_proxy_failed",
            f"{PROXY_ANSWERED}403",
        ),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "connection_failed", f"{PROXY_ANSWERED}502"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "connection_failed", f"{PROXY_ANSWERED}503"),
        (b"", "egress_proxy_failed", PROXY_AWAY),
        (b"220 smtp.test ESMTP\r\n\r\n", "egress_proxy_failed", PROXY_AWAY),
    ],
)
@each("scheme", ["http", "https"])
def test_what_the_proxy_says_is_not_what_the_receiver_says(
    make: Make, scheme: str, answer: bytes, status: str, reason: str
) -> None:
    with ConnectProxy(answer=answer) as proxy:
        result = post(make(proxy.port), f"{scheme}://127.0.0.1:9/")

    assert said(result) == (status, reason)
    if reason != PROXY_AWAY:  # a refusal and a name without an address are one to clients
        assert for_clients(status, reason) == for_clients(Status.BLOCKED_ADDRESS, None)


def test_a_proxy_that_is_not_there(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    assert said(post(make(port), "http://127.0.0.1:9/")) == (Status.EGRESS_PROXY_FAILED, PROXY_AWAY)


def test_a_proxy_that_does_not_connect_in_time(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = post(make(silent.getsockname()[1], timeout_s=0.4), "http://127.0.0.1:9/")

    assert said(result) == (Status.TIMEOUT, PROXY_SLOW)


def test_what_a_receiver_does_behind_the_proxy_is_its_own(make: Make, authority: Authority, receiver: Receiver) -> None:
    url = receiver.script("/hook", Answer(hang_up="before_head"), Answer(), Answer(hang_up="before_head"))
    with Receiver(tls=authority.tls("wrong_name")) as flawed, ConnectProxy() as proxy:
        sender = make(proxy.port)

        statuses = [post(sender, url).status for _ in range(3)]
        assert post(sender, flawed.url("/hook")).status == Status.SSL_ERROR

    assert statuses == [Status.CONNECTION_FAILED, "200", Status.CONNECTION_FAILED]
    assert len(receiver.requests) == 3


def test_many_wait_for_one_lookup_and_a_wake_ends_the_wait(make: Make, receiver: Receiver) -> None:
    with ConnectProxy() as proxy:
        sender = make(proxy.port, names={"one.test": ["127.0.0.1"]})
        for tag in range(20):
            url = receiver.url("/hook", host="one.test")
            sender.start(Request(tag=tag, url=url, headers=[], body=b"{}"))
        assert sender.in_flight == 20

        results = collect(sender, 20)

        assert [(result.tag, result.status) for result in results] == [(tag, "200") for tag in range(20)]
        assert sender.results(5.0) == []
        url = receiver.script("/slow", Answer(delay_s=5))
        sender.start(Request(tag=1, url=url, headers=[], body=b"{}"))
        sender.wake()
        assert sender.results(10.0) == []


def test_connections_are_opened_from_the_address_that_is_set(make: Make, receiver: Receiver) -> None:
    with ConnectProxy() as proxy:
        assert post(make(proxy.port, addresses=("127.0.0.5",)), receiver.url("/hook")).status == "200"
        assert proxy.clients == ["127.0.0.5"]
    with ConnectProxy(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as direct:
        assert post(make(None, addresses=("127.0.0.6", "::1")), f"http://127.0.0.1:{direct.port}/").status == "200"
        assert direct.clients == ["127.0.0.6"]
        only_v6 = post(make(None, addresses=("::1",)), f"http://127.0.0.1:{direct.port}/")
        assert only_v6.status == Status.CONNECTION_FAILED
