"""Events in words, for the activity log."""

from typing import Any

from dispatcher.schemas.api.activity import ActivitySchema, params, related_objects, subject_path, text
from dispatcher.schemas.api_v3 import EVENT_TYPES
from tests.support.bodies import event_example, event_type
from tests.support.cases import each
from tests.unit.schemas.strategies import BODIES


@each(
    ("name", "body", "phrase"),
    [
        ("invoice_payment_added", {"invoice": {"id": 93, "number": "2024-0056"}}, "Invoice 2024-0056: payment added"),
        ("invoice_paid", {"invoice": {"id": 93}}, "Invoice 93: paid"),
        ("invoice_paid", {"invoice": {"id": 93, "number": ""}}, "Invoice 93: paid"),
        ("subject_updated", {"subject": {"id": 16, "name": "Apple"}}, "Subject Apple: updated"),
        ("inbox_file_ocr_processed", {"inbox_file": {"id": 1, "filename": "a.pdf"}}, "Inbox file a.pdf: ocr processed"),
        (
            "recurring_generator_paused",
            {"recurring_generator": {"id": 1, "name": "R"}},
            "Recurring generator R: paused",
        ),
        ("inbox_file_removed_all", {"inbox_files": {"count": 2}}, "Inbox file removed all"),
        ("webhook_deactivated", {"webhook": {"id": 1}}, "Webhook deactivated"),
    ],
)
def test_an_event_is_a_phrase(name: str, body: dict[str, Any], phrase: str) -> None:
    assert text(name, body) == phrase


def test_an_events_objects_and_their_subjects_are_named_once() -> None:
    body = {
        "recurring_generator": {"id": 1, "subject_id": 16},
        "invoice": {"id": 93, "subject_id": 16},
        "inventory_item": {"id": 5},
    }

    assert related_objects(body) == [
        {"id": 93, "type": "Invoice"},
        {"id": 16, "type": "Subject"},
        {"id": 1, "type": "RecurringGenerator"},
    ]
    assert related_objects({"subject": {"id": 16}}) == [{"id": 16, "type": "Subject"}]
    assert related_objects({"inbox_files": {"count": 2}}) == []


def test_params_tell_one_object_from_another() -> None:
    assert params("invoice_paid", {"invoice": {"id": 93, "number": "2024-0056"}}) == {"invoice_number": "2024-0056"}
    assert params("inventory_move_created", {"inventory_move": {"id": 1}}) == {}
    assert params("inbox_file_removed_all", {"inbox_files": {"count": 2}}) == {}
    assert params("webhook_deactivated", {}) == {}


def test_the_subject_stands_where_its_path_says() -> None:
    for name, event in EVENT_TYPES.items():
        path = subject_path(event)
        if path:
            key, attribute = path
            assert event_example(name)[key][attribute] == 1
    assert subject_path(event_type("subject_created")) == ("subject", "id")
    assert subject_path(event_type("inventory_item_created")) is None


@each("name", BODIES)
def test_every_event_makes_a_line(name: str) -> None:
    body = event_example(name)
    line = {
        "name": name,
        "created_at": "2024-06-13T14:06:20.924+02:00",
        "text": text(name, body),
        "related_objects": related_objects(body),
        "user": {"id": 1, "full_name": "A", "avatar": None},
        "params": params(name, body),
    }

    assert ActivitySchema().dump(line) == line
