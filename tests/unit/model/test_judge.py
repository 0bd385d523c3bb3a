import random
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.attempt import NO_ADDRESS, Status, Verdict, for_clients, is_success, judge, retry_after
from dispatcher.model.backoff import RetryPolicy
from dispatcher.model.delivery import State
from tests.support.builders import NOON, a_result
from tests.support.cases import each

POLICY = RetryPolicy(jitter=0)
FAILURES = [
    *("100", "199", "300", "301", "302", "304", "400", "401", "404", "410", "418", "429", "500", "503"),
    *(status for status in Status if status != Status.CONFIRMED),
]


def verdict_on(status: str, attempt: int = 1, header: str | None = None, policy: Any = POLICY) -> Verdict:
    return judge(a_result(status, retry_after=header), attempt, policy, NOON, random.Random(1))


@each("status", ["200", "201", "202", "204", "226", "299"])
@each("attempt", [1, 6, 7])
def test_2xx_is_delivered_on_any_try(status: str, attempt: int) -> None:
    assert verdict_on(status, attempt) == Verdict(state=State.DELIVERED)


@each(
    ("codes", "status", "delivered"),
    [
        (("200",), "200", True),
        (("200",), "204", False),
        (("2xx", "409"), "204", True),
        (("2xx", "409"), "409", True),
        (("2xx", "409"), "404", False),
        (("2xx", "409"), Status.TIMEOUT, False),
    ],
)
def test_a_webhook_may_say_what_success_is(codes: tuple[str, ...], status: str, delivered: bool) -> None:
    verdict = judge(a_result(status), 1, POLICY, NOON, random.Random(1), codes)

    assert (verdict.state is State.DELIVERED) is delivered


def test_a_schedule_has_as_many_retries_as_waits() -> None:
    waits = [verdict_on("500", number, policy=POLICY.scheduled([7, 9])).retry_in for number in (1, 2, 3)]

    assert waits == [timedelta(seconds=7), timedelta(seconds=9), None]
    assert verdict_on("500", policy=POLICY.scheduled("none")).state is State.FAILED
    assert verdict_on("500", policy=POLICY.scheduled("gentle")).retry_in == timedelta(minutes=10)


@each("status", FAILURES)
def test_everything_else_is_tried_again(status: str) -> None:
    assert verdict_on(status) == Verdict(state=State.PENDING, retry_in=timedelta(seconds=20))


@each("status", FAILURES)
def test_failed_after_the_last_attempt(status: str) -> None:
    assert verdict_on(status, attempt=5).state is State.PENDING
    assert verdict_on(status, attempt=6) == Verdict(state=State.FAILED)


def test_the_last_try_is_the_last_even_with_retry_after() -> None:
    assert verdict_on("503", attempt=6, header="5") == Verdict(state=State.FAILED, pause=timedelta(seconds=5))


@each("status", ["429", "503"])
def test_a_busy_receiver_that_says_when_is_let_alone_until_then(status: str) -> None:
    assert verdict_on(status, header="90").pause == timedelta(seconds=90)
    assert verdict_on(status, header="999999999").pause == RetryPolicy().retry_after_max
    assert verdict_on(status).pause is None


@each("status", ["200", "301", "404", "500"])
def test_only_a_busy_receiver_can_ask_to_be_let_alone(status: str) -> None:
    assert verdict_on(status, header="90").pause is None


def test_without_retries_the_first_failure_is_final() -> None:
    assert verdict_on("500", policy=RetryPolicy(limit=0)).state is State.FAILED


@each("text", ["20", "2000", "2xx?", "", "timeout", "-200"])
def test_only_three_digits_with_a_two_in_front_are_success(text: str) -> None:
    assert not is_success(text)


def test_retry_after_in_seconds_prolongs_the_wait() -> None:
    assert verdict_on("429", header="120").retry_in == timedelta(seconds=120)


def test_retry_after_never_shortens_the_backoff() -> None:
    assert verdict_on("503", header="1").retry_in == timedelta(seconds=20)


def test_retry_after_as_a_date_counts_from_now() -> None:
    header = format_datetime(NOON + timedelta(minutes=5), usegmt=True)

    assert verdict_on("503", header=header).retry_in == timedelta(minutes=5)


@each("header", ["999999999", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_retry_after_is_honoured_up_to_its_maximum(header: str) -> None:
    assert verdict_on("503", header=header).retry_in == timedelta(days=1)


@each(
    "header",
    [
        "-5",
        "1e3",
        "1.5",
        "soon",
        "",
        "  ",
        "٣",
        "12 seconds",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "NaN",
        "inf",
        ", ",
        "\0",
    ],
)
def test_a_useless_retry_after_changes_nothing(header: str) -> None:
    assert verdict_on("503", header=header).retry_in == timedelta(seconds=20)


@given(st.text() | st.text(alphabet="Mon, 01JanGMT:+-0123456789 "))
def test_no_header_of_any_receiver_breaks_the_judge(header: str) -> None:
    wait = verdict_on("503", header=header).retry_in

    assert wait is not None
    assert timedelta(seconds=20) <= wait <= timedelta(days=1)


def test_a_date_of_the_past_asks_for_no_wait() -> None:
    assert retry_after(format_datetime(NOON - timedelta(hours=1), usegmt=True), NOON) == timedelta()


def test_a_date_without_a_zone_is_no_date() -> None:
    assert retry_after("Sat, 13 Jun 2026 13:00:00 -0000", NOON) is None


def test_clients_are_told_the_same_of_names_that_are_blocked_and_names_that_are_not_there() -> None:
    blocked = for_clients("blocked_address", "the address is not a public one")

    assert blocked == for_clients("connection_failed", NO_ADDRESS)
    assert blocked[0] == "connection_failed"
    for status, reason in (
        ("connection_failed", "refused"),
        ("200", None),
        ("timeout", "no complete response in time"),
    ):
        assert for_clients(status, reason) == (status, reason)
