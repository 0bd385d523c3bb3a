"""Who says little, slowly, or on many connections: it is ended in time, and keeps nobody else from being answered."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from dispatcher.web.bodies import SILENCE_S
from dispatcher.web.connections import ANSWER_S, HEAD_S
from tests.faults.conftest import bounded
from tests.support.builders import an_account
from tests.support.connections import EMITS, Line, Web
from tests.support.waiting import eventually

CONNECTIONS = 40
PROMPT_S = 5.0
"""Half of what the slow ones have, and far more than an honest request takes on a machine that is busy."""


@pytest.fixture(scope="module")
def web_options() -> dict[str, str]:
    return {"DISPATCHER_WEB_WORKERS": "1", "DISPATCHER_WEB_CONNECTIONS": str(CONNECTIONS)}


@contextmanager
def lines(web: Web, count: int, first_words: bytes = b"") -> Iterator[list[Line]]:
    """So many connections, on each of which these bytes are said."""
    with ExitStack() as stack:
        made = [stack.enter_context(web.line()) for _ in range(count)]
        for line in made:
            line.send(first_words)
        yield made


@contextmanager
def trickling(line: Line) -> Iterator[None]:
    """A byte on it, again and again, while the block lasts."""
    enough = threading.Event()

    def trickle() -> None:
        while not enough.wait(0.5):
            line.send(b"a")

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def is_prompt(web: Web, count: int = 1) -> bool:
    """Whether an honest emit of so many events is taken without much ado."""
    status, seconds = web.emit(count)
    return status == 202 and seconds < PROMPT_S


LISTENING, NOBODYS = "0A", "0"


def connections(web: Web) -> int:
    """How many the server has open; of those that are closed, or not yet accepted, the kernel says nobody's."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = [line for line in lines if line[1].endswith(f":{web.server.port:04X}") and line[3] != LISTENING]
    return sum(inode != NOBODYS for *_, inode in (line[:10] for line in ours))


def test_who_keeps_us_waiting_is_ended_in_time_and_told_why(web: Web) -> None:
    head = web.head("POST", EMITS, token=web.api.token)[:-2]
    form = web.head("POST", "/api/v3/oauth/token", "Content-Length: 1000")
    openings = {
        "says nothing": b"",
        "begins a head": head,
        "trickles a head": head + b"X-Long: ",
        "begins a second head": web.head("GET", "/healthz"),
        "begins an emit": head + b"Content-Length: 1000\r\n\r\n{",
        "begins a large emit": head + b"Content-Length: 1000000\r\n\r\n{",
        "begins a chunk": head + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n{",
        "begins a form": form + b"a",
        "trickles a form": form + b"a",
    }
    with ExitStack() as stack:
        began_s = time.monotonic()
        opened: dict[str, Line] = {}
        for name, words in openings.items():
            opened[name] = stack.enter_context(web.line())
            opened[name].send(words)
            if "trickles" in name:
                stack.enter_context(trickling(opened[name]))
        first = opened["begins a second head"].answer()
        opened["begins a second head"].send(head)
        answers = {name: line.answer() for name, line in opened.items()}
        took_s = time.monotonic() - began_s

    assert {name: answer and answer.status for name, answer in answers.items()} == dict.fromkeys(openings, 408)
    assert first is not None
    assert first.status == 200
    assert all("request_timeout" in answer.body.decode() for answer in answers.values() if answer is not None)
    assert max(HEAD_S, SILENCE_S) - 1 < took_s < 20


@pytest.mark.parametrize("words", [b"", b"{"])
def test_large_bodies_without_a_token_are_refused_unread_and_block_no_emit(web: Web, words: bytes) -> None:
    with lines(web, 20, web.head("POST", EMITS, "Content-Length: 70000") + words) as slow:
        assert is_prompt(web)
        assert is_prompt(web, 1_000)
        assert {answer and answer.status for answer in [line.answer() for line in slow]} == {401}


def test_large_bodies_of_one_account_leave_places_to_others(web: Web) -> None:
    neighbour = an_account(web.api.container.storage, "neighbour")
    theirs = web.head(
        "POST", EMITS, "Content-Length: 70000", token=web.api.of(web.server, web.api.container, neighbour).token
    )
    with lines(web, 20, theirs + b"{"):
        assert is_prompt(web, 1_000)
        assert is_prompt(web)


def test_more_connections_than_there_may_be_push_each_other_out_and_no_honest_client(web: Web) -> None:
    began = web.head("POST", EMITS)[:-2]
    with ExitStack() as stack:
        flood = []
        for _ in range(bounded(3, 30)):
            flood += stack.enter_context(lines(web, CONNECTIONS, began))
            assert is_prompt(web)
            assert is_prompt(web, 1_000)
        eventually(lambda: connections(web) <= CONNECTIONS, what="those pushed out being closed")

        pushed_out = [line.answer() for line in flood[: len(flood) - CONNECTIONS]]
        assert {answer and answer.status for answer in pushed_out} == {503}
        assert all(answer is not None and "Retry-After: 1" in answer.head for answer in pushed_out)


def test_who_does_not_read_answers_gives_way(web: Web) -> None:
    large = web.head("GET", "/api/v3/docs/swagger-ui-bundle.js")
    with lines(web, CONNECTIONS, large * 8):  # more than the sockets take
        # Until all wait for their clients, all may be at work for a moment, and a newcomer rightly refused.
        eventually(lambda: all(is_prompt(web) for _ in range(5)), ANSWER_S / 2, "emits being taken")


def test_a_kept_connection_of_an_honest_client_outlives_a_flood_smaller_than_the_limit(web: Web) -> None:
    with web.line() as kept, lines(web, CONNECTIONS - 5, b"POST "):
        for _ in range(2):
            kept.send(web.head("GET", "/healthz"))
            answer = kept.answer()
            assert answer is not None
            assert answer.status == 200


def test_where_all_are_at_work_a_newcomer_is_told_so_at_once_and_the_process_lives(web: Web) -> None:
    ask = web.head("GET", "/api/v3/user.json", token=web.api.token)
    with ExitStack() as stack:
        locked = stack.enter_context(web.api.container.storage.transaction())
        locked.exec_driver_sql("lock table dispatcher.tokens")
        busy = stack.enter_context(lines(web, CONNECTIONS - 1, ask))
        alive = stack.enter_context(web.line())
        eventually(lambda: at_work(web) >= 8, what="all threads being busy")

        alive.send(web.head("GET", "/healthz"))  # all threads wait for Postgres
        answer = alive.answer()
        assert answer is not None
        assert answer.status == 200
        alive.send(ask)
        refused = eventually(lambda: refusal(web), what="a newcomer being refused")
        assert refused == (503, True)
        locked.rollback()
        assert [answer and answer.status for answer in [line.answer() for line in busy]] == [200] * len(busy)
    assert is_prompt(web)


def at_work(web: Web) -> int:
    """Statements that wait for the lock."""
    sql = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    return int(web.api.sql(sql)[0][0])


def refusal(web: Web) -> tuple[int, bool] | None:
    """The status that a newcomer hears without having asked, and whether it is told to come back; None if it waits."""
    with web.line() as newcomer:
        newcomer.socket.settimeout(0.3)
        try:
            answer = newcomer.answer()
        except TimeoutError:
            return None
    return (answer.status, "Retry-After: 1" in answer.head) if answer is not None else None
