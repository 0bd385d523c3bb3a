"""Stored event types among the active catalogues."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dispatcher.errors import InvalidSetting
from dispatcher.schemas import active
from dispatcher.schemas.active_catalogues import active_with, use, use_lookup, use_stored
from dispatcher.schemas.from_json import render_events
from dispatcher.schemas.stored import StoredType
from tests.support.event_types import BODY, ID, SCHEMA, TYPE, schema_with

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    use(None)
    use_lookup(None)


def a_type(name: str = "order.shipped", **attributes: Any) -> StoredType:
    given: dict[str, Any] = {
        "version": 1, "resource": "order", "resource_id": "id", "schema": json.dumps(SCHEMA), "example": None,
        "description": TYPE["description"], "group": "", "supersedes": False, "deprecated_at": None, "downgrade": None,
        "created_at": NOW, "updated_at": NOW, "deleted_at": None,
    }  # fmt: skip
    return StoredType(name=name, **given | attributes)


def posted(body: Any = BODY) -> bytes:
    return json.dumps({"name": "order.shipped", "body": body}).encode()


def test_they_are_events_like_others_as_long_as_they_are_stored() -> None:
    use_stored([a_type(supersedes=True)], 2)
    assert {"order.shipped", "invoice_paid"} <= set(active().events)
    assert "order.shipped" in active().superseding
    assert active().resource_ids["order.shipped"] == ("order", "id")
    assert active().envelope("order.shipped").body == "data"
    rendered, is_array = render_events(posted(), "UTC") or ([], True)
    assert (rendered[0].resource, json.loads(rendered[0].body_json), is_array) == (f"order:{ID}", BODY, False)
    assert render_events(posted({"order": {"id": ID}}), "UTC") is None

    use_stored([replace(a_type(), deleted_at=NOW)], 3)
    assert active().resource_ids["order.shipped"] == ("order", "id")  # of those that are still pending
    assert "order.shipped" not in active().events
    assert active().envelope("order.shipped").body == "data"  # of what was emitted before
    assert render_events(posted(), "UTC") is None


def test_what_has_not_changed_is_not_made_anew() -> None:
    before = use_stored([a_type()], 2).event("order.shipped")

    assert use_stored([a_type(), a_type("order.sent")], 3).event("order.shipped") is before
    assert use_stored([a_type(description="new")], 4).event("order.shipped") is not before


def test_a_version_goes_back_by_its_patch_and_one_without_is_what_the_older_was() -> None:
    renamed = json.dumps(schema_with(number=None, reference={"type": "string"}))
    patch = json.dumps([{"op": "move", "from": "/order/reference", "path": "/order/number"}])
    use_stored([a_type(), a_type(version=2, schema=renamed, downgrade=patch), a_type(version=3, schema=renamed)], 2)
    body = {"order": {"id": ID, "total": 1, "reference": "2026-1"}}

    newest = active().event("order.shipped")
    assert (newest.version, list(newest.versions)) == (3, [1, 2, 3])
    assert json.loads(newest.downgraded(json.dumps(body), 2, "UTC")) == body
    assert json.loads(newest.downgraded(json.dumps(body), 1, "UTC"))["order"]["number"] == "2026-1"


def test_an_event_of_a_catalogue_hides_a_stored_one() -> None:
    catalogues = use_stored([a_type("invoice_paid")], 2)

    assert catalogues.hidden == {"invoice_paid"}
    assert catalogues.event("invoice_paid").catalogue == "api_v3"


def test_there_may_be_no_other_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCHER_CATALOGUE", "none")
    monkeypatch.setenv("DISPATCHER_EVENT_TYPES_ENVELOPE", "cloudevents")
    use(None)

    assert dict(active().events) == {}
    assert active().time_zone == "UTC"
    assert use_stored([a_type()], 2).envelope("ping").content_type == "application/cloudevents+json"


def test_the_envelope_must_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCHER_EVENT_TYPES_ENVELOPE", "soap")
    use(None)

    with pytest.raises(InvalidSetting, match="DISPATCHER_EVENT_TYPES_ENVELOPE: 'soap' is not among"):
        active()


def test_an_unknown_event_is_asked_for() -> None:
    asked: list[str] = []

    def ask(name: str) -> None:
        asked.append(name)
        use_stored([a_type()], 2)

    use_lookup(ask)
    for name in ("invoice_paid", "webhook_recovered", "order.shipped", "order.shipped"):
        assert name in active_with(name).names
    assert asked == ["order.shipped"]
