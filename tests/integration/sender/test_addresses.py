"""Where a sender connects to: never to an address that is not public, unless that is allowed."""

import socket
from collections.abc import Iterator

from dispatcher.model.attempt import Status
from tests.support.cases import each
from tests.support.posting import MakeSender, post
from tests.support.receiver import Answer, Authority, Receiver

NAMES_OF_HERE = [
    "127.0.0.1",
    "localhost",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "0.0.0.0",
]


@each("host", NAMES_OF_HERE)
def test_no_way_of_writing_loopback_is_sent_to(make_sender: MakeSender, receiver: Receiver, host: str) -> None:
    result = post(make_sender(allowed=()), receiver.url("/hook", host=host))

    assert result.status == Status.BLOCKED_ADDRESS
    assert receiver.connections == 0


@each("host", NAMES_OF_HERE[:-1])
def test_an_allowed_network_is_sent_to(make_sender: MakeSender, receiver: Receiver, host: str) -> None:
    sender = make_sender(allowed=("127.0.0.0/8",))

    assert post(sender, receiver.url("/hook", host=host)).status == "200"


def test_a_refused_network_is_not_sent_to_though_it_is_allowed(make_sender: MakeSender, receiver: Receiver) -> None:
    addresses = {
        "plain.test": ["127.0.0.1"],
        "mapped.test": ["::ffff:127.0.0.1"],
        "both.test": ["127.0.0.1", "127.0.0.4"],
    }
    sender = make_sender(refused=("127.0.0.0/30",), resolver=addresses.__getitem__)

    for host in ("plain.test", "mapped.test"):
        assert post(sender, receiver.url("/hook", host=host)).status == Status.BLOCKED_ADDRESS
    assert receiver.connections == 0
    with Receiver(host="127.0.0.4") as other:
        assert post(sender, other.url("/hook", host="both.test")).status == "200"


def test_ipv6_loopback(make_sender: MakeSender) -> None:
    with Receiver(host="::1") as receiver:
        assert post(make_sender(allowed=()), receiver.url("/hook")).status == Status.BLOCKED_ADDRESS
        assert receiver.connections == 0
        assert post(make_sender(allowed=("::1/128",)), receiver.url("/hook")).status == "200"
        assert receiver.requests[0].header("Host") == f"[::1]:{receiver.port}"


def test_ipv6_with_tls(make_sender: MakeSender, authority: Authority, ca_file: str) -> None:
    with Receiver(host="::1", tls=authority.tls()) as receiver:
        assert post(make_sender(ca_file=ca_file), receiver.url("/hook")).status == "200"


@each("address", ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "fe80::1", "::ffff:10.0.0.1"])
def test_a_name_that_leads_inside_is_blocked(make_sender: MakeSender, receiver: Receiver, address: str) -> None:
    sender = make_sender(allowed=(), resolver=lambda _host: [address])

    assert post(sender, receiver.url("/hook", host="innocent.test")).status == Status.BLOCKED_ADDRESS
    assert receiver.connections == 0


def test_a_name_is_judged_anew_for_every_connection(make_sender: MakeSender, receiver: Receiver) -> None:
    answers: Iterator[list[str]] = iter([["127.0.0.1"], ["127.0.0.2"]])
    sender = make_sender(allowed=("127.0.0.1/32",), resolver=lambda _host: next(answers))
    receiver.script("/hook", Answer(close=True))

    statuses = [post(sender, receiver.url("/hook", host="rebind.test")).status for _ in range(2)]

    assert statuses == ["200", Status.BLOCKED_ADDRESS]
    assert len(receiver.requests) == 1


def test_a_permitted_address_is_used_beside_a_blocked_one(make_sender: MakeSender, receiver: Receiver) -> None:
    sender = make_sender(allowed=("127.0.0.1/32",), resolver=lambda _host: ["10.0.0.1", "127.0.0.1"])

    assert post(sender, receiver.url("/hook", host="both.test")).status == "200"


def test_a_blocked_address_is_named_where_the_others_fail(make_sender: MakeSender) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    sender = make_sender(allowed=("127.0.0.1/32",), resolver=lambda _host: ["10.0.0.1", "127.0.0.1"])

    assert post(sender, f"http://both.test:{port}/").status == Status.BLOCKED_ADDRESS


def test_a_blocked_address_is_not_blamed_for_what_the_permitted_one_does(
    make_sender: MakeSender, receiver: Receiver
) -> None:
    sender = make_sender(allowed=("127.0.0.1/32",), resolver=lambda _host: ["10.0.0.1", "127.0.0.1"])
    receiver.script("/hook", Answer(hang_up="before_head"))

    assert post(sender, receiver.url("/hook", host="both.test")).status == Status.CONNECTION_FAILED
