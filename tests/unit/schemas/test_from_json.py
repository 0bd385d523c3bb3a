"""The quick way from JSON text says what the close one says, or nothing."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from dispatcher.errors import ApiError
from dispatcher.schemas.api_v3 import EVENT_TYPES
from dispatcher.web import posted_events
from dispatcher.web.posted_events import PostedEvents
from tests.support.bodies import body_schema, event_example
from tests.support.cases import each
from tests.unit.schemas.strategies import BODIES, ZONES, bodies
from tests.unit.schemas.test_random_values import few

ZONE = "Europe/Prague"


def quickly(data: bytes, zone: str = ZONE, key: str | None = None) -> PostedEvents | None:
    return posted_events.render(data, key, zone)


def closely(data: bytes, zone: str = ZONE, key: str | None = None) -> PostedEvents | None:
    """None where something is wrong."""
    try:
        return posted_events.check(data, key, zone)
    except (ApiError, ValidationError):
        return None


def assert_alike(data: bytes, zone: str = ZONE, key: str | None = None, case: str = "") -> PostedEvents | None:
    """What the quick way makes of it, if it does not leave it to the close one."""
    quick = quickly(data, zone, key)
    assert quick is None or quick == closely(data, zone, key), case
    return quick


def posted(name: str, body: Any = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "body": event_example(name) if body is None else body} | more


def text(value: Any, **options: Any) -> bytes:
    return json.dumps(value, **options).encode()


@each("escaped", [True, False])
def test_an_example_of_each_event_goes_the_quick_way_and_keeps_its_place(escaped: bool) -> None:
    data = text([posted(name) for name in EVENT_TYPES], ensure_ascii=escaped)

    drafts, is_array = posted_events.render(data, None, ZONE) or ([], False)

    assert (drafts, is_array) == closely(data)
    assert [draft.name for draft in drafts] == list(EVENT_TYPES)
    assert is_array
    for name in EVENT_TYPES:
        assert quickly(text(posted(name))) == ([drafts[list(EVENT_TYPES).index(name)]], False)


def test_an_array_holds_up_to_a_thousand() -> None:
    assert quickly(text([posted("inbox_file_removed_all")] * 1_000)) is not None
    assert quickly(text([posted("inbox_file_removed_all")] * 1_001)) is None


@each("event_name", BODIES)
@few
@given(data=st.data())
def test_whatever_is_valid_is_rendered_as_by_the_close_way(event_name: str, data: st.DataObject) -> None:
    body = json.loads(json.dumps(data.draw(bodies(event_name)), default=str))
    zone = data.draw(st.sampled_from(ZONES))
    sent = text(posted(event_name, body), ensure_ascii=data.draw(st.booleans()))

    assert_alike(sent, zone)


# Each stands for a value somewhere in a body; JSON text, as some cannot be written by `json`.
ODD = [
    "null", "true", "0", "-0", "-0.0", "1.0", "1e2", "1E400", "-1e300", "1e299", "0.1", "1e16", "1e-7", "5e-324",
    "123456789012345678", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "123456789012345678901234567890", "1234567890.123456789", "01", "+1", ".5", "1.", "NaN", "Infinity", "-Infinity",
    '""', '"1"', '"1.0"', '"-0.0"', '"1.00"', '"1e5"', '" 1.0"', '"1.0\\n"', '"１.0"', '"1_0.0"', f'"{"9" * 31}.0"',
    '"2024-06-13"', '"20240613"', '"2024-W24-4"', '"2024-02-30"', '"0001-01-01"', '"2024-06-13T00:00:00Z"',
    '"2024-06-13T14:06:20.743+02:00"', '"2024-06-13T14:06:20.743+01:00"', '"2024-06-13T14:06:20.743-00:00"',
    '"2024-06-13T14:06:20.743000+02"', '"2024-06-13T24:00:00.000+02:00"', '"2024-06-13T14:06:60.000+02:00"',
    '"2024-06-13 14:06:20.743+02:00"', '"2024-06-13T14:06:20,743+02:00"', '"2024-06-13T14:06:20.743"',
    '"2024-03-31T02:30:00.000+01:00"', '"2024-03-31T02:30:00.000+02:00"', '"2024-10-27T02:30:00.000+01:00"',
    '"2024-10-27T02:30:00.000+02:00"', '"0001-01-01T00:00:00.000+14:00"', '"9999-12-31T23:59:59.999-12:00"',
    '"1890-01-01T00:00:00.000+00:57"', '"2024-06-13T14:06:20.743+02:00\\n"',
    '"http://a"', '"https://a.example/b?c=d#e"', '"https://ä.example/"', '"https://a b/"', '"HTTPS://a/"', '"ftp://a/"',
    '"https://"', '"https://[::1]/"', '"https://[/"', '"https://a:99999/"', '"https://u:p@a/"', '"https://a/\\n"',
    '"64d8ee4a-0ed9-4b3b-8d07-6d3f1c1d7a2e"', '"64D8EE4A-0ED9-4B3B-8D07-6D3F1C1D7A2E"',
    '"64d8ee4a0ed94b3b8d076d3f1c1d7a2e"', '"{64d8ee4a-0ed9-4b3b-8d07-6d3f1c1d7a2e}"',
    '"\\u0000"', '"\\\\u0000"', '"\\ud800"', '"\\udfff\\ud800"', '"\\ud83d\\ude00"', '"\\uD83D\\uDE00"', '"\\u00e9"',
    '"\\/"', '"\\b\\f\\n\\r\\t\\u0001\\u007f\\u2028"', '"\x7f\x80\u2028😀"', '"\x01"', '"\n"', '"\x00"',
    '"\\x"', '"\\u12"',
    "[]", "[null]", "[1]", '["a"]', '["\\u0000"]', "{}", '{"id":1}', "[{}]", "[[]]", "", "'a'", "[1,]",
]  # fmt: skip


def places(field: Any, value: Any, path: Any) -> Iterator[tuple[Any, Any]]:
    """The fields and paths of all values within a JSON value."""
    yield field, path
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from places(field.inner, item, (*path, number))
    elif isinstance(value, dict):
        schema = getattr(field, "inner", field)
        for name, item in value.items():
            yield from places(schema.fields[name], item, (*path, name))


def sort_of(field: Any) -> tuple[Any, ...]:
    """Fields of one sort treat a value alike."""
    options = ("allow_none", "required", "many", "verbatim")
    return (type(field), bool(getattr(field, "choices", ())), *(getattr(field, option, None) for option in options))


def one_place_of_each_sort() -> list[Any]:
    """Of each sort of field the first place in which one stands: the name of the event, and the path."""
    found: dict[Any, Any] = {}
    for name in BODIES:
        for field, path in places(body_schema(name), event_example(name), ("body",)):
            found.setdefault(sort_of(field), (name, path))
    return [("invoice_paid", ("name",)), *found.values()]


def texts_with_odd_values_at(value: Any, path: Any) -> Iterator[tuple[str, bytes]]:
    """Each of ODD, and JSON text of `value` with it in place of what is at `path`."""
    copy = json.loads(json.dumps(value))
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = "@@"
    before, after = json.dumps(copy, ensure_ascii=False).split('"@@"')
    yield from ((odd, f"{before}{odd}{after}".encode()) for odd in ODD)


def test_an_odd_value_is_judged_as_by_the_close_way() -> None:
    taken = {
        odd
        for name, path in one_place_of_each_sort()
        for odd, data in texts_with_odd_values_at(posted(name), path)
        if assert_alike(data, case=f"{odd} at {path} of {name}")
    }

    assert len(taken) > 40  # or this would compare nothing


@each(
    "data",
    [
        b"", b" ", b"[]", b"{}", b"null", b"1", b'"a"', b"[null]", b"[[]]", b"{", b"[", b"\xef\xbb\xbf{}", b"\xff",
        text(posted("invoice_paid")) + b" x", b"x" + text(posted("invoice_paid")),
        text(posted("invoice_paid", created_at="2024-06-13T14:06:20.743+02:00")),
        text(posted("invoice_paid", idempotency_key=1)), text(posted("invoice_paid", colour="red")),
        text({"name": "invoice_paid"}), text({"body": event_example("invoice_paid")}),
        text(posted("webhook_recovered", {})), text(posted("inbox_file_removed_all", {"inbox_files": None})),
        text(posted("invoice_paid", {})), text(posted("invoice_paid", [])),
        text([posted("invoice_paid"), posted("nothing", {})]), b'{"name":"invoice_paid","body":' * 50,
        b"[" * 100_000, b'{"a":' * 100_000, text("x" * 10),
        text(posted("invoice_paid")).replace(b"custom id", b"\xe9"),
        text(posted("invoice_paid")).replace(b"custom id", b"\xed\xa0\x80"),
    ],
)  # fmt: skip
def test_what_is_not_in_order_is_left_to_the_close_way(data: Any) -> None:
    assert quickly(data) is None


@each(
    ("pattern", "doubled"),
    [
        (r'"name": "invoice_paid"', '"name": "invoice_sent", "name": "invoice_paid"'),
        (r'"name": "invoice_paid"', '"name": "invoice_paid", "name": "invoice_sent"'),
        (r'"variable_symbol": "[0-9]+"', '"variable_symbol": "1", "variable_symbol": null, "variable_symbol": "2"'),
        (r'"body": ', '"body": {}, "body": '),
        (r"\}\}$", r'}, "body": {}}'),
    ],
)
def test_of_an_attribute_given_twice_the_last_counts_or_the_close_way_decides(pattern: str, doubled: str) -> None:
    assert_alike(re.sub(pattern, doubled, json.dumps(posted("invoice_paid"))).encode())


def test_attributes_are_written_in_the_documented_order() -> None:
    event = posted(
        "invoice_paid", {key: dict(reversed(value.items())) for key, value in event_example("invoice_paid").items()}
    )
    data = text(dict(reversed(event.items())))

    assert quickly(data) == quickly(text(posted("invoice_paid")))


@each("header", [None, "k", "\u00e9", "x" * 255])
@each("given", [{}, {"idempotency_key": None}, {"idempotency_key": "k"}, {"idempotency_key": "other"}])
def test_a_key_comes_from_the_header_or_the_event(header: str | None, given: dict[str, Any]) -> None:
    data = text(posted("invoice_paid", **given))

    quick = assert_alike(data, key=header)
    assert (quick is None) == (None in given.values() or (header is not None and bool(given)))
    assert quickly(text([posted("invoice_paid")]), key="k") is None


@each("key", ["", "x" * 256, "a\nb"])
def test_what_cannot_be_a_key_is_refused(key: str) -> None:
    for data, header in (
        (text(posted("invoice_paid", idempotency_key=key)), None),
        (text(posted("invoice_paid")), key),
    ):
        assert quickly(data, key=header) is None
        with pytest.raises(ValidationError, match="must have"):
            posted_events.check(data, header, ZONE)
