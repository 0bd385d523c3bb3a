"""What may be written of a webhook's options, tags and metadata."""

from typing import Any

from marshmallow import ValidationError

from dispatcher.schemas.api.headers import read_lines
from dispatcher.schemas.api.options import RETRY_SCHEDULES, read_schedule
from dispatcher.schemas.api.webhook import WebhookWithExtrasSchema
from dispatcher.schemas.errors import texts_by_field
from tests.support.cases import each

WRITTEN = {"webhook_url": "https://example.com/webhook", "events": ["invoice_paid"]}


def outcome(**options: Any) -> Any:
    """What is loaded of the options, or the messages."""
    try:
        loaded = WebhookWithExtrasSchema().load(WRITTEN | options)
    except ValidationError as error:
        return texts_by_field(error)
    return {name: loaded[name] for name in options}


@each("headers", [{}, {"X-Env": "prod", "x-empty": "", "Authorization": "a b", "Date": "~!@"}])
def test_headers_are_kept_as_they_are(headers: dict[str, str]) -> None:
    assert outcome(headers=headers) == {"headers": headers}
    assert outcome(secret_headers=headers) == {"secret_headers": headers}


@each(
    "name",
    [
        *("Host", "content-type", "Content-Length", "CONNECTION", "Transfer-Encoding", "Idempotency-Key", "webhook-id"),
        *("Webhook-Anything", "Keep-Alive", "TE", "Trailer", "Upgrade", "Proxy-Authorization", "Expect", "User-Agent"),
        *("traceparent", "tracestate", "Accept-Encoding"),
    ],
)
def test_headers_that_are_not_the_owners_are_reserved(name: str) -> None:
    assert outcome(headers={name: "x"}) == {"headers": [f'"{name}" is reserved']}


@each("value", ["a\r\nX: y", "a\n", "\n", "a\0", "ž", " a", "a ", "a" * 4097, 5, None, ["a"]])
def test_a_value_that_may_not_stand_in_a_header_is_refused(value: Any) -> None:
    assert "must be one line of 0 to 4,096 printable ASCII characters" in str(outcome(headers={"X-A": value}))


@each("name", ["", "X A", "X:", "X\n", "é", "x" * 101])
def test_what_is_no_name_of_a_header_is_refused(name: str) -> None:
    (text,) = outcome(headers={name: "x"})["headers"]
    assert text.endswith("is not the name of a header")
    assert text.isprintable()


def test_no_header_is_sent_twice_and_there_are_not_too_many() -> None:
    assert outcome(headers={"X-A": "1"}, secret_headers={"x-a": "2"}) == {"headers": ['"x-a" would be sent twice']}
    assert outcome(headers={"AUTHORIZATION": "1"}, auth_header="2") == {
        "headers": ['"authorization" would be sent twice']
    }
    long = {f"X-{number}": "x" * 4_096 for number in range(2)}
    assert outcome(headers=long) == {"headers": ["headers may have 8,192 characters at most, all together"]}
    many = {f"X-{number}": "" for number in range(21)}
    assert outcome(headers=many) == {"headers": ["there may be 20 headers at most"]}


@each("headers", [None, [], "X: y", 5])
def test_headers_that_are_no_object_are_refused(headers: object) -> None:
    assert outcome(headers=headers) == {"headers": ["must be an object of header names and values"]}


VALUES: dict[str, list[Any]] = {
    "timeout_s": [1, 600, None],
    "retry_schedule": [*RETRY_SCHEDULES, [1], [86_400] * 7, [1] * 20, None],
    "success_codes": [["200"], ["2xx", "409"], ["3xx", "599"], None],
    "tags": [[], ["billing", "ž"], ["x" * 50], [str(number) for number in range(20)]],
    "metadata": [{}, {"crm_id": "4711", "a.b-c": ""}, {"x" * 40: "ž" * 500}],
}
REFUSED: dict[str, list[Any]] = {
    "tags": [None, "x", ["a b"], ["a,b"], [""], ["x" * 51], ["a", "a"], [5], [*map(str, range(21))], ["a\n"], ["\0"]],
    "metadata": [None, [], {"": "x"}, {"a b": "x"}, {"a": 5}, {"a": None}, {"x" * 41: ""}, {"a": "x" * 501}],
    "timeout_s": [0, 601, 1.5, "5", True, []],
    "retry_schedule": ["often", [0], [-1], [1.5], ["1"], [True], [1] * 21, [86_401] * 7, {}, 5],
    "success_codes": [
        "2xx",
        [],
        ["100"],
        ["1xx"],
        ["600"],
        ["2x"],
        ["2xx\n"],
        [None],
        {},
        [*map(str, range(200, 251))],
    ],
}


@each(("option", "value"), [(name, value) for name, values in VALUES.items() for value in values])
def test_options_are_kept_as_they_are(option: str, value: Any) -> None:
    assert outcome(**{option: value}) == {option: value}


@each(("option", "value"), [(name, value) for name, values in REFUSED.items() for value in values])
def test_what_is_no_option_is_refused(option: str, value: Any) -> None:
    (text,) = outcome(**{option: value})[option]
    assert text.startswith("must be ")


def test_options_may_be_written_in_other_ways() -> None:
    assert outcome(retry_schedule=[]) == {"retry_schedule": "none"}
    assert outcome(success_codes=[200, "200", 409]) == {"success_codes": ["200", "409"]}


@each(
    ("text", "schedule"), [("gentle", "gentle"), ("60, 300", [60, 300]), ("60 x", [60, "x"]), ("5", [5]), (" ", None)]
)
def test_a_schedule_is_read_as_people_write_it(text: str, schedule: Any) -> None:
    assert read_schedule(text) == schedule


def test_lines_are_read_as_http_writes_them() -> None:
    assert read_lines(["X-A: b:c ", "", "X-Key:", "X-Kept"]) == {"X-A": "b:c", "X-Key": "", "X-Kept": ""}
