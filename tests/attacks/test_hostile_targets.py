"""Webhooks that point inside: at create, at ping, at delivery, and at the senders themselves. A trap is never reached.

The trap listens on every address of this machine and takes no connection: whoever came would wait in its queue.
"""

import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest

from dispatcher.model.attempt import Status
from dispatcher.sender.contract import Limits, Request, Sender
from dispatcher.sender.curl import CurlSender
from dispatcher.sender.portable import RequestsSender
from tests.support.api import Api, running
from tests.support.cluster import Cluster
from tests.support.posting import collect, post
from tests.support.waiting import wait_until

ADDRESSES = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0x7f.0x0.0x0.0x1", "0177.0.0.1",
    "017700000001", "127.0.0.1.", "127.255.255.254", "0", "0.0.0.0", "0.0.0.0.", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]", "[2002:7f00:1::1]", "[2002:7f00:0001::]", "[2001:0:7f00:1::]", "[fe80::1]",
    "[fe80::1%25lo]", "[fe80::1%lo]", "[::1%25lo]", "[::1%lo]", "[fec0::1]", "[fd00:ec2::254]", "[ff02::1]",
    "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "[::ffff:169.254.169.254]", "10.0.0.1",
    "192.168.0.1", "172.16.0.1", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "198.18.0.1",
    "224.0.0.1", "255.255.255.255", "240.0.0.1", "１２７.0.0.1", "①②⑦.⓪.⓪.①", "127。0。0。1",
]  # fmt: skip
"""Ways to write an address that is not public."""
SURE = len(ADDRESSES) - 6
"""Those without a dot or a zone at the end, which some systems take for no address at all."""

NAMES = ["localhost", "LOCALHOST", "localhost.", "foo.localhost", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "loc\u00adalhost"]
"""Names that lead here, where they lead anywhere."""

ODD = ["HTTP://127.0.0.1:{trap}/", "https://127.0.0.1:{trap}/", "http://127.0.0.1:{trap}#@example.com/",
       "http://127.0.0.1:{trap}?@example.com/"]  # fmt: skip
"""URLs that are none of the usual ones, and may be asked for."""

NO_TARGETS = [
    "http://%31%32%37.0.0.1:{trap}/", "http://%6c%6fcalhost:{trap}/", "http://127.0.0.1;:{trap}/",
]  # fmt: skip
"""Hosts that are no names, which only the senders refuse."""

REFUSED = [
    "http://a@127.0.0.1:{trap}/", "http://127.0.0.1@example.com:{trap}/", "http://example.com@127.0.0.1:{trap}/",
    "http://user:pw@127.0.0.1:{trap}/", "http://127.0.0.1\\@example.com:{trap}/", "http://127.0.0.1 :{trap}/",
    "http://127.0.0.1\t:{trap}/", "http://[127.0.0.1]:{trap}/", "http://[::1:{trap}/", "http://::1:{trap}/",
    "http://:{trap}/", "//127.0.0.1:{trap}/", "http:127.0.0.1:{trap}/", "http:///127.0.0.1:{trap}/",
    "http:\\\\127.0.0.1:{trap}", "gopher://127.0.0.1:{trap}/_x", "ftp://127.0.0.1:{trap}/", "dict://127.0.0.1:{trap}/",
    "file:///etc/passwd", "ldap://127.0.0.1:{trap}/", "tftp://127.0.0.1:{trap}/x", "telnet://127.0.0.1:{trap}",
    "smb://127.0.0.1/x", "ws://127.0.0.1:{trap}/", "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/x", "http://127.0.0.1:{trap}/\r\nX-Injected: 1",
    "http://127.0.0.1:{trap}/ HTTP/1.1\r\nHost: x\r\n\r\n", "http://127.0.0.1:65536/", "http://127.0.0.1:-1/",
    "http://127.0.0.1:99999999999/", "http://127.0.0.1:+{trap}/", "http://127.0.0.1:{trap}x/", "javascript:alert(1)",
    "data:text/plain,x", "http://\ud800:{trap}/",
]  # fmt: skip
"""URLs that no webhook may have, and no sender sends to."""

HEADERS = [("X-A", "a\r\nX-B: c"), ("X-A\r\nX", "b"), ("Authorization", "Bearer x\nHost: y"), ("A", "\0"), ("A", "é"),
           ("A:", "b"), ("", "b")]  # fmt: skip
AUTH_HEADERS = [
    "Bearer x\r\nX-Injected: 1",
    "Bearer x\nHost: evil",
    "a\0b",
    "é",
    " lead",
    "trail ",
    "a" * 5_000,
    "\x7f",
]


@pytest.fixture
def trap() -> Iterator[int]:
    """The port of one that nobody may connect to."""
    with closing(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)) as listening:
        yield listening.getsockname()[1]
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()


def hostile(trap: int) -> list[str]:
    """The URLs that can be asked for."""
    return [f"http://{host}:{trap}/" for host in (*ADDRESSES, *NAMES)] + [url.format(trap=trap) for url in ODD]


MakeHostile = Callable[..., Sender]


@pytest.fixture(params=[CurlSender, RequestsSender], ids=["curl", "requests"])
def make_sender(request: pytest.FixtureRequest) -> Iterator[MakeHostile]:
    made: list[Sender] = []

    def make(**options: Any) -> Sender:
        made.append(request.param(Limits(timeout_s=10, connect_timeout_s=5), **options))
        return made[-1]

    yield make
    for sender in made:
        sender.close()


@pytest.fixture
def proxies(trap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names the trap as its proxy, for everything."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{trap}")
        monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{trap}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)


def statuses(sender: Sender, urls: Sequence[str]) -> dict[str, str]:
    """What came of one POST to each."""
    for tag, url in enumerate(urls):
        sender.start(Request(tag=tag, url=url, headers=(), body=b"{}"))
    return dict(zip(urls, (str(result.status) for result in collect(sender, len(urls), 60)), strict=True))


@pytest.mark.usefixtures("proxies")
def test_no_sender_connects_to_what_is_not_public(make_sender: MakeHostile, trap: int) -> None:
    found = statuses(make_sender(), hostile(trap))

    assert set(found.values()) <= {Status.BLOCKED_ADDRESS, Status.CONNECTION_FAILED, Status.UNKNOWN_ERROR}
    assert Counter(found.values())[Status.BLOCKED_ADDRESS] >= SURE


@pytest.mark.usefixtures("proxies")
def test_no_sender_sends_to_what_is_no_url_of_http(make_sender: MakeHostile, trap: int) -> None:
    urls = [url.format(trap=trap) for url in (*REFUSED, *NO_TARGETS)]

    assert set(statuses(make_sender(), urls).values()) == {Status.UNKNOWN_ERROR}


INSIDE = {
    "all-inside.test": ["127.0.0.1", "::1", "10.0.0.1"],
    "one-that-is-nowhere.test": ["203.0.113.9", "127.0.0.1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "metadata.google.test": ["169.254.169.254"],
    "nothing.test": ["0.0.0.0"],
}


def test_no_name_leads_a_sender_inside(make_sender: MakeHostile, trap: int) -> None:
    sender = make_sender(resolver=INSIDE.__getitem__)

    for name in INSIDE:
        assert post(sender, f"http://{name}:{trap}/").status == Status.BLOCKED_ADDRESS, name


def test_no_header_is_split(make_sender: MakeHostile, trap: int) -> None:
    sender = make_sender(resolver=lambda _host: ["127.0.0.1"])

    for header in HEADERS:
        assert post(sender, f"http://any.test:{trap}/", headers=[header]).status == Status.UNKNOWN_ERROR, header


def test_no_webhook_reaches_inside_from_its_creation_to_its_delivery(cluster: Cluster, trap: int) -> None:
    cluster.env |= {"DISPATCHER_ALLOWED_NETWORKS": "127.9.0.0/16", "DISPATCHER_RETRY_BASE_S": "600"}
    cluster.start_worker(ready=False)
    with running(cluster.container, cluster.folder, DISPATCHER_ALLOWED_NETWORKS="127.9.0.0/16") as server:
        api = Api.of(server, cluster.container, cluster.account)
        for url in (url.format(trap=trap) for url in REFUSED):
            assert created(api, webhook_url=url).status_code == 422, url
        for header in AUTH_HEADERS:
            assert created(api, webhook_url="https://example.com/", auth_header=header).status_code == 422, header

        moved = hook_of(created(api, webhook_url=f"http://127.9.0.1:{trap}/"))
        for url in (url.format(trap=trap) for url in (REFUSED[0], REFUSED[15], REFUSED[26])):
            assert api.patch(f"{moved}.json", json={"webhook_url": url}).status_code == 422, url
        assert api.patch(f"{moved}.json", json={"webhook_url": f"http://127.0.0.1:{trap}/"}).status_code == 200
        urls = [*hostile(trap), *(url.format(trap=trap) for url in NO_TARGETS)]
        hooks = [moved, *(hook_of(created(api, webhook_url=url)) for url in urls)]
        pings = [api.post(f"{hook}/ping.json").json() for hook in hooks]
    cluster.emit(1, "inbox_file_removed_all")
    wait_until(cluster.attempts, lambda attempts: len(attempts) == len(hooks), 60)

    told = {(ping["response_status"], ping["reason"]) for ping in pings}  # two words: nobody learns which names exist
    assert sorted(status for status, _ in told) == [Status.CONNECTION_FAILED, Status.UNKNOWN_ERROR]
    attempted = Counter(status for status, _ in cluster.attempts())
    assert set(attempted) <= {Status.BLOCKED_ADDRESS, Status.CONNECTION_FAILED, Status.UNKNOWN_ERROR}
    assert attempted[Status.BLOCKED_ADDRESS] >= SURE
    assert cluster.states() == {"pending": len(hooks)}


def created(api: Api, **attributes: str) -> Any:
    """The answer to a new webhook's creation."""
    return api.post("/webhooks.json", json={"events": ["inbox_file_removed_all"]} | attributes)


def hook_of(answer: Any) -> str:
    """The path of a webhook that was made, without `.json`."""
    assert answer.status_code == 201, answer.text
    return f"/webhooks/{answer.json()['id']}"
