"""Receivers that send what they please: what each sender makes of it, and that a worker's memory stays where it was."""

import itertools
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamEnded
from hyperframe.frame import PingFrame, SettingsFrame, WindowUpdateFrame

from dispatcher.model.attempt import Status
from dispatcher.sender.contract import TOO_LARGE, Limits, Request, Sender
from dispatcher.sender.curl import CurlSender
from dispatcher.sender.portable import RequestsSender
from tests.faults.conftest import LONG, bounded
from tests.support.cluster import Cluster
from tests.support.posting import collect
from tests.support.processes import resident_mb
from tests.support.receiver import Answer, Authority, Receiver
from tests.support.waiting import wait_until

LIMITS = Limits(timeout_s=20, allowed_networks=(ip_network("127.0.0.0/8"),))
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
FAILED, REFUSED = Status.CONNECTION_FAILED, Status.UNKNOWN_ERROR


def sized(head: bytes) -> bytes:
    """A response with that head and two bytes of body."""
    return head + b"Content-Length: 2\r\n\r\nok"


RESPONSES: Mapping[str, tuple[bytes, str]] = {
    "plain": (sized(OK), "200"),
    "a reason with odd bytes": (sized(b"HTTP/1.1 200 \xff\xfe\r\n"), "200"),
    "no reason": (sized(b"HTTP/1.1 200\r\n"), "200"),
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "200"),
    "a redirect to metadata": (sized(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/\r\n"), "302"),
    "a redirect to a file": (sized(b"HTTP/1.1 307 T\r\nLocation: file:///etc/passwd\r\n"), "307"),
    "another protocol": (sized(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n"), "101"),
    "a code that nobody knows": (sized(b"HTTP/1.1 999 Odd\r\n"), "999"),
    "a code of four digits": (sized(b"HTTP/1.1 2000 Odd\r\n"), REFUSED),
    "a code of two digits": (sized(b"HTTP/1.1 20 Odd\r\n"), REFUSED),
    "a code of zeros": (sized(b"HTTP/1.1 000 Odd\r\n"), REFUSED),
    "a negative code": (sized(b"HTTP/1.1 -20 Odd\r\n"), REFUSED),
    "a code with zeros before": (sized(b"HTTP/1.1 0200 OK\r\n"), REFUSED),
    "a code of Python's": (sized(b"HTTP/1.1 2_00 OK\r\n"), REFUSED),
    "two spaces": (sized(b"HTTP/1.1  200 OK\r\n"), REFUSED),
    "a space before": (sized(b" HTTP/1.1 200 OK\r\n"), REFUSED),
    "a zero byte in the reason": (sized(b"HTTP/1.1 200 a\0b\r\n"), REFUSED),
    "HTTP/0.9 by name": (sized(b"HTTP/0.9 200 OK\r\n"), REFUSED),
    "HTTP/0.9": (b"hello", REFUSED),
    "HTTP/1.9": (sized(b"HTTP/1.9 200 OK\r\n"), REFUSED),
    "HTTP/2.0": (sized(b"HTTP/2.0 200 OK\r\n"), REFUSED),
    "HTTP/3": (sized(b"HTTP/3 200 OK\r\n"), REFUSED),
    "ICY": (sized(b"ICY 200 OK\r\n"), REFUSED),
    "random bytes": (bytes(range(256)) * 16, REFUSED),
    "a negative length": (OK + b"Content-Length: -1\r\n\r\nok", REFUSED),
    "a signed length": (OK + b"Content-Length: +2\r\n\r\nok", REFUSED),
    "a hexadecimal length": (OK + b"Content-Length: 0x2\r\n\r\nok", REFUSED),
    "a length of Python's": (OK + b"Content-Length: 2_0\r\n\r\nok", REFUSED),
    "a superscript length": (OK + b"Content-Length: \xb2\r\n\r\nok", REFUSED),
    "an empty length": (OK + b"Content-Length: \r\n\r\nok", REFUSED),
    "two lengths": (OK + b"Content-Length: 2\r\nContent-Length: 5\r\n\r\nok...", REFUSED),
    "two lengths in one": (OK + b"Content-Length: 2, 5\r\n\r\nok...", REFUSED),
    "one length twice": (sized(OK + b"Content-Length: 2\r\n"), "200"),
    "a length beyond what comes": (OK + b"Content-Length: 100\r\n\r\nok", FAILED),
    "a huge length": (OK + b"Content-Length: 9223372036854775807\r\n\r\nok", FAILED),
    "a length beside chunks": (OK + b"Content-Length: 9\r\n" + CHUNKED[len(OK) :] + b"2\r\nok\r\n0\r\n\r\n", "200"),
    "a bad length beside chunks": (OK + b"Content-Length: -1\r\n" + CHUNKED[len(OK) :] + b"0\r\n\r\n", REFUSED),
    "an unknown coding": (OK + b"Transfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", REFUSED),
    "a coding nobody asked for": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", REFUSED),
    "a quoted coding": (OK + b'Transfer-Encoding: "chunked"\r\n\r\n2\r\nok\r\n0\r\n\r\n', REFUSED),
    "a chunk with an extension": (CHUNKED + b"2;a=b\r\nok\r\n0\r\n\r\n", "200"),
    "a chunk of no number": (CHUNKED + b"g\r\nok\r\n0\r\n\r\n", FAILED),
    "a chunk of a negative size": (CHUNKED + b"-1\r\nok\r\n0\r\n\r\n", FAILED),
    "a chunk of 16 EiB": (CHUNKED + b"ffffffffffffffff\r\nok\r\n0\r\n\r\n", FAILED),
    "no last chunk": (CHUNKED + b"2\r\nok\r\n", FAILED),
    "no last line": (CHUNKED + b"2\r\nok\r\n0\r\n", FAILED),
    "half a head": (OK + b"Content-Len", FAILED),
    "nothing": (b"", FAILED),
    "a zero byte in a header": (sized(OK + b"Content-Type: a\0b\r\n"), REFUSED),
    "a header of 60 KB": (sized(OK + b"Content-Type: " + b"a" * 60_000 + b"\r\n"), "200"),
    "a header of 110 KB": (sized(OK + b"X: " + b"a" * 110_000 + b"\r\n"), REFUSED),
    "a Retry-After of 23 digits": (sized(b"HTTP/1.1 503 E\r\nRetry-After: 99999999999999999999999\r\n"), "503"),
    "cookies": (sized(OK + b"Set-Cookie: a=b; Domain=127.0.0.1\r\n"), "200"),
    "another service": (sized(OK + b'Alt-Svc: h2="169.254.169.254:80"; ma=999\r\n'), "200"),
    "a question for NTLM": (sized(b"HTTP/1.1 401 U\r\nWWW-Authenticate: NTLM\r\n"), "401"),
    "a body that is said to be compressed": (sized(OK + b"Content-Encoding: gzip\r\n"), "200"),
    "a 204 with a body": (b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nok", "204"),
    "a 204 with chunks": (b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "204"),
}
"""What comes, and what both senders say of it."""

DIFFERENCES: Mapping[str, tuple[bytes, str, str]] = {
    "a length beyond 64 bits": (OK + b"Content-Length: 99999999999999999999\r\n\r\nok", "200", REFUSED),
    "chunked twice": (OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "200", REFUSED),
    "a chunk in Python's spelling": (CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n", REFUSED, "200"),
    "a signed chunk": (CHUNKED + b"+2\r\nok\r\n0\r\n\r\n", FAILED, "200"),
    "a chunk longer than it says": (CHUNKED + b"2\r\nokxx0\r\n\r\n", FAILED, "200"),
    "chunks with bare line feeds": (CHUNKED + b"2\nok\n0\n\n", "200", FAILED),
    "another protocol, and nothing": (OK.replace(b"200", b"101") + b"Connection: upgrade\r\n\r\n", FAILED, "101"),
    "a line without a colon": (sized(OK + b"nocolon\r\n"), REFUSED, "200"),
    "a bare carriage return": (sized(OK + b"X: a\rb\r\n"), REFUSED, "200"),
    "101 headers": (sized(OK + b"".join(b"X-%d: 1\r\n" % number for number in range(101))), "200", REFUSED),
    "a header of 70 KB": (sized(OK + b"X: " + b"a" * 70_000 + b"\r\n"), "200", REFUSED),
}
"""What comes, and what libcurl and http.client say: each reads some of what is malformed, and has its own limits."""

PIECE = b"a" * 65_536
FLOODS: Mapping[str, tuple[bytes, bytes]] = {
    "a chunk extension": (CHUNKED + b"1;", PIECE),
    "small chunks with extensions": (CHUNKED, (b"1;" + b"a" * 8_000 + b"\r\nx\r\n") * 8),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", (b"x-trailer: " + b"a" * 8_000 + b"\r\n") * 8),
    "short trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", b"t: a\r\n" * 10_000),
    "103 heads": (b"", (b"HTTP/1.1 103 Early Hints\r\nlink: " + b"a" * 8_000 + b"\r\n\r\n") * 8),
    "short 103 heads": (b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 1_000),
    "100 heads": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000),
    "header lines": (OK, (b"x-header: " + b"a" * 8_000 + b"\r\n") * 8),
    "one header line": (OK + b"x-header: ", PIECE),
    "a status line": (b"HTTP/1.1 200 ", PIECE),
    "a first chunk size": (CHUNKED, b"0" * 65_536),
}
"""What a receiver sends first, and then again and again."""

FRAMES: Mapping[str, bytes] = {
    "answers to no ping": PingFrame(0, b"12345678", flags=["ACK"]).serialize(),
    "window updates": WindowUpdateFrame(0, 1).serialize(),
    "frames of no known kind": b"\x00\x3e\x80\xc8\x00\x00\x00\x00\x00" + b"x" * 16_000,
}
"""What a receiver may send beside the responses of HTTP/2, and nghttp2 takes without end."""


@pytest.fixture(params=[CurlSender, RequestsSender], ids=["curl", "requests"])
def sender(request: pytest.FixtureRequest, authority: Authority, tmp_path: Path) -> Iterator[Sender]:
    sender = request.param(LIMITS, ca_file=authority.write_ca(tmp_path))
    yield sender
    sender.close()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def tls(request: pytest.FixtureRequest, authority: Authority) -> ssl.SSLContext | None:
    return authority.tls() if request.param else None


def verdicts(sender: Sender, urls: Sequence[str]) -> list[tuple[str, str | None]]:
    """Status and reason of one POST to each."""
    for tag, url in enumerate(urls):
        sender.start(Request(tag=tag, url=url, headers=(), body=b"{}"))
    results = collect(sender, len(urls), within_s=60)
    assert all(result.finished_s - result.started_s < LIMITS.timeout_s / 2 for result in results)
    return [(str(result.status), result.reason) for result in results]


def test_both_senders_say_the_same_of_odd_responses(sender: Sender, tls: ssl.SSLContext | None) -> None:
    expected = {name: status for name, (_, status) in RESPONSES.items()}
    place = 1 if isinstance(sender, CurlSender) else 2
    expected |= {name: str(case[place]) for name, case in DIFFERENCES.items()}
    if tls is not None and isinstance(sender, CurlSender):  # which takes an end that TLS did not announce for a cut
        expected |= dict.fromkeys(("another protocol", "a length beyond 64 bits"), FAILED)
    raw: dict[str, Any] = {name: case[0] for name, case in (*RESPONSES.items(), *DIFFERENCES.items())}

    with ExitStack() as stack:  # a receiver for each, or one's connection would be kept for the next
        receivers = {name: stack.enter_context(Receiver(tls=tls)) for name in expected}
        found = verdicts(sender, [one.script("/hook", Answer(raw=raw[name])) for name, one in receivers.items()])

        assert {name: status for name, (status, _) in zip(expected, found, strict=True)} == expected
        assert {len(one.requests) for one in receivers.values()} == {1}  # nothing was repeated, no redirect followed


@contextmanager
def flood(first: bytes, piece: bytes, tls: ssl.SSLContext | None) -> Iterator[str]:
    """A receiver that answers every request with `first` and then `piece` until the client has enough; its URL."""

    def serve(line: socket.socket) -> None:
        with suppress(OSError), line, tls.wrap_socket(line, server_side=True) if tls else line as served:
            served.recv(65_536)
            served.sendall(first)
            for _ in itertools.repeat(None, 30_000):  # 2 GB, should nobody end it
                served.sendall(piece)

    def accept() -> None:
        with suppress(OSError):
            while True:
                line, _ = listening.accept()
                threading.Thread(target=serve, args=(line,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{listening.getsockname()[1]}/"
        listening.shutdown(socket.SHUT_RDWR)
        accepting.join(5)


def test_a_response_without_end_is_ended(sender: Sender, tls: ssl.SSLContext | None) -> None:
    with ExitStack() as receivers:
        urls = [receivers.enter_context(flood(*case, tls)) for case in FLOODS.values()]

        found = dict(zip(FLOODS, verdicts(sender, urls), strict=True))

    # Heads without end have a limit of their own in both libraries, and words of their own.
    assert {status for status, _ in found.values()} <= {REFUSED, FAILED}
    if isinstance(sender, CurlSender):
        assert found["a chunk extension"] == found["small chunks with extensions"] == (REFUSED, TOO_LARGE)
    else:
        assert found["trailers"] == found["103 heads"] == found["100 heads"] == (REFUSED, TOO_LARGE)


def test_frames_without_end_are_ended(authority: Authority, tmp_path: Path) -> None:
    tls = authority.tls(offers=["h2"])
    settings = SettingsFrame(0).serialize()
    with ExitStack() as stack:
        sender = stack.enter_context(closing(CurlSender(LIMITS, ca_file=authority.write_ca(tmp_path))))
        urls = [stack.enter_context(flood(settings, one * (65_536 // len(one)), tls)) for one in FRAMES.values()]

        assert set(verdicts(sender, urls)) == {(REFUSED, TOO_LARGE)}


def answer_the_second_last(listening: socket.socket, tls: ssl.SSLContext, count: int) -> None:
    """Speaks HTTP/2 on one connection: 60 KB for each request, but the second one waits for `count` others."""
    with suppress(OSError), tls.wrap_socket(listening.accept()[0], server_side=True) as line:
        talk = H2Connection(H2Configuration(client_side=False))
        talk.initiate_connection()
        ended: list[int] = []
        while data := line.recv(65_536):
            for event in talk.receive_data(data):
                if not isinstance(event, StreamEnded):
                    continue
                ended.append(event.stream_id)
                if len(ended) == 2:
                    continue
                for stream in (event.stream_id, ended[1]) if len(ended) == count + 2 else (event.stream_id,):
                    talk.send_headers(stream, [(":status", "200")])
                    for left in (3, 2, 1, 0):
                        talk.send_data(stream, b"x" * 15_000, end_stream=not left)
            line.sendall(talk.data_to_send())


def test_a_slow_response_is_not_blamed_for_what_its_connection_carries(authority: Authority, tmp_path: Path) -> None:
    count, at_once = bounded(600, 20_000), 10
    with ExitStack() as stack:
        sender = stack.enter_context(closing(CurlSender(LIMITS, ca_file=authority.write_ca(tmp_path))))
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        tls = authority.tls(offers=["h2"])
        threading.Thread(target=answer_the_second_last, args=(listening, tls, count), daemon=True).start()
        request = Request(tag=0, url=f"https://127.0.0.1:{listening.getsockname()[1]}/", headers=(), body=b"{}")
        sender.start(request)
        collect(sender, 1)

        sender.start(replace(request, tag=1))
        others = [replace(request, tag=2)] * count
        while others:
            for one in others[:at_once]:
                sender.start(one)
            assert {result.status for result in collect(sender, len(others[:at_once]))} == {"200"}
            others = others[at_once:]
        (slow,) = collect(sender, 1)

    assert (slow.tag, slow.status, len(slow.body)) == (1, "200", 60_000)


@pytest.mark.parametrize("kind", ["curl", "requests"] if LONG else ["curl"])  # which was the one that kept all
def test_a_workers_memory_stays_level_with_receivers_that_flood_over_tls(
    cluster: Cluster, authority: Authority, kind: str
) -> None:
    (cluster.folder / "certifi.py").write_text(f"def where():\n    return {authority.write_ca(cluster.folder)!r}\n")
    cluster.env |= {"DISPATCHER_SENDER": kind, "DISPATCHER_TIMEOUT_S": "10", "DISPATCHER_LEASE_S": "20"}
    cluster.env |= {"DISPATCHER_RETRY_BASE_S": "600"}
    count, rounds = 10, bounded(1, 20)
    worker = cluster.start_worker(PYTHONPATH=str(cluster.folder))
    with Receiver(tls=authority.tls()) as receiver:
        cluster.webhook(receiver.url("/hook"), "inbox_file_removed_all")
        cluster.emit(1, "inbox_file_removed_all")
        cluster.wait_until_delivered(1)
    before = resident_mb(worker.pid, peak=True)

    with flood(*FLOODS["small chunks with extensions"], authority.tls()) as url:
        for number in range(
            1, rounds + 1
        ):  # each round with webhooks of its own: those of the last one are backing off
            cluster.rows("update dispatcher.webhooks set active = false returning id")
            for _ in range(count):
                cluster.webhook(url)
            cluster.emit(1)
            wait_until(cluster.attempts, lambda attempts, sent=number * count: len(attempts) == 1 + sent, 30)

    assert resident_mb(worker.pid, peak=True) - before < 40  # it was some 60 MiB a second once
    assert set(cluster.attempts()) == {("200", None), (REFUSED, TOO_LARGE)}
    assert not worker.ended
