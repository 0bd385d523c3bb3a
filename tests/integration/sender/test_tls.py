"""Certificates, handshakes and HTTP/2, with an authority of the tests' own."""

import ssl
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Literal

import pytest

from dispatcher.model.attempt import Status
from dispatcher.sender.contract import Limits, Request
from dispatcher.sender.curl import CurlSender
from tests.support.cases import each
from tests.support.posting import LOOPBACK, MakeSender, collect, post
from tests.support.receiver import Answer, Authority, Receiver
from tests.support.waiting import eventually


@each("host", ["127.0.0.1", "localhost"])
def test_a_good_certificate(make_sender: MakeSender, authority: Authority, ca_file: str, host: str) -> None:
    sender = make_sender(ca_file=ca_file)
    with Receiver(tls=authority.tls()) as receiver:
        statuses = [post(sender, receiver.url("/hook", host=host)).status for _ in range(3)]

        assert statuses == ["200"] * 3
        assert {request.connection for request in receiver.requests} == {1}


@each("flaw", ["expired", "wrong_name", "self_signed"])
def test_a_flawed_certificate(
    make_sender: MakeSender,
    authority: Authority,
    ca_file: str,
    flaw: Literal["expired", "wrong_name", "self_signed"],
) -> None:
    sender = make_sender(ca_file=ca_file)
    with Receiver(tls=authority.tls(flaw)) as receiver:
        result = post(sender, receiver.url("/hook"))

        assert result.status == Status.SSL_ERROR
        assert receiver.requests == []


def test_an_authority_that_nobody_knows(make_sender: MakeSender, authority: Authority) -> None:
    sender = make_sender()  # trusts certifi's
    with Receiver(tls=authority.tls()) as receiver:
        assert post(sender, receiver.url("/hook")).status == Status.SSL_ERROR
        assert receiver.requests == []


@each("raw", [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"220 smtp.test ESMTP\r\n"])
def test_a_port_that_does_not_speak_tls(make_sender: MakeSender, ca_file: str, raw: bytes) -> None:
    sender = make_sender(ca_file=ca_file)
    with Receiver(greeting=raw) as receiver:
        result = post(sender, receiver.url("/hook").replace("http:", "https:"))

    assert result.status == Status.SSL_ERROR


def test_a_receiver_that_hangs_up_in_the_handshake(make_sender: MakeSender, ca_file: str) -> None:
    sender = make_sender(ca_file=ca_file)
    with Receiver(greeting=b"") as receiver:
        result = post(sender, receiver.url("/hook").replace("http:", "https:"))

    assert result.status == Status.SSL_ERROR


@each("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_receiver_that_asks_for_a_certificate(
    make_sender: MakeSender, authority: Authority, ca_file: str, newest: ssl.TLSVersion
) -> None:
    sender = make_sender(ca_file=ca_file)
    tls = authority.tls()
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.maximum_version = newest
    with Receiver(tls=tls) as receiver:
        assert post(sender, receiver.url("/hook")).status == Status.SSL_ERROR
        assert receiver.requests == []


def test_a_connection_that_breaks_within_tls(make_sender: MakeSender, authority: Authority, ca_file: str) -> None:
    sender = make_sender(ca_file=ca_file)
    with Receiver(tls=authority.tls()) as receiver:
        for place in ("before_head", "after_head", "in_body"):
            url = receiver.script(f"/{place}", Answer(body=b"x" * 100, hang_up=place, reset=True))

            assert post(sender, url).status == Status.CONNECTION_FAILED


def test_the_deadline_holds_within_tls(make_sender: MakeSender, authority: Authority, ca_file: str) -> None:
    sender = make_sender(ca_file=ca_file, timeout_s=0.7)
    with Receiver(tls=authority.tls()) as receiver:
        url = receiver.script("/hook", Answer(body=b"x" * 1_000, drip_s=0.1))

        result = post(sender, url)

    assert result.status == Status.TIMEOUT
    assert 0.6 < result.finished_s - result.started_s < 2


def test_http2_is_not_forced_on_anyone(make_sender: MakeSender, authority: Authority, ca_file: str) -> None:
    sender = make_sender(ca_file=ca_file)
    with Receiver(tls=authority.tls(offers=["http/1.1"])) as receiver:
        assert post(sender, receiver.url("/hook")).status == "200"
        assert receiver.requests[0].version == "HTTP/1.1"


def test_a_receiver_that_offers_http2_is_reached_by_both(
    make_sender: MakeSender, authority: Authority, ca_file: str
) -> None:
    sender = make_sender(ca_file=ca_file)
    with Receiver(tls=authority.tls(), http2=True) as receiver:
        assert post(sender, receiver.url("/hook")).status == "200"


@pytest.fixture
def curl(ca_file: str) -> Iterator[CurlSender]:
    sender = CurlSender(Limits(timeout_s=10, allowed_networks=tuple(map(ip_network, LOOPBACK))), ca_file=ca_file)
    yield sender
    sender.close()


def test_libcurl_uses_http2_where_it_is_offered(curl: CurlSender, authority: Authority) -> None:
    with Receiver(tls=authority.tls(), http2=True) as receiver:
        headers = [("Content-Type", "text/plain"), ("Retry-After", "3")]
        url = receiver.script("/hook", Answer(status=503, headers=headers, body=b"later"))

        results = [post(curl, url, headers=[("Idempotency-Key", "k1")], body=b"x" * 20_000) for _ in range(3)]

        assert {(result.status, result.body, result.retry_after) for result in results} == {("503", b"later", "3")}
        assert {(request.version, request.connection) for request in receiver.requests} == {("HTTP/2", 1)}
        assert receiver.requests[0].header("idempotency-key") == "k1"
        assert receiver.requests[0].body == b"x" * 20_000


def test_libcurl_sends_many_over_one_http2_connection(curl: CurlSender, authority: Authority) -> None:
    with Receiver(tls=authority.tls(), http2=True) as receiver:
        post(curl, receiver.url("/first"))

        for tag in range(50):
            curl.start(Request(tag=tag, url=receiver.url("/hook"), headers=[], body=b"%d" % tag))
        results = collect(curl, 50)

        assert {result.status for result in results} == {"200"}
        assert {request.connection for request in receiver.requests} == {1}
        assert sorted(int(request.body) for request in receiver.requests[1:]) == list(range(50))


def test_libcurl_repeats_what_an_http2_receiver_did_not_look_at(curl: CurlSender, authority: Authority) -> None:
    with Receiver(tls=authority.tls(), http2=True) as receiver:
        url = receiver.script("/hook", Answer(), Answer(refuse=True), Answer(status=201))

        assert [post(curl, url).status for _ in range(2)] == ["200", "201"]


def test_libcurl_repeats_nothing_else_over_http2(curl: CurlSender, authority: Authority) -> None:
    with Receiver(tls=authority.tls(), http2=True) as receiver:
        url = receiver.script("/hook", Answer(), Answer(hang_up="before_head"), Answer())

        assert [post(curl, url).status for _ in range(2)] == ["200", Status.CONNECTION_FAILED]
        assert len(receiver.requests) == 2
        eventually(lambda: post(curl, url).status == "200")  # the first of these may still meet the ending connection
