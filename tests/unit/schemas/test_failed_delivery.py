"""A failed delivery in API v3's words."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from marshmallow import ValidationError

from dispatcher.schemas.api.failed_delivery import AttemptSchema, FailedDeliverySchema
from tests.support.cases import each
from tests.unit.schemas.facts import HTTP, example

SCHEMA = FailedDeliverySchema()


def an_attempt(**given: Any) -> dict[str, Any]:
    return example("failed_deliveries")[0]["deliveries"][0] | given


def test_values_are_written_as_the_example_shows_them() -> None:
    shown = example("failed_deliveries")[0]
    loaded = SCHEMA.load(shown)

    assert loaded["idempotency_key"] == UUID(shown["idempotency_key"])
    assert loaded["created_at"] == datetime.fromisoformat(shown["created_at"])
    assert SCHEMA.dump(loaded) == shown


def test_a_failed_delivery_and_its_parts_are_in_the_documented_order() -> None:
    backwards = dict(reversed(example("failed_deliveries")[0].items()))

    dumped = SCHEMA.dump(SCHEMA.load(backwards))

    assert list(dumped) == HTTP["FailedDelivery"]
    assert list(dumped["body"]) == HTTP["WebhookEvent"]
    assert {tuple(attempt) for attempt in dumped["deliveries"]} == {tuple(HTTP["DeliveryAttempt"])}


def test_the_attempts_keep_their_order() -> None:
    shown = example("failed_deliveries")[0]

    times = [attempt["started_at"] for attempt in SCHEMA.dump(SCHEMA.load(shown))["deliveries"]]

    assert times == [attempt["started_at"] for attempt in shown["deliveries"]]
    assert times == sorted(times, reverse=True)


@each("status", ["404", "ssl_error", "connection_failed", "timeout", "unknown_error", "a_new_word"])
def test_a_status_is_a_code_or_any_word(status: str) -> None:
    assert AttemptSchema().load(an_attempt(response_status=status))["status"] == status


def test_a_status_is_never_a_number() -> None:
    with pytest.raises(ValidationError) as caught:
        AttemptSchema().load(an_attempt(response_status=404))

    assert caught.value.messages_dict == {"response_status": ["not a string"]}


def test_without_a_response_its_type_and_body_are_null() -> None:
    attempt = an_attempt(response_status="timeout", response_content_type=None, response_body=None)

    assert AttemptSchema().dump(AttemptSchema().load(attempt)) == attempt


def test_an_empty_response_is_not_null() -> None:
    attempt = an_attempt(response_content_type="", response_body="")

    assert AttemptSchema().dump(AttemptSchema().load(attempt)) == attempt


@each("attribute", ["id", "request_id", "response_status", "started_at", "finished_at", "created_at"])
def test_other_attributes_are_never_null(attribute: str) -> None:
    with pytest.raises(ValidationError) as caught:
        AttemptSchema().load(an_attempt(**{attribute: None}))

    assert list(caught.value.messages_dict) == [attribute]


def test_objects_are_dumped_like_dicts() -> None:
    noon = datetime(2024, 6, 13, 12, tzinfo=UTC)
    loaded = AttemptSchema().load(an_attempt(request_id=str(UUID(int=1))))
    attempt = SimpleNamespace(**loaded | {"started_at": noon}, surplus=1)

    dumped = AttemptSchema().dump(attempt)

    assert dumped == an_attempt(started_at="2024-06-13T14:00:00.000+02:00", request_id=str(UUID(int=1)))


def test_no_deliveries_is_an_empty_array() -> None:
    assert FailedDeliverySchema(many=True).dump([]) == []
    assert SCHEMA.dump({"id": 1, "attempts": []}) == {"id": 1, "deliveries": []}
