"""The activity log and the catalogue."""

from datetime import datetime, timedelta
from typing import Any

import jsonschema_rs
import pytest

from dispatcher.container import Container
from dispatcher.schemas.api_v3 import EVENT_TYPES
from tests.support.api import Api
from tests.support.builders import a_body, an_account, an_event


@pytest.fixture
def emit(api: Api) -> Any:
    return lambda *events: api.container.emitter.emit(api.account, events)


def an_invoice(subject_id: int, number: str = "2024-0056") -> Any:
    return an_event("invoice_sent", body={"invoice": {"id": 93, "number": number, "subject_id": subject_id}})


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [line["name"] for line in answer.json()]


def test_a_line_tells_what_happened(api: Api, emit: Any) -> None:
    (event,) = emit(an_invoice(16))

    (line,) = api.get("/events.json").json()
    assert list(line) == ["name", "created_at", "text", "related_objects", "user", "params"]
    assert line["name"] == "invoice_sent"
    assert datetime.fromisoformat(line["created_at"]) == event.created_at.replace(
        microsecond=event.created_at.microsecond // 1000 * 1000
    )
    assert line["text"] == "Invoice 2024-0056: sent"
    assert line["related_objects"] == [{"id": 93, "type": "Invoice"}, {"id": 16, "type": "Subject"}]
    assert list(line["user"]) == ["id", "full_name", "avatar"]
    assert line["user"]["full_name"] == api.account.slug
    assert line["params"] == {"invoice_number": "2024-0056"}


def test_the_newest_comes_first_40_a_page(api: Api, emit: Any) -> None:
    emit(*(an_invoice(1, str(number)) for number in range(41)))

    texts = [line["text"] for line in api.get("/events.json").json()]
    assert texts == [f"Invoice {number}: sent" for number in range(40, 0, -1)]
    assert [line["text"] for line in api.get("/events.json?page=2").json()] == ["Invoice 0: sent"]
    assert api.get("/events.json?page=3").json() == []
    assert api.get(f"/events.json?page={10**25}").json() == []


def test_it_can_begin_at_a_time(api: Api, emit: Any) -> None:
    first, _ = emit(an_event("invoice_sent"))[0], emit(an_event("invoice_paid"))[0]
    later = first.created_at + timedelta(microseconds=1)

    assert names(api.get("/events.json", params={"since": later.isoformat()})) == ["invoice_paid"]
    assert names(api.get("/events.json", params={"since": first.created_at.isoformat()})) == [
        "invoice_paid",
        "invoice_sent",
    ]
    assert names(api.get("/events.json?since=2024-06-13T14:06:20+02:00")) == ["invoice_paid", "invoice_sent"]
    assert names(api.get("/events.json?since=9999-12-31T00:00:00Z")) == []
    assert len(names(api.get("/events.json?since=0001-01-02T00:00:00Z"))) == 2


def test_a_query_that_says_nothing_is_malformed(api: Api) -> None:
    for query in (
        "since=noon", "since=2024-06-13", "since=2024-06-13T12:00:00", "since=0001-01-01T00:00:00%2B14:00",
        "since=9999-12-31T23:59:59-14:00", "since=", "subject_id=x", "subject_id=-1", "page=0", "page=x",
    ):  # fmt: skip
        for path in ("/events.json", "/events/paid.json"):
            answer = api.get(f"{path}?{query}")
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), query


def test_it_can_be_of_one_subject(api: Api, emit: Any) -> None:
    emit(
        an_invoice(16),
        an_invoice(17),
        an_event("subject_updated", body={"subject": {"id": 16, "name": "Apple"}}),
        an_event("inbox_file_removed_all", body={"inbox_files": {"count": 2}}),
    )

    assert names(api.get("/events.json?subject_id=16")) == ["subject_updated", "invoice_sent"]
    assert names(api.get("/events.json?subject_id=18")) == []
    assert names(api.get(f"/events.json?subject_id={'9' * 30}")) == []


def test_payments_have_a_list_of_their_own(api: Api, emit: Any) -> None:
    emit(an_event("invoice_paid"), an_event("invoice_sent"), an_event("expense_paid", body=_expense_paid()))

    assert names(api.get("/events/paid.json")) == ["expense_paid", "invoice_paid"]


def _expense_paid() -> dict[str, Any]:
    return {"expense": {"id": 1, "number": "N1"}, "payment": {"id": 2}}


def test_another_accounts_events_are_not_listed(api: Api, emit: Any, container: Container) -> None:
    emit(an_event())
    other = Api.of(api.server, container, an_account(container.storage, f"{api.account.slug}-b"))

    assert other.get("/events.json").json() == []
    assert api.another("deliveries").get("/events.json").status_code == 403


def test_the_catalogue_has_a_schema_and_an_example_of_each_event(api: Api) -> None:
    types = api.get("event_types.json").json()

    assert [one["name"] for one in types] == list(EVENT_TYPES)
    for one in types:
        jsonschema_rs.validate(one["schema"], one["example"])


def test_every_example_of_the_catalogue_can_be_emitted(api: Api) -> None:
    events = [{"name": one["name"], "body": one["example"]} for one in api.get("event_types.json").json()]

    answer = api.post("/events.json", json=events)
    assert answer.status_code == 202, answer.text
    assert len(api.get("/events.json").json()) == 40
    jsonschema_rs.validate(api.get("event_types.json").json()[5]["schema"], a_body())
