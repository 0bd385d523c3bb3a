"""A body is refused beyond the size that the HTTP API takes."""

import pytest

from dispatcher.model.event import BODY_LIMIT
from dispatcher.pipeline.emit import NewEvent, drafts_of
from dispatcher.schemas import InvalidEvent


def of_size(size: int) -> NewEvent:
    """An event whose body has so many bytes of JSON."""
    around = len('{"subject":{"id":1,"name":""}}')
    return NewEvent(name="subject_created", body={"subject": {"id": 1, "name": "a" * (size - around)}})


def test_it_is_refused_beyond_the_limit_and_not_before() -> None:
    (draft,) = drafts_of([of_size(BODY_LIMIT)], "UTC")
    assert len(draft.body_json) == BODY_LIMIT

    with pytest.raises(InvalidEvent, match=r"^subject_created: has 5,242,881 bytes of JSON; at most 5,242,880 are"):
        drafts_of([of_size(BODY_LIMIT + 1)], "UTC")


def test_of_several_events_it_says_which() -> None:
    with pytest.raises(InvalidEvent, match=r"\[1\]\.body: has 5,242,881 bytes of JSON"):
        drafts_of([of_size(100), of_size(BODY_LIMIT + 1)], "UTC")
