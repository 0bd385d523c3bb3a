"""What every sender does with what receivers do. One suite, run on both."""

import gzip
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from dispatcher.model.attempt import Status
from dispatcher.sender.contract import Request, Sender
from tests.support.cases import each
from tests.support.posting import MakeSender, collect, post
from tests.support.receiver import Answer, Receiver

# What comes back


@each("status", [200, 201, 204, 301, 302, 307, 400, 401, 404, 410, 429, 500, 503])
def test_the_status_is_the_code_of_the_answer(sender: Sender, status: int) -> None:
    with Receiver() as receiver:
        headers = [("Location", receiver.url("/elsewhere"))]
        url = receiver.script("/hook", Answer(status=status, headers=headers, body=b""))

        result = post(sender, url)

        assert result.status == str(status)
        assert result.reason is None
        assert result.started_s <= result.finished_s
        assert [request.path for request in receiver.requests] == ["/hook"]  # a redirect is not followed


def test_body_content_type_and_retry_after_come_back(sender: Sender, receiver: Receiver) -> None:
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("retry-after", " 120 "), ("Set-Cookie", "id=7")]
    url = receiver.script("/hook", Answer(status=429, headers=headers, body=b"slower"))

    result = post(sender, url)

    assert (result.status, result.body) == ("429", b"slower")
    assert (result.content_type, result.retry_after) == ("text/plain; charset=utf-8", "120")
    kept = (result.headers or "").splitlines()
    assert {"Content-Type: text/plain; charset=utf-8", "retry-after: 120", "Set-Cookie: (not kept)"} <= set(kept)


def test_heads_before_the_final_one_are_skipped(sender: Sender, receiver: Receiver) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\nContent-Type: text/early\r\n\r\n"
    before = [b"HTTP/1.1 100 Continue\r\n\r\n", early, early]
    url = receiver.script("/hook", Answer(status=201, before=before, body=b"made"))

    result = post(sender, url)

    assert (result.status, result.body, result.retry_after, result.content_type) == ("201", b"made", None, None)
    assert result.headers is None  # of a success they are kept only where they are asked for
    asked = post(sender, url, keeps_headers=True)
    assert (asked.status, "early" in str(asked.headers), "Content-Length" in str(asked.headers)) == ("201", False, True)


@each("chunked", [False, True])
def test_a_body_up_to_the_limit_is_whole(make_sender: MakeSender, receiver: Receiver, chunked: bool) -> None:
    sender = make_sender(body_limit=5_000)
    url = receiver.script(
        "/hook", Answer(body=b"y" * 5_000, chunked=chunked), Answer(body=b"y" * 5_001, chunked=chunked)
    )

    assert post(sender, url).body == b"y" * 5_000
    result = post(sender, url)

    assert (result.status, result.body) == ("200", b"y" * 5_000)


def test_an_endless_body_is_cut_and_its_status_counts(make_sender: MakeSender, receiver: Receiver) -> None:
    sender = make_sender(body_limit=10_000)
    url = receiver.script("/hook", Answer(status=500, body=b"z" * 1_000, endless=True))

    result = post(sender, url)

    assert (result.status, result.body) == ("500", b"z" * 10_000)
    assert result.finished_s - result.started_s < 5


def test_no_body_is_kept_where_none_may(make_sender: MakeSender, receiver: Receiver) -> None:
    sender = make_sender(body_limit=0)

    result = post(sender, receiver.url())

    assert (result.status, result.body) == ("200", b"")


def test_a_compressed_body_stays_compressed(sender: Sender, receiver: Receiver) -> None:
    bomb = gzip.compress(b"0" * 20_000_000)
    url = receiver.script("/hook", Answer(headers=[("Content-Encoding", "gzip")], body=bomb))

    result = post(sender, url)

    assert (result.status, result.body) == ("200", bomb)


def test_http_1_0_ends_a_body_with_the_connection(sender: Sender, receiver: Receiver) -> None:
    url = receiver.script("/hook", Answer(version="HTTP/1.0", body=b"old"))

    assert [post(sender, url).body for _ in range(2)] == [b"old", b"old"]
    assert receiver.connections == 2


# Connections


def test_a_connection_is_used_again(sender: Sender, receiver: Receiver) -> None:
    receiver.script("/b", Answer(status=404, body=b"x" * 30_000))
    receiver.script("/c", Answer(status=204, body=b""))

    for path in ("/a", "/b", "/c", "/d"):
        post(sender, receiver.url(path))

    assert [request.connection for request in receiver.requests] == [1, 1, 1, 1]


def test_a_closed_connection_is_replaced(sender: Sender, receiver: Receiver) -> None:
    url = receiver.script("/hook", Answer(close=True))

    assert [post(sender, url).status for _ in range(3)] == ["200"] * 3
    assert [request.connection for request in receiver.requests] == [1, 2, 3]


@each("reset", [False, True])
def test_one_attempt_is_one_post_even_on_a_kept_connection(sender: Sender, reset: bool) -> None:
    with Receiver() as receiver:
        url = receiver.script("/hook", Answer(), Answer(hang_up="before_head", reset=reset), Answer())

        statuses = [post(sender, url).status for _ in range(3)]

        assert statuses == ["200", Status.CONNECTION_FAILED, "200"]
        assert len(receiver.requests) == 3
        assert [request.connection for request in receiver.requests[:2]] == [1, 1]


def test_many_are_in_flight_at_once(make_sender: MakeSender, receiver: Receiver) -> None:
    sender = make_sender(timeout_s=30)
    url = receiver.script("/slow", Answer(delay_s=0.5))
    began_s = time.monotonic()

    for tag in range(30):
        sender.start(Request(tag=tag, url=url, headers=[], body=b"%d" % tag))
    assert sender.in_flight == 30
    results = collect(sender, 30, within_s=30)

    assert [(result.tag, result.status) for result in results] == [(tag, "200") for tag in range(30)]
    assert sorted(int(request.body) for request in receiver.requests) == list(range(30))
    assert time.monotonic() - began_s < 10  # one after the other would take 15
    assert sender.in_flight == 0


def test_a_slow_receiver_does_not_hold_up_the_others(sender: Sender, receiver: Receiver) -> None:
    sender.start(Request(tag=1, url=receiver.script("/slow", Answer(delay_s=60)), headers=[], body=b""))

    sender.start(Request(tag=2, url=receiver.url("/fast"), headers=[], body=b""))
    (result,) = collect(sender, 1)

    assert (result.tag, result.status, sender.in_flight) == (2, "200", 1)


def test_more_than_the_capacity_may_be_started(make_sender: MakeSender, receiver: Receiver) -> None:
    sender = make_sender(timeout_s=30)
    count = min(sender.capacity, 100) + 20

    for tag in range(count):
        sender.start(Request(tag=tag, url=receiver.url(), headers=[], body=b""))

    assert {result.status for result in collect(sender, count, within_s=30)} == {"200"}


def test_nothing_in_flight_is_nothing_to_wait_for(sender: Sender) -> None:
    began_s = time.monotonic()

    assert sender.results(5) == []
    assert time.monotonic() - began_s < 4


def test_results_waits_no_longer_than_told(sender: Sender, receiver: Receiver) -> None:
    sender.start(Request(tag=1, url=receiver.script("/slow", Answer(delay_s=60)), headers=[], body=b""))
    began_s = time.monotonic()

    assert sender.results(0.2) == []
    assert 0.1 < time.monotonic() - began_s < 10
    assert sender.results(0) == []


def test_another_thread_ends_the_wait(sender: Sender, receiver: Receiver) -> None:
    sender.start(Request(tag=1, url=receiver.script("/slow", Answer(delay_s=60)), headers=[], body=b""))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(sender.results, 20)
        sender.wake()
        assert waiting.result(timeout=10) == []
    assert sender.in_flight == 1


def test_wakes_that_come_while_nobody_waits_end_one_wait(sender: Sender, receiver: Receiver) -> None:
    for _ in range(1_000):
        sender.wake()
    sender.start(Request(tag=1, url=receiver.script("/soon", Answer(delay_s=0.1)), headers=[], body=b""))

    assert sender.results(20) == []
    assert [result.status for result in sender.results(20)] == ["200"]


def test_close_abandons_what_is_in_flight(make_sender: MakeSender, receiver: Receiver) -> None:
    sender = make_sender(timeout_s=60)
    url = receiver.script("/slow", Answer(delay_s=60))
    for tag in range(10):
        sender.start(Request(tag=tag, url=url, headers=[], body=b""))
    assert sender.results(0.2) == []
    receiver.wait_for(10)
    began_s = time.monotonic()

    sender.close()

    assert time.monotonic() - began_s < 20
    assert sender.in_flight == 0


# Time


def test_the_whole_exchange_has_a_deadline(make_sender: MakeSender, receiver: Receiver) -> None:
    sender = make_sender(timeout_s=0.7)
    slow = {
        "no head": Answer(delay_s=60),
        "a head that drips": Answer(head_drip_s=0.1),
        "a body that drips": Answer(body=b"x" * 1_000, drip_s=0.1),
        "an endless body that drips": Answer(body=b"x", drip_s=0.1, endless=True),
    }
    for tag, answer in enumerate(slow.values()):
        sender.start(Request(tag=tag, url=receiver.script(f"/{tag}", answer), headers=(), body=b"{}"))

    for name, result in zip(slow, collect(sender, len(slow)), strict=True):
        assert (result.status, result.body) == (Status.TIMEOUT, b""), name
        assert 0.6 < result.finished_s - result.started_s < 2, name
    assert post(sender, receiver.url("/other")).status == "200"


def test_a_request_may_have_a_shorter_deadline_of_its_own(make_sender: MakeSender, receiver: Receiver) -> None:
    sender = make_sender(timeout_s=2.0)
    url = receiver.script("/hook", *[Answer(delay_s=60)] * 4)
    for tag, timeout_s in enumerate([None, 1.1, 0.2, 99]):
        sender.start(Request(tag=tag, url=url, headers=(), body=b"{}", timeout_s=timeout_s))

    results = collect(sender, 4)

    assert [result.status for result in results] == [Status.TIMEOUT] * 4
    took_s = [result.finished_s - result.started_s for result in results]
    for wanted_s, it_took_s in zip([2.0, 1.1, 0.2, 2.0], took_s, strict=True):
        assert wanted_s - 0.05 < it_took_s < wanted_s + 0.8
    assert post(sender, receiver.url("/other")).status == "200"


def test_connecting_has_a_shorter_deadline(make_sender: MakeSender) -> None:
    sender = make_sender(timeout_s=20, connect_timeout_s=0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, never shakes hands
        result = post(sender, f"https://127.0.0.1:{silent.getsockname()[1]}/")

    assert result.status == Status.TIMEOUT
    assert 0.4 < result.finished_s - result.started_s < 10


# Faults


def test_nobody_listens(sender: Sender) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    result = post(sender, f"http://127.0.0.1:{port}/")

    assert result.status == Status.CONNECTION_FAILED


def test_the_name_has_no_address(sender: Sender) -> None:
    assert post(sender, "http://nowhere.invalid/").status == Status.CONNECTION_FAILED


@each("label", ["a" * 64, "a..b"])
def test_the_name_cannot_be_looked_up(sender: Sender, label: str) -> None:
    assert post(sender, f"http://{label}.invalid/").status == Status.CONNECTION_FAILED


@each("reset", [False, True])
@each("chunked", [False, True])
@each("place", ["before_head", "after_head", "in_body"])
def test_the_receiver_hangs_up(sender: Sender, place: str, chunked: bool, reset: bool) -> None:
    answer = Answer(body=b"x" * 4_000, chunked=chunked, hang_up=place, reset=reset)  # type: ignore[arg-type]
    with Receiver() as receiver:
        result = post(sender, receiver.script("/hook", answer))

        assert (result.status, result.body) == (Status.CONNECTION_FAILED, b"")
        assert len(receiver.requests) == 1


@each(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\n",  # no header
        b"HTTP/1.1 200 OK\r\nContent-Type: text/pl",  # half a header
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n",  # after an early head
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",  # no last chunk
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",  # no last line
    ],
)
def test_a_response_without_its_end_is_none(sender: Sender, receiver: Receiver, raw: bytes) -> None:
    result = post(sender, receiver.script("/hook", Answer(raw=raw)))

    assert (result.status, result.body) == (Status.CONNECTION_FAILED, b"")


def test_a_204_has_no_body_whatever_it_says(sender: Sender, receiver: Receiver) -> None:
    url = receiver.script("/hook", Answer(status=204, chunked=True, body=b"", close=True))

    assert [post(sender, url).status for _ in range(2)] == ["204", "204"]


def test_the_last_of_two_headers_counts(sender: Sender, receiver: Receiver) -> None:
    headers = [("Content-Type", "a/b"), ("Retry-After", "1"), ("Content-Type", "c/d"), ("Retry-After", "9")]

    result = post(sender, receiver.script("/hook", Answer(status=503, headers=headers)))

    assert (result.content_type, result.retry_after) == ("c/d", "9")


@each(
    "raw",
    [
        b"garbage\r\n\r\n",  # garbage
        b"SSH-2.0-OpenSSH_9.2\r\n",  # another protocol
        b"<html>no head</html>",  # HTTP/0.9
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",  # a huge header
        b"HTTP/1.1 200 OK\r\n" + b"Y: yyyyyyyy\r\n" * 100_000 + b"\r\n",  # a hundred thousand headers
        b"HTTP/1.1 2000 OK\r\n\r\nok",  # a status of four digits
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2000 OK\r\n\r\nok",  # the same after a 100
        b"HTTP/1.1 1030 Early\r\n\r\nHTTP/1.1 200 OK\r\n\r\nok",  # a 1xx of four digits
        b"HTTP/1.1 200.0 OK\r\n\r\nok",  # a broken status
        b"HTTP/1.1 +200 OK\r\n\r\nok",  # a signed status
        b"HTTP/1.2 200 OK\r\n\r\nok",  # another version
        b"http/1.1 200 OK\r\n\r\nok",  # another spelling
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",  # a negative length
        b"HTTP/1.1 200 OK\r\nContent-Length: 2_0\r\n\r\nok",  # a length of Python's
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nok...",  # two lengths
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",  # a coding nobody asked for
        b"HTTP/1.1 200 OK\r\nContent-Type: a\0b\r\nContent-Length: 2\r\n\r\nok",  # a zero byte
    ],
)
def test_the_answer_is_not_http(sender: Sender, receiver: Receiver, raw: bytes) -> None:
    result = post(sender, receiver.script("/hook", Answer(raw=raw)))

    assert result.status == Status.UNKNOWN_ERROR
    assert post(sender, receiver.url("/other")).status == "200"
