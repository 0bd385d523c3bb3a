"""The line of those who sign in, with answers that take as long as a test likes."""

import asyncio
import threading
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from dispatcher.api.http import Answer
from dispatcher.api.sign_in_queue import BLOCKED_S, DELAY_S, QUEUE_SHARE, QUEUE_SIZE, SignInQueue, is_sign_in
from tests.support.cases import each
from tests.support.fakes import FakeClock

# An event loop has a pair of sockets of its own.
pytestmark = pytest.mark.enable_socket

OK = Answer(200, [], b"")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class Slow:
    """Answers once it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.shut_s = 0

    def __call__(self, environ: dict[str, Any]) -> Answer:
        self.go.wait(30)
        if self.shut_s:
            environ[BLOCKED_S] = self.shut_s
        return OK


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.go.set()


@pytest.fixture
def brakes() -> list[float]:
    """Seconds for which somebody had to wait for a refusal."""
    return []


@pytest.fixture
def queue(slow: Slow, clock: FakeClock, brakes: list[float]) -> SignInQueue:
    async def sleep(seconds: float) -> None:
        brakes.append(seconds)

    return SignInQueue(slow, [ip_network("127.0.0.0/8")], clock, sleep)


def ask(queue: SignInQueue, address: str) -> asyncio.Task[Answer]:
    return asyncio.create_task(queue.answer({"REMOTE_ADDR": address}))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_who_comes_when_the_line_is_full_is_sent_away_at_once(queue: SignInQueue, slow: Slow) -> None:
    async def many() -> Any:
        inside = [ask(queue, f"192.0.2.{number}") for number in range(QUEUE_SIZE)]
        await settle()
        late = await ask(queue, "192.0.2.200")
        slow.go.set()
        return late, [await one for one in inside]

    late, inside = asyncio.run(many())

    assert inside == [OK] * QUEUE_SIZE
    assert (late.status, dict(late.headers)["Retry-After"]) == (429, "1")
    assert asyncio.run(queue.answer({"REMOTE_ADDR": "192.0.2.200"})) == OK


def test_one_address_does_not_fill_the_line(queue: SignInQueue, slow: Slow) -> None:
    async def many() -> Any:
        inside = [ask(queue, "192.0.2.1") for _ in range(3 * QUEUE_SIZE)]
        await settle()
        inside.append(ask(queue, "192.0.2.2"))
        inside.append(asyncio.create_task(queue.answer({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "::9"})))
        await settle()
        slow.go.set()
        return [(await one).status for one in inside]

    statuses = asyncio.run(many())

    assert (statuses.count(200), statuses[-2:]) == (QUEUE_SHARE + 2, [200, 200])


def test_an_address_that_has_tried_too_often_is_known_for_a_while(
    queue: SignInQueue, slow: Slow, clock: FakeClock
) -> None:
    slow.go.set()
    slow.shut_s = 17

    def status(address: str) -> tuple[int, str | None]:
        answer = asyncio.run(queue.answer({"REMOTE_ADDR": address}))
        return answer.status, dict(answer.headers).get("Retry-After")

    assert status("192.0.2.1") == (200, None)
    slow.shut_s = 0
    assert status("192.0.2.1") == (429, "17")
    assert status("192.0.2.2") == (200, None)
    clock.advance(17)
    assert status("192.0.2.1") == (200, None)


def test_who_comes_again_before_its_time_waits_for_the_refusal(
    queue: SignInQueue, slow: Slow, clock: FakeClock, brakes: list[float]
) -> None:
    slow.go.set()
    slow.shut_s = 17

    def ask_again() -> int:
        asyncio.run(queue.answer({"REMOTE_ADDR": "192.0.2.1"}))
        return len(brakes)

    assert [ask_again() for _ in range(4)] == [0, 0, 1, 2]
    assert set(brakes) == {DELAY_S}
    clock.advance(17)
    assert [ask_again() for _ in range(3)] == [2, 2, 3]


def test_a_proxy_that_nobody_believes_is_told_once(
    queue: SignInQueue, slow: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    slow.go.set()
    for peer in ("127.0.0.1", "192.0.2.1", "192.0.2.1"):
        asyncio.run(queue.answer({"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": "198.51.100.9"}))

    (record,) = caplog.records
    assert "web.proxy_not_trusted peer=192.0.2.1 setting=DISPATCHER_TRUSTED_PROXIES" in record.getMessage()


def test_who_goes_before_the_answer_leaves_no_place_taken_and_frees_none_too_soon(
    queue: SignInQueue, slow: Slow
) -> None:
    async def many() -> Any:
        gone = [ask(queue, f"192.0.2.{number}") for number in range(QUEUE_SIZE)]
        await settle()
        for one in gone:
            one.cancel()
        await settle()
        while_they_run = (await ask(queue, "192.0.2.200")).status
        slow.go.set()
        await asyncio.gather(*gone, return_exceptions=True)
        while (later := (await ask(queue, "192.0.2.200")).status) != 200:
            await asyncio.sleep(0)
        return while_they_run, later

    assert asyncio.run(asyncio.wait_for(many(), 30)) == (429, 200)


@each(
    ("method", "path", "expected"),
    [
        ("POST", "/console/sign-in", True),
        ("POST", "/api/v3/oauth", True),
        ("GET", "/console/sign-in", False),
        ("POST", "/api/v3/oauth/token", False),
    ],
)
def test_only_what_brings_a_password_waits_there(method: str, path: str, expected: bool) -> None:
    assert is_sign_in({"REQUEST_METHOD": method, "PATH_INFO": path}) is expected
