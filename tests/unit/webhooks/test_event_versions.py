"""To which versions of events a webhook is pinned, and what may be emitted of them."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from marshmallow import ValidationError

from dispatcher.errors import InvalidWebhook
from dispatcher.schemas.active_catalogues import Catalogues, use
from dispatcher.web.posted_events import parse
from dispatcher.webhooks.edit import changed_attributes, checked_attributes
from tests.support import shop
from tests.support.builders import KEY
from tests.support.cases import each

OLDER = {"name": "order.shipped", "body": {"order": {"id": str(KEY), "number": "1"}, "parcel": {"carrier": "GLS"}}}
SHIPPED = {"webhook_url": "https://example.com/", "events": ["order.shipped"]}
TWO = {"order.shipped": 2}
NO_VERSIONS = 'must be an object of events and their versions, or "newest"'


@pytest.fixture(autouse=True)
def _one_version() -> Iterator[None]:
    use(Catalogues(shop.a_catalogue()))
    yield
    use(None)


def release() -> None:
    """A second version of `order.shipped`."""
    use(Catalogues(shop.a_versioned_catalogue()))


def webhook(changes: dict[str, Any], before: Any = None) -> Any:
    """After a change, or a new one."""
    return SimpleNamespace(**checked_attributes(changed_attributes(before, changes)))


def test_it_is_pinned_to_the_version_that_was_current_when_it_subscribed() -> None:
    old, other = webhook(SHIPPED), webhook(SHIPPED | {"events": ["order.created"]})
    release()

    assert webhook(SHIPPED).event_versions == TWO
    assert webhook({"active": False, "events": ["order.created", "order.shipped"]}, old).event_versions == {}
    assert webhook({"events": ["order.created", "order.shipped"]}, other).event_versions == TWO
    assert webhook({"events": ["order.*"]}, other).event_versions == TWO
    assert webhook({"events": ["order.*"]}, old).event_versions == {}


@each(("asked", "pins"), [("newest", TWO), (TWO, TWO), ({"order.created": 1}, {}), ({}, {})])
def test_its_owner_moves_it_to_another(asked: object, pins: object) -> None:
    use(Catalogues(shop.a_catalogue()))
    old = webhook(SHIPPED)
    release()

    upgraded = webhook({"event_versions": asked}, old)

    assert upgraded.event_versions == pins
    assert webhook({"event_versions": {"order.shipped": 1}}, upgraded).event_versions == {}


def test_a_process_that_was_not_upgraded_keeps_what_it_does_not_know() -> None:
    release()
    new = webhook(SHIPPED)
    use(Catalogues(shop.a_catalogue()))

    assert webhook({"active": False}, new).event_versions == TWO


@each(
    ("asked", "text"),
    [
        (TWO, "order.shipped has no version 2, but 1 to 1"),
        ({"order.shipped": "1"}, "order.shipped: must be a number from 1 to 1"),
        ({"order.shipped": [1]}, "order.shipped: must be a number"),
        ({"order.shipped": True}, "order.shipped: must be a number"),
        ({"order.shiped": 1}, "is not included in the list"),
        ([], NO_VERSIONS),
        (None, NO_VERSIONS),
    ],
)
def test_a_version_that_is_not_in_the_catalogue_is_refused(asked: object, text: str) -> None:
    with pytest.raises(InvalidWebhook) as caught:
        webhook(SHIPPED | {"event_versions": asked})
    assert text in caught.value.messages["event_versions"][0]


def test_a_producer_over_http_may_stay_with_an_older_version() -> None:
    def versions(**given: Any) -> list[int | None]:
        return [draft.version for draft in parse(json.dumps(OLDER | given).encode(), None, "UTC").drafts]

    assert versions() == [None]
    release()

    assert versions(version=1) == [None]
    for given, path, text in (
        ({}, "body.order.number", "Unknown field."),
        ({"version": 3}, "version", "must be from 1 to 2"),
        ({"version": "1"}, "version", "not an integer"),
    ):
        with pytest.raises(ValidationError) as caught:
            versions(**given)
        assert caught.value.messages_dict[path] == [text]
