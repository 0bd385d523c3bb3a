"""Access tokens: asked for once, kept, renewed, and told apart from what the receiver says."""

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from dispatcher.model.attempt import NO_ADDRESS, NOT_PERMITTED, Result, Status, for_clients
from dispatcher.model.credentials import OAuth2
from dispatcher.sender.authorizing import Tokens
from dispatcher.sender.contract import Request, Sender
from tests.support.cases import each
from tests.support.posting import MakeSender, collect, post
from tests.support.receiver import Answer, Receiver

AGENT = [("User-Agent", "tests/1")]
REFUSED, FAILED = Status.OAUTH2_TOKEN_REFUSED, Status.OAUTH2_TOKEN_FAILED


def answer(token: str, **more: Any) -> Answer:
    body = {"access_token": token, "token_type": "Bearer", "expires_in": 3600, **more}
    return Answer(headers=[("Content-Type", "application/json")], body=json.dumps(body).encode())


def client(receiver: Receiver, *answers: Answer, path: str = "/token", **more: Any) -> OAuth2:
    """A client whose token endpoint gives these answers."""
    url = receiver.script(path, *answers) if answers else receiver.url(path)
    return OAuth2(token_url=url, client_id="our id", client_secret="s3cr&t", **more)


def sent_tokens(receiver: Receiver, path: str = "/hook") -> list[str | None]:
    return [request.header("Authorization") for request in receiver.requests if request.path == path]


def asked(receiver: Receiver, path: str = "/token") -> int:
    return sum(request.path == path for request in receiver.requests)


def test_a_token_is_asked_for_once_and_sent_with_each_request(sender: Sender, receiver: Receiver) -> None:
    oauth2 = client(receiver, answer("t1"), scopes=("hooks", "b"), parameters=(("audience", "https://a/ž"),))

    results = [post(sender, receiver.url("/hook"), headers=AGENT, oauth2=oauth2) for _ in range(3)]

    assert [result.status for result in results] == ["200"] * 3
    assert sent_tokens(receiver) == ["Bearer t1"] * 3
    (request,) = [request for request in receiver.requests if request.path == "/token"]
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["hooks b"],
        "audience": ["https://a/ž"],
    }
    assert request.header("Authorization") == f"Basic {base64.b64encode(b'our+id:s3cr%26t').decode()}"
    assert (request.header("User-Agent"), request.header("Accept")) == ("tests/1", "application/json")
    assert "s3cr&t" not in repr(oauth2)


def test_a_secret_in_the_body(sender: Sender, receiver: Receiver) -> None:
    post(sender, receiver.url("/hook"), oauth2=client(receiver, answer("t1"), auth_method="post"))

    request = receiver.requests[0]
    assert request.header("Authorization") is None
    assert parse_qs(request.body.decode())["client_secret"] == ["s3cr&t"]


def test_requests_wait_for_one_token_and_others_do_not_wait_for_them(sender: Sender, receiver: Receiver) -> None:
    oauth2 = client(receiver, replace(answer("t1"), delay_s=0.3))
    for tag in range(10):
        sender.start(Request(tag=tag, url=receiver.url("/hook"), headers=[], body=b"{}", oauth2=oauth2))
    sender.start(Request(tag=10, url=receiver.url("/plain"), headers=[], body=b"{}"))
    assert sender.in_flight == 11

    first = collect(sender, 1)
    results = collect(sender, 10)

    assert [result.tag for result in first] == [10]
    assert [(result.tag, result.status) for result in results] == [(tag, "200") for tag in range(10)]
    assert (asked(receiver), sender.in_flight) == (1, 0)
    assert sent_tokens(receiver, "/plain") == [None]


def test_senders_of_a_process_share_tokens(make_sender: MakeSender, receiver: Receiver) -> None:
    tokens, oauth2 = Tokens(), client(receiver, answer("t1"))

    for sender in (make_sender(tokens=tokens), make_sender(tokens=tokens)):
        post(sender, receiver.url("/hook"), oauth2=oauth2)
    post(sender, receiver.url("/hook"), oauth2=replace(oauth2, client_secret="another"))

    assert asked(receiver) == 2


@each("expires_in", [0, "0"])
def test_a_token_that_has_ended_is_asked_for_anew(sender: Sender, expires_in: object) -> None:
    with Receiver() as receiver:
        oauth2 = client(receiver, answer("t1", expires_in=expires_in), answer("t2"))

        assert [post(sender, receiver.url("/hook"), oauth2=oauth2).status for _ in range(3)] == ["200"] * 3
        assert sent_tokens(receiver) == ["Bearer t1", "Bearer t2", "Bearer t2"]


@each("more", [{"expires_in": None}, {"expires_in": -1}, {"expires_in": "soon"}, {"expires_in": 1e400}])
def test_a_lifetime_that_cannot_be_read_is_some_minutes(sender: Sender, more: Any) -> None:
    with Receiver() as receiver:
        oauth2 = client(receiver, answer("t1", **more), answer("t2"))

        assert [post(sender, receiver.url("/hook"), oauth2=oauth2).status for _ in range(2)] == ["200"] * 2
        assert asked(receiver) == 1


def test_a_revoked_token_is_renewed_and_the_request_sent_once_more(sender: Sender, receiver: Receiver) -> None:
    oauth2 = client(receiver, answer("t1"), answer("t2"))
    url = receiver.script("/hook", Answer(), Answer(status=401), Answer(status=201))

    assert [post(sender, url, oauth2=oauth2, body=b"%d" % n).status for n in range(2)] == ["200", "201"]
    assert sent_tokens(receiver) == ["Bearer t1", "Bearer t1", "Bearer t2"]
    assert [request.body for request in receiver.requests if request.path == "/hook"] == [b"0", b"1", b"1"]


def test_many_that_were_refused_renew_their_token_together(sender: Sender, receiver: Receiver) -> None:
    oauth2 = client(receiver, answer("t1"), answer("t2"))
    url = receiver.script("/hook", Answer(), *[Answer(status=401, delay_s=0.3)] * 5, Answer())
    post(sender, url, oauth2=oauth2)

    for tag in range(5):
        sender.start(Request(tag=tag, url=url, headers=[], body=b"{}", oauth2=oauth2))

    assert [result.status for result in collect(sender, 5)] == ["200"] * 5
    assert asked(receiver) == 2


def test_a_receiver_that_refuses_a_new_token_is_not_asked_again(sender: Sender, receiver: Receiver) -> None:
    oauth2 = client(receiver, answer("t1"), answer("t2"))
    url = receiver.script("/hook", Answer(status=401))

    assert [post(sender, url, oauth2=oauth2).status for _ in range(2)] == ["401", "401"]
    assert len(sent_tokens(receiver)) == 3  # the second attempt took the first one's token, and renewed it
    assert asked(receiver) == 2


def error(status: int, **body: Any) -> Answer:
    return Answer(status=status, body=json.dumps(body).encode())


@each(
    ("given", "status", "reason"),
    [
        (error(401, error="invalid_client", error_description="s3cr&t"), REFUSED, "it answered 401 (invalid_client)"),
        (error(400, error="<b>"), REFUSED, "it answered 400"),
        (Answer(status=404, body=b"no"), REFUSED, "it answered 404"),
        (error(429), FAILED, "it answered 429"),
        (Answer(status=503, body=b""), FAILED, "it answered 503"),
        (Answer(status=302, body=b""), FAILED, "it answered 302"),
        (Answer(body=b"[" * 50_000), FAILED, "its response has no access token"),
        (Answer(body=b'"t"'), FAILED, "its response has no access token"),
        (answer("t1\r\nX-Evil: 1"), FAILED, "its response has no access token"),
        (answer(""), FAILED, "its response has no access token"),
        (answer("t1", token_type="mac"), FAILED, "its token is of another type than bearer"),
        (Answer(hang_up="before_head"), FAILED, "the receiver closed the connection without a response"),
    ],
)
def test_what_a_token_endpoint_says_is_not_what_the_receiver_says(
    sender: Sender, receiver: Receiver, given: Answer, status: Status, reason: str
) -> None:
    results = [post(sender, receiver.url("/hook"), oauth2=client(receiver, given)) for _ in range(2)]

    assert {(result.status, result.reason, result.body) for result in results} == {
        (status, f"token endpoint: {reason}", b"")
    }
    assert sent_tokens(receiver) == []


def test_a_token_endpoint_that_asks_for_patience_gets_it(sender: Sender, receiver: Receiver) -> None:
    busy = Answer(status=503, headers=[("Retry-After", "7")])

    assert post(sender, receiver.url("/hook"), oauth2=client(receiver, busy)).retry_after == "7"


def test_an_attempt_ends_in_its_time_with_all_that_it_waits_for(make_sender: MakeSender, receiver: Receiver) -> None:
    sender = make_sender(timeout_s=1.0)
    url = receiver.script("/hook", Answer(delay_s=5))
    clients = (client(receiver, replace(answer("t1"), delay_s=0.6)), client(receiver, Answer(delay_s=5), path="/slow"))
    for tag, oauth2 in enumerate(clients):
        sender.start(Request(tag=tag, url=url, headers=[], body=b"{}", oauth2=oauth2))

    late, slow = collect(sender, 2)

    assert late.status == Status.TIMEOUT
    assert late.finished_s - late.started_s < 0.9  # not all of its second is left
    assert (slow.status, slow.reason) == (FAILED, "token endpoint: no complete response in time")


def blocked(make_sender: MakeSender, hosts: Sequence[str]) -> list[Result]:
    sender = make_sender(allowed=["127.0.0.1/32"], resolver=lambda host: ["10.0.0.1"] if host == "in.test" else [host])
    clients = [OAuth2(token_url=f"http://{host}:9/token", client_id="a", client_secret="b") for host in hosts]
    return [post(sender, "http://127.0.0.1:9/", oauth2=one) for one in clients]


def test_a_token_endpoint_has_the_guard_of_a_receiver(make_sender: MakeSender) -> None:
    for result in blocked(make_sender, ["169.254.169.254", "in.test"]):
        assert (result.status, result.reason) == (FAILED, f"token endpoint: {NOT_PERMITTED}")
        nowhere = for_clients(FAILED, f"token endpoint: {NO_ADDRESS}")
        assert for_clients(result.status, result.reason) == nowhere != (result.status, result.reason)


def test_what_is_closed_takes_its_waiting_requests_with_it(sender: Sender, receiver: Receiver) -> None:
    oauth2 = client(receiver, replace(answer("t1"), delay_s=5))
    sender.start(Request(tag=1, url=receiver.url("/hook"), headers=[], body=b"{}", oauth2=oauth2))
    sender.close()

    assert sender.in_flight == 0
    assert sent_tokens(receiver) == []
