"""What is put around bodies, in each form."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import jsonschema_rs

from dispatcher.schemas.envelopes import ENVELOPES
from tests.support.cases import each

HAPPENED = datetime(2024, 6, 13, 14, 6, 20, 924_999, tzinfo=timezone(timedelta(hours=2)))
BODY = '{"order": {"id":1.10}}'


SOURCE = '/"shop"'


def sent(name: str, created_at: datetime = HAPPENED) -> bytes:
    return ENVELOPES[name](SOURCE).write(
        event_id="17",
        webhook_id=5,
        event_name="order.created",
        created_at=created_at,
        body_json=BODY,
        time_zone="Europe/Prague",
    )


@each(
    ("name", "written"),
    [
        (
            "api_v3",
            '{"webhook_id":5,"event_name":"order.created","created_at":"2024-06-13T14:06:20.924+02:00","body":',
        ),
        ("standard", '{"type":"order.created","timestamp":"2024-06-13T12:06:20.924Z","data":'),
        (
            "cloudevents",
            '{"specversion":"1.0","id":"17","source":"/\\"shop\\"","type":"order.created",'
            '"time":"2024-06-13T12:06:20.924Z","datacontenttype":"application/json","data":',
        ),
    ],
)
def test_the_body_goes_in_byte_for_byte(name: str, written: str) -> None:
    assert sent(name) == f"{written}{BODY}}}".encode()
    assert sent(name, HAPPENED.astimezone(UTC)) == sent(name)


@each("name", ENVELOPES)
def test_what_is_sent_keeps_its_schema(name: str) -> None:
    schema: dict[str, Any] = ENVELOPES[name](SOURCE).json_schema("order.created", {"type": "object"})
    payload = json.loads(sent(name))

    assert jsonschema_rs.Draft202012Validator(schema).is_valid(payload)
    assert list(schema["properties"]) == list(payload)
    payload[ENVELOPES[name](SOURCE).name] = "order.lost"
    assert not jsonschema_rs.Draft202012Validator(schema).is_valid(payload)
