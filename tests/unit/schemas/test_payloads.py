"""The bytes that are POSTed: the envelope around a body, and the flat object of before v2."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from dispatcher.schemas.envelopes import envelope_json
from dispatcher.schemas.wire.payload import LEGACY_EVENTS, EnvelopeSchema, legacy_json
from tests.support.bodies import render_body
from tests.support.cases import each
from tests.unit.schemas.facts import example, in_order
from tests.unit.schemas.strategies import texts

HAPPENED = datetime(2024, 6, 13, 12, 6, 20, 924_999, tzinfo=UTC)
INVOICE = {
    "id": 93,
    "custom_id": "ext-1",
    "number": "2024-0056",
    "status": "paid",
    "total": "1089.0",
    "paid_on": "2024-06-13",
}


def envelope(body_json: str = "{}", *, created_at: datetime = HAPPENED, time_zone: str = "Europe/Prague") -> bytes:
    return envelope_json(
        webhook_id=5, event_name="invoice_paid", created_at=created_at, body_json=body_json, time_zone=time_zone
    )


def flat(event_name: str, **body: Any) -> bytes:
    return legacy_json(event_name=event_name, body_json=json.dumps(body))


# The envelope


def test_the_envelope_is_one_line_with_its_keys_in_order() -> None:
    assert envelope() == (
        b'{"webhook_id":5,"event_name":"invoice_paid","created_at":"2024-06-13T14:06:20.924+02:00","body":{}}'
    )


@given(st.dictionaries(texts, st.one_of(texts, st.integers(), st.none())), st.booleans())
def test_the_body_goes_in_byte_for_byte(body: Any, escaped: bool) -> None:
    body_json = json.dumps(body, ensure_ascii=escaped, indent=1)

    sent = envelope(body_json)

    assert sent.endswith(b'"body":' + body_json.encode() + b"}")
    assert json.loads(sent)["body"] == body


@each("name", ["webhook_event_invoice_paid", "webhook_event_inbox_file_removed_all"])
def test_the_examples_are_what_is_sent(name: str) -> None:
    shown = example(name)

    sent = envelope_json(
        webhook_id=shown["webhook_id"],
        event_name=shown["event_name"],
        created_at=datetime.fromisoformat(shown["created_at"]),
        body_json=render_body(shown["event_name"], shown["body"]).decode(),
        time_zone="Europe/Prague",
    )

    assert in_order(json.loads(sent)) == in_order(shown)


@each(
    ("time_zone", "written"),
    [
        ("America/New_York", "2024-06-13T08:06:20.924-04:00"),
        ("Asia/Kathmandu", "2024-06-13T17:51:20.924+05:45"),
        ("UTC", "2024-06-13T12:06:20.924+00:00"),
    ],
)
def test_the_time_is_written_in_the_accounts_zone(time_zone: str, written: str) -> None:
    elsewhere = HAPPENED.astimezone(timezone(timedelta(hours=-9)))

    assert json.loads(envelope(time_zone=time_zone))["created_at"] == written
    assert envelope(time_zone=time_zone) == envelope(created_at=elsewhere, time_zone=time_zone)


def test_a_time_that_the_zone_carries_out_of_the_calendar_is_refused() -> None:
    with pytest.raises(ValidationError, match="out of range"):
        envelope(created_at=datetime.max.replace(tzinfo=UTC))


def test_an_envelope_loads_what_was_sent() -> None:
    loaded = EnvelopeSchema().load(json.loads(envelope('{"invoice":{"id":1}}')))

    assert loaded == {
        "webhook_id": 5,
        "event_name": "invoice_paid",
        "created_at": HAPPENED.replace(microsecond=924_000),
        "body": {"invoice": {"id": 1}},
    }


@each("missing", ["webhook_id", "event_name", "created_at", "body"])
def test_an_envelope_has_all_its_keys(missing: str) -> None:
    sent = json.loads(envelope())
    del sent[missing]

    with pytest.raises(ValidationError) as caught:
        EnvelopeSchema().load(sent)

    assert list(caught.value.messages_dict) == [missing]


@each(
    ("key", "value"),
    [("webhook_id", "5"), ("event_name", 5), ("created_at", "2024-06-13T14:06:20"), ("body", []), ("surplus", 1)],
)
def test_an_envelope_with_a_wrong_key_is_refused(key: str, value: int | list[Any] | str) -> None:
    with pytest.raises(ValidationError) as caught:
        EnvelopeSchema().load(json.loads(envelope()) | {key: value})

    assert list(caught.value.messages_dict) == [key]


# The flat object


def test_legacy_webhooks_have_two_events() -> None:
    assert sorted(LEGACY_EVENTS) == ["invoice_overdue", "invoice_paid"]


def test_a_paid_invoice_is_a_flat_object() -> None:
    sent = flat("invoice_paid", invoice=INVOICE, payment={"id": 42, "paid_on": "2024-06-14"})

    assert sent == (
        b'{"invoice_id":93,"number":"2024-0056","status":"paid","total":"1089.0","paid_at":"2024-06-13",'
        b'"event_name":"invoice_paid","invoice_custom_id":"ext-1"}'
    )


def test_an_overdue_invoice_is_a_flat_object_without_a_payment() -> None:
    sent = flat("invoice_overdue", invoice=INVOICE | {"status": "overdue", "paid_on": None, "custom_id": None})

    assert sent == (
        b'{"invoice_id":93,"number":"2024-0056","status":"overdue","total":"1089.0","paid_at":null,'
        b'"event_name":"invoice_overdue","invoice_custom_id":null}'
    )


def test_an_invoice_that_does_not_say_when_it_was_paid_takes_the_day_of_the_payment() -> None:
    sent = flat("invoice_paid", invoice=INVOICE | {"paid_on": None}, payment={"id": 42, "paid_on": "2024-06-14"})

    assert json.loads(sent)["paid_at"] == "2024-06-14"


def test_the_flat_object_of_the_least_invoice_is_null_elsewhere() -> None:
    sent = json.loads(flat("invoice_paid", invoice={"id": 93}, payment={"id": 42}))

    nulls = dict.fromkeys(("number", "status", "total", "paid_at", "invoice_custom_id"))
    assert sent == nulls | {"invoice_id": 93, "event_name": "invoice_paid"}


def test_the_flat_object_is_utf_8() -> None:
    assert "Žižkov".encode() in flat("invoice_overdue", invoice=INVOICE | {"number": "Žižkov"})


@each("event_name", sorted(LEGACY_EVENTS))
def test_the_flat_object_has_its_attributes_in_order(event_name: str) -> None:
    sent = json.loads(flat(event_name, **example("webhook_event_invoice_paid")["body"]))

    assert list(sent) == ["invoice_id", "number", "status", "total", "paid_at", "event_name", "invoice_custom_id"]
