"""The 53 events, and what each body holds."""

import pytest

from dispatcher.schemas.api_v3 import EVENT_TYPES
from dispatcher.schemas.errors import InvalidEvent
from dispatcher.schemas.wire.fields import Shape
from tests.support.bodies import event_type
from tests.unit.schemas.facts import EVENTS


def written(shape: Shape) -> str:
    """The type of a body's key in the words of the facts."""
    return f"{'array:' if shape.many else ''}{shape.inner.type_name}{'' if shape.required else '?'}"


def test_there_are_53_events_in_the_documented_order() -> None:
    assert list(EVENT_TYPES) == list(EVENTS)
    assert len(EVENT_TYPES) == 53


def test_each_body_holds_the_documented_keys_in_their_order() -> None:
    bodies = {name: [(key, written(shape)) for key, shape in event.keys.items()] for name, event in EVENT_TYPES.items()}

    assert bodies == {name: list(keys.items()) for name, keys in EVENTS.items()} | {
        "inbox_file_removed_all": [("inbox_files", "FileCount")]
    }


def test_an_event_type_is_named_as_its_key_and_says_its_resource() -> None:
    resources = {name: event.resource for name, event in EVENT_TYPES.items()}

    assert [event.name for event in EVENT_TYPES.values()] == list(EVENT_TYPES)
    assert resources == {name: next(iter(keys)) for name, keys in EVENTS.items()}


def test_the_only_bulk_event_holds_a_count() -> None:
    (event_type,) = (each for each in EVENT_TYPES.values() if each.bulk)
    ((key, shape),) = event_type.keys.items()

    assert EVENTS[event_type.name] == {"inbox_files": {"count": "integer"}}
    assert (key, bool(shape.many), shape.required) == ("inbox_files", False, True)
    assert list(shape.inner.fields) == ["count"]
    assert shape.inner.fields["count"].required


def test_the_catalogue_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        EVENT_TYPES["surplus"] = EVENT_TYPES["invoice_paid"]  # type: ignore[index]


def test_an_event_type_is_found_by_its_name() -> None:
    assert all(event_type(name) is EVENT_TYPES[name] for name in EVENTS)


def test_a_name_that_is_not_of_the_catalogue_has_no_event_type() -> None:
    with pytest.raises(InvalidEvent) as caught:
        event_type("estimate_created")

    assert caught.value.event_name == "estimate_created"
    ((path, reason),) = caught.value.problems
    assert (path, reason.partition(";")[0]) == ("", "is not an event of the catalogue")
